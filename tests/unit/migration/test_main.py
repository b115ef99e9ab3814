"""migrate.py as a person uses it: verbs, exit statuses, what it says, and what it keeps to itself."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from scripts.migration import main as module
from scripts.migration.failure import MigrationError
from scripts.migration.main import DIFFERENT, DONE, FAILED, REJECTS, main
from scripts.migration.mapping import load_mapping
from scripts.migration.options import parse
from scripts.migration.run import Run
from scripts.migration.sources.opening import _KINDS
from scripts.migration.target import Target, TargetOptions, open_target
from shared.database import DBReport, ReportRepository
from tests.support.environment import function_environment
from tests.support.faults import requests_sent
from tests.support.migrating import MAPPING, note, table_rows, tables_digest, vector
from tests.support.tables import create_tables

GOOD = {"notes": [note(n) for n in range(10)], "vectors": [vector(n) for n in range(1, 6)], "people": []}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    put(tmp_path, GOOD)
    return tmp_path


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`open_target` changes the process's environment, which ends with the process; here it must end with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def put(place: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    (place / "old.json").write_text(json.dumps(rows))


def begin(verb: str, *more: str) -> int:
    return main([verb, "json:old.json", "--mapping", "mapping.yaml", *more])


def report(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / ".migration" / "report.json").read_text())
    return found


def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies after its first rows."""

    def die(self: Run, *, resumed: bool) -> None:
        self._journal.put(phase="writing")
        raise MigrationError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write", die)
        assert begin("apply") == FAILED


def test_plan_writes_nothing_and_is_what_happens_by_default(place: Path, target: Target) -> None:
    before = tables_digest(target)
    with requests_sent(target.writer) as sent:
        assert main(["json:old.json", "--mapping", "mapping.yaml"]) == DONE
    assert not sent
    assert tables_digest(target) == before
    found = report(place)["reading"]
    assert found["accepted"] == {"embeddings": 5, "reports": 10}
    assert found["estimate"]["items"] == 15
    assert found["estimate"]["write_units"] == 30
    assert not list((place / ".migration").glob("*.sqlite*"))


def test_plan_looks_for_what_would_stop_apply(place: Path, target: Target) -> None:
    begin("apply")
    put(place, {**GOOD, "vectors": [vector(1, vector=[1.0])]})
    assert begin("plan") == FAILED
    assert report(place)["verb"] == "plan"
    assert begin("plan", "--offline") == DONE


