"""No rule of a linter is put out of force without a reason beside it."""

import re

import yaml

from scripts.local.folder import PROJECT

SETTINGS = (PROJECT / ".checkov.yaml").read_text(encoding="utf-8")
TEMPLATE = (PROJECT / "infrastructure" / "template.yaml").read_text(encoding="utf-8")


def test_every_rule_that_checkov_skips_has_its_reason_above_it() -> None:
    skipped = yaml.safe_load(SETTINGS)["skip-check"]
    explained = re.findall(r"(?:^  # .+\n)+  - (CKV_AWS_\d+)$", SETTINGS, re.MULTILINE)
    assert skipped == explained
    assert len(set(skipped)) == len(skipped)


def test_checkov_looks_at_the_template_and_fails_for_what_it_finds() -> None:
    settings = yaml.safe_load(SETTINGS)
    assert settings["file"] == ["infrastructure/template.yaml"]
    assert not {"soft-fail", "soft-fail-on", "check"} & settings.keys()


def test_the_template_itself_puts_nothing_out_of_force() -> None:
    assert not re.search(r"checkov:|cfn-lint:|cfn-lint-disable|cfn_nag", TEMPLATE)
