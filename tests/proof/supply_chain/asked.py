"""The registries themselves, where they can be reached; the gate never depends on that."""

from datetime import UTC, datetime

from scripts.supply.audit import NOT_ASKED, audited
from scripts.supply.sbom import ROOT
from tests.proof.outcome import Outcome


def ask_registries(outcome: Outcome) -> None:
    audit = audited(ROOT, datetime.now(UTC).date())
    outcome.cases += audit.packages if audit.status != NOT_ASKED else 0
    outcome.violations += [f"{line} (scripts/audit.sh)" for line in audit.to_do]
    outcome.figures["advisories of the registries"] = (
        f"NOT ASKED: {'; '.join(audit.not_asked)}"
        if audit.not_asked
        else f"{audit.packages} packages looked up, {len(audit.passed)} advisories passed over"
    )
