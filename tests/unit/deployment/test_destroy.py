"""destroy.sh's command: the order in which it does things, and what it does not do."""

from typing import Any

import pytest
from botocore.exceptions import WaiterError

from scripts.deployment import bucket, destroy, tables, terminal
from tests.unit.deployment.fakes import NO_STACK, Aws, refusal, stack

NAMES = ("k9-users-dev", "k9-reports-dev", "k9-embeddings-dev")
BUCKET = "k9-similarity-dev-123456789012"


def resource(kind: str, name: str, status: str = "CREATE_COMPLETE") -> dict[str, str]:
    logical = kind.rsplit(":", 1)[-1]
    return {
        "LogicalResourceId": logical,
        "PhysicalResourceId": name,
        "ResourceType": kind,
        "ResourceStatus": status,
    }


class Steps:
    """What was done to tables, bucket and stack, in order; `full` tables hold data at the given look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, aws: Aws) -> None:
        self.done: list[str] = []
        self.aws = aws
        self.full: set[str] = set()
        self.fills: set[str] = set()
        monkeypatch.setattr(tables, "holds_data", lambda account, name: self._look(name))
        monkeypatch.setattr(tables, "delete", lambda account, name: self.done.append(f"delete {name}"))
        monkeypatch.setattr(bucket, "ensure_ours", lambda account, name: self.done.append(f"look into {name}"))
        monkeypatch.setattr(bucket, "delete", lambda account, name: self._delete_bucket(name))
        aws.answers |= {
            "DescribeStacks": stack(),
            "DescribeTable": {"Table": {}},
            "HeadBucket": {},
            "ListStackResources": {
                "StackResourceSummaries": [
                    *(resource("AWS::DynamoDB::Table", name) for name in NAMES),
                    resource("AWS::S3::Bucket", BUCKET),
                    resource("AWS::Cognito::UserPool", "us-east-1_Own"),
                    {"LogicalResourceId": "X", "ResourceType": "AWS::S3::Bucket", "ResourceStatus": "CREATE_FAILED"},
                ]
            },
        }
        monkeypatch.setattr(destroy, "_wait_until_deleted", lambda client, one: self.done.append("stack deleted"))

    def _delete_bucket(self, name: str) -> int:
        self.done.append(f"delete {name}")
        return 7

    def _look(self, name: str) -> bool:
        self.done.append(f"look into {name}")
        return name in self.full or ("stack deleted" in self.done and name in self.fills)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, aws: Aws) -> Steps:
    monkeypatch.setattr(terminal, "is_there", lambda: False)
    return Steps(monkeypatch, aws)


def run(*arguments: str) -> int:
    return destroy.main(["--environment", "dev", *arguments])


def test_the_order(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--yes") == 0
    looks = [f"look into {name}" for name in (*NAMES, BUCKET)]
    assert steps.done[:5] == [*looks, "stack deleted"]
    assert steps.done[5:] == [
        *(f"{verb} {name}" for name in NAMES for verb in ("look into", "delete")),
        f"delete {BUCKET}",
    ]
    said = capsys.readouterr().err
    assert "the user pool us-east-1_Own with its users" in said
    assert "backups of the tables, for 35 days" in said


def test_data_stops_it_before_anything_is_changed(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.full = {"k9-reports-dev"}
    assert run("--yes") == 1
    assert "DeleteStack" not in steps.aws.operations
    assert not [step for step in steps.done if step.startswith("delete")]
    said = capsys.readouterr().err
    assert "These tables hold data: k9-reports-dev." in said
    assert "aws dynamodb delete-table --table-name k9-reports-dev --region us-east-1" in said


def test_a_table_that_fills_meanwhile_is_kept(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.fills = {"k9-users-dev"}
    assert run("--yes") == 0
    assert "delete k9-users-dev" not in steps.done
    assert "delete k9-reports-dev" in steps.done
    assert "the table k9-users-dev: rows were written to it meanwhile" in capsys.readouterr().err


def test_a_stack_that_is_being_changed(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.aws.answers["DescribeStacks"] = stack("UPDATE_IN_PROGRESS")
    assert run("--yes") == 1
    assert "Wait for the end" in capsys.readouterr().err
    assert steps.done == []


def test_a_stack_that_could_not_be_deleted(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(client: Any, one: Any) -> None:
        raise WaiterError("StackDeleteComplete", "failed", {})

    monkeypatch.setattr(destroy, "_wait_until_deleted", fail)
    assert run("--yes") == 1
    assert not [step for step in steps.done if step.startswith("delete")]
    said = capsys.readouterr().err
    assert "its tables and bucket are untouched" in said
    assert "describe-stack-events" in said


def test_what_failed_to_be_deleted_is_left_out_the_next_time(steps: Steps) -> None:
    steps.aws.answers["DescribeStacks"] = stack("DELETE_FAILED")
    steps.aws.answers["ListStackResources"] = {
        "StackResourceSummaries": [resource("AWS::Cognito::UserPool", "us-east-1_Own", "DELETE_FAILED")]
    }
    assert run("--yes") == 0
    asked = dict(steps.aws.asked)
    assert asked["DeleteStack"] == {"StackName": "arn:stack", "RetainResources": ["UserPool"]}


def test_leftovers_of_a_stack_that_is_gone(steps: Steps) -> None:
    steps.aws.answers["DescribeStacks"] = NO_STACK
    assert run("--yes") == 0
    assert "DeleteStack" not in steps.aws.operations
    assert f"delete {BUCKET}" in steps.done


def test_another_bucket_of_a_stack_that_is_gone(steps: Steps) -> None:
    steps.aws.answers["DescribeStacks"] = NO_STACK
    assert run("--yes", "--bucket-name", "my-bucket") == 0
    assert "delete my-bucket" in steps.done


def test_another_bucket_than_the_stacks(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--yes", "--bucket-name", "my-bucket") == 1
    assert f"The stack's bucket is {BUCKET}" in capsys.readouterr().err
    assert steps.done == []


def test_nothing_there(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.aws.answers["DescribeStacks"] = NO_STACK
    steps.aws.answers["DescribeTable"] = refusal("ResourceNotFoundException")
    steps.aws.answers["HeadBucket"] = refusal("404", status=404)
    assert run("--yes") == 1
    assert "There is nothing of dev in account 123456789012, us-east-1" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "status"), [("dev", 0), ("", 1), ("y", 1), ("yes", 1), ("DEV", 1), ("prod", 1)])
def test_the_name_is_typed(steps: Steps, monkeypatch: pytest.MonkeyPatch, typed: str, status: int) -> None:
    monkeypatch.setattr(terminal, "is_there", lambda: True)
    monkeypatch.setattr(terminal, "ask", lambda question: typed)
    assert run() == status
    assert ("DeleteStack" in steps.aws.operations) == (status == 0)


@pytest.mark.parametrize(
    "arguments", [["--environment", "prod", "--yes"], ["--environment", "prod"], ["--environment", "dev"]]
)
def test_nobody_to_ask(steps: Steps, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        destroy.main(arguments)
    assert end.value.code == 2
    assert "types its name" in capsys.readouterr().err or steps.aws.asked == []
