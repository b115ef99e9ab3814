"""What is deployed is locked, listed, licensed, and without known advisories; and each checker sees what it is for.

The project itself is looked at, and then broken copies of it, in which every kind of breakage has to be noticed. The
command that asks for advisories is run against a stand-in of the registries on this machine.
"""

from tests.proof.outcome import Options, Outcome

from .asked import ask_registries
from .broken import BREAKAGES, look_at_broken
from .heard import hear_stand_in, kinds_heard
from .whole import look_at_project


def prove(options: Options) -> Outcome:
    outcome = Outcome.of("checks", [*BREAKAGES, *kinds_heard(options)])
    look_at_project(outcome)
    look_at_broken(outcome, options)
    hear_stand_in(outcome, options)
    if options.is_quick:
        outcome.figures["advisories of the registries"] = "not asked here; ./scripts/audit.sh asks"
    else:
        ask_registries(outcome)
    return outcome