def test_apply_then_verify_then_report(place: Path, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin("apply") == DONE
    assert main(["verify"]) == DONE
    capsys.readouterr()
    assert main(["report"]) == DONE
    said = capsys.readouterr().out
    assert "Both sides agree." in said
    assert "user-1: embeddings: 5 equal; reports: 10 equal" in said


def test_plan_then_report(place: Path, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin("plan") == DONE
    assert json.loads((place / ".migration" / "command.json").read_text())["source"] == f"json:{place}/old.json"
    capsys.readouterr()
    assert main(["report"]) == DONE
    assert "plan of json:" in capsys.readouterr().out


def test_plan_leaves_alone_what_a_run_began_with(place: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch)
    (place / "other.json").write_text(json.dumps(GOOD))
    assert main(["plan", "json:other.json", "--mapping", "mapping.yaml"]) == DONE
    assert main(["resume"]) == DONE


def test_a_target_that_is_not_there_is_told_before_the_source_is_read(
    place: Path, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DYNAMODB_REPORTS_TABLE", "k9-reports-other")
    for verb in ("plan", "verify"):
        assert begin(verb) == FAILED
    said = capsys.readouterr().err
    assert "k9-reports-other" in said
    assert "reading" not in said


def test_a_migration_goes_on_from_elsewhere(place: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    begin("apply")
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    assert main(["verify", "--work", "../.migration"]) == DONE


def test_verify_in_a_new_folder_needs_nothing_of_apply(place: Path, target: Target) -> None:
    begin("apply")
    assert begin("verify", "--work", "new") == DONE
    line = json.loads((place / "new" / "owners.jsonl").read_text())
    assert line == {"owner": "user-1", "embeddings": {"equal": 5}, "reports": {"equal": 10}}
    assert main(["verify", "json:old.json", "--work", "new"]) == FAILED  # its default mapping does not fit


def test_verify_says_how_much_arrived_and_that_rejects_stayed_behind(
    place: Path, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    put(place, {**GOOD, "notes": [note(1), note(1), note(2, title=""), note(3)]})
    begin("apply", "--accept-rejects")
    capsys.readouterr()
    assert main(["verify"]) == REJECTS
    said = capsys.readouterr().out
    assert "7 of 8 rows of the source arrived." in said
    assert "1 rows of the source STAYED BEHIND" in said
    assert "Both sides agree" not in said


def test_verify_fails_where_another_user_has_the_id(place: Path, target: Target) -> None:
    ReportRepository.create_report(DBReport(id="note-1", user_id="stranger", title="Theirs"))
    assert begin("apply") == main(["resume"]) == REJECTS
    assert main(["verify"]) == DIFFERENT
    begin("plan")
    assert "key-taken" in (place / ".migration" / "rejects.jsonl").read_text()


def test_verify_says_what_the_source_no_longer_has(
    place: Path, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    begin("apply")
    put(place, {**GOOD, "notes": GOOD["notes"][1:]})
    capsys.readouterr()
    assert main(["verify"]) == DONE
    assert "reports: 9 equal, 1 surplus" in capsys.readouterr().out


def test_the_counts_of_many_owners_are_in_a_file_of_their_own(place: Path, target: Target) -> None:
    put(place, {"notes": [note(n, sub=f"user-{n:03}") for n in range(150)], "vectors": [], "people": []})
    assert begin("plan") == DONE
    assert report(place)["reading"]["owners"] == 150
    lines = (place / ".migration" / "owners.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines[:2]] == [
        {"owner": "user-000", "reports": 1},
        {"owner": "user-001", "reports": 1},
    ]
    assert main(["verify"]) == DIFFERENT
    assert len(report(place)["verification"]["owners"]) == 100
    assert '{"owner": "user-149", "reports": {"missing": 1}}' in (place / ".migration" / "owners.jsonl").read_text()


def test_verify_says_that_a_row_is_missing(place: Path, target: Target) -> None:
    begin("apply")
    ReportRepository.delete_report("note-1", "user-1")
    assert main(["verify"]) == DIFFERENT


def test_verify_needs_no_journal(place: Path, target: Target) -> None:
    begin("apply")
    (place / ".migration" / "journal.sqlite").unlink()
    assert main(["verify"]) == DONE


def test_rejects_stop_apply_before_the_first_write_unless_they_are_accepted(
    place: Path, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    put(place, {**GOOD, "notes": [note(1), note(2, title=""), note(3, password="hunter2")]})
    before = tables_digest(target)
    assert begin("plan") == begin("apply") == REJECTS
    assert tables_digest(target) == before
    assert begin("apply", "--accept-rejects") == main(["resume"]) == REJECTS
    assert len(table_rows(target, "reports")) == 1
    lines = (place / ".migration" / "rejects.jsonl").read_text()
    assert [json.loads(line)["code"] for line in lines.splitlines()] == ["bad-value", "unknown-field"]
    assert "hunter2" not in lines + capsys.readouterr().out


def test_an_interrupted_run_is_resumed_and_not_begun_again(
    place: Path, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch)
    capsys.readouterr()
    assert begin("apply") == FAILED
    assert "go on with resume" in capsys.readouterr().err
    assert main(["resume"]) == DONE
    assert len(table_rows(target, "reports")) == 10
    assert main(["resume"]) == DONE
    assert "nothing to resume" in capsys.readouterr().err


def test_an_interrupted_run_can_be_started_over(place: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch)
    assert begin("apply", "--start-over") == DONE
    assert len(table_rows(target, "reports")) == 10


@pytest.mark.parametrize("change", ["a row", "the mapping", "the tables"])
def test_resume_refuses_what_has_changed(
    change: str, place: Path, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch)
    if change == "a row":
        put(place, {**GOOD, "notes": [note(n) for n in range(11)]})
    elif change == "the mapping":
        (place / "mapping.yaml").write_text(MAPPING.replace("author: author", "author: {value: x}"))
    else:
        make_anew(target)
    with requests_sent(target.writer) as sent:
        assert main(["resume"]) == FAILED
    assert not sent
    said = capsys.readouterr().err
    assert any(text in said for text in ("has changed since", "not the tables that the run"))
    assert not table_rows(target, "reports")


def make_anew(target: Target) -> None:
    client = boto3.client("dynamodb")
    for table in client.list_tables()["TableNames"]:
        client.delete_table(TableName=table)
    create_tables(client, "test")


def test_a_full_disk_is_told(place: Path, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    (place / ".migration").mkdir()
    (place / ".migration" / "rejects.jsonl").symlink_to("/dev/full")
    put(place, {**GOOD, "notes": [note(n, title="") for n in range(10)]})
    with patch.object(Path, "unlink"):
        assert begin("apply", "--accept-rejects") == FAILED
    assert "No space left on device. Make room" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["resume", "verify", "report"])
def test_what_goes_on_needs_something_to_go_on_with(verb: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb]) == FAILED
    assert "begin with plan or apply" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["resume", "verify"])
@pytest.mark.parametrize(
    "given",
    [
        ["json:other.json"],
        ["--mapping", "k9-json"],
        ["--environment", "prod"],
        ["--local"],
        ["--region", "eu-central-1"],
        ["--bucket", "mine"],
    ],
)
def test_what_contradicts_the_folder_is_not_passed_over(
    verb: str, given: list[str], place: Path, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    begin("apply")
    assert main([verb, *given]) == FAILED
    assert f"not {given[0]}" in capsys.readouterr().err.replace(f"{place}/", "") or given[0] == "--mapping"


def test_what_is_as_the_folder_has_it_may_be_given_again(place: Path, target: Target) -> None:
    begin("apply")
    assert begin("verify") == main(["verify", "json:old.json"]) == main(["verify", "--work", ".migration"]) == DONE


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["plan"], "needs a SOURCE"),
        (["apply", "json:a", "--mapping", "m", "--local", "--environment", "dev"], "not allowed with"),
        (["apply", "json:a", "--mapping", "m", "--max-wcu", "0"], "must be above 0"),
        (["apply", "json:a", "--mapping", "m", "--threads", "0"], "must be 1 to 256"),
    ],
)
def test_wrong_options_are_told(given: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_source_that_is_not_there_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "json:nowhere.json", "--mapping", "k9-json", "--offline"]) == FAILED
    assert "nowhere.json" in capsys.readouterr().err


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_every_kind_of_source_has_a_shipped_mapping(kind: str, tmp_path: Path) -> None:
    assert load_mapping(parse(["plan", f"{kind}:x", "--work", str(tmp_path)]).mapping).collections


def test_ctrl_c_before_anything_was_written_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_opened", interrupt)
    assert begin("apply") == begin("plan") == 130
    said = capsys.readouterr().err
    assert "Nothing was written." in said
    assert "resume" not in said


def test_ctrl_c_while_it_writes_says_how_to_go_on(
    place: Path, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(self: Run, *, resumed: bool) -> None:
        self._journal.put(phase="writing")
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "write", interrupt)
    assert begin("apply") == 130
    assert "resume" in capsys.readouterr().err


def test_the_laptop_stacks_variables_are_read_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K9_LOCAL_DIR", str(tmp_path))
    with pytest.raises(MigrationError, match=r"dev\.sh"):
        open_target(TargetOptions(local=True))
    (tmp_path / "env").write_text("export DYNAMODB_REPORTS_TABLE='k9-reports-mine'\n")
    assert open_target(TargetOptions(local=True)).tables["reports"] == "k9-reports-mine"


def test_an_environment_on_aws_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = open_target(TargetOptions(environment="prod", region="eu-central-1", bucket="mine"))
    assert made.tables == {"users": "k9-users-prod", "reports": "k9-reports-prod", "embeddings": "k9-embeddings-prod"}
    assert (made.settings.region, made.settings.similarity_bucket) == ("eu-central-1", "mine")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_DYNAMODB", "DYNAMODB_ENDPOINT_URL"])
def test_a_shell_that_leads_to_the_laptop_is_not_taken_for_aws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:4566")
    with pytest.raises(MigrationError, match=f"{name}.*unset"):
        open_target(TargetOptions(environment="prod", region="eu-central-1", bucket="mine"))


def test_without_a_word_on_where_to_it_says_what_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in function_environment():
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MigrationError, match="--local for the laptop stack"):
        open_target(TargetOptions())


def test_without_a_bucket_the_snapshots_are_not_discarded_and_it_says_so(
    place: Path, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SIMILARITY_BUCKET")
    assert begin("apply") == DONE
    assert "No SIMILARITY_BUCKET is named" in capsys.readouterr().err
