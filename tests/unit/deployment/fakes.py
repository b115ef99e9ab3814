"""Programs and answers that stand in for AWS: what they were asked is kept, what they say is decided by the test."""

import json
from pathlib import Path
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError

from scripts.building.artifacts import Artifacts

POOL = "us-east-1_Pool1"
API = "https://abc.execute-api.us-east-1.amazonaws.com"

# Every argument of a call as one line of JSON; the exit status from a file beside it, if there is one.
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
python3=PYTHON
"$python3" -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@" >>"$here/NAME.calls"
echo "NAME $1 was here"
exit "$(cat "$here/NAME.$1.status" 2>/dev/null || echo 0)"
"""


class Programs:
    """A folder for the PATH with programs that record their arguments."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.compiled: list[Artifacts] = []
        self.builds = folder / "builds"
        self.build = self.builds / "build"
        self.build.mkdir(parents=True)
        for name in ("sam", "aws", "make", "python3.13", "docker"):
            self.add(name, PROGRAM.replace("NAME", name).replace("PYTHON", python))

    def add(self, name: str, text: str) -> None:
        program = self.folder / name
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def fail(self, name: str, verb: str, status: int) -> None:
        (self.folder / f"{name}.{verb}.status").write_text(str(status), encoding="utf-8")

    def calls(self, name: str) -> list[list[str]]:
        path = self.folder / f"{name}.calls"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def refusal(code: str, operation: str = "Any", message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


def stack(status: str = "UPDATE_COMPLETE", outputs: dict[str, str] | None = None, **parameters: str) -> dict[str, Any]:
    """As CloudFormation describes one."""
    outputs = {"ApiUrl": API, "UserPoolId": POOL, "UserPoolClientId": "one", **(outputs or {})}
    return {
        "Stacks": [
            {
                "StackName": "k9-api-dev",
                "StackId": "arn:stack",
                "StackStatus": status,
                "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
            }
        ]
    }


NO_STACK = refusal("ValidationError", "DescribeStacks", "Stack with id k9-api-dev does not exist")


class Aws:
    """Answers AWS calls in this process: `answers` has a response, an exception, or a list of these in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/dev"},
            "DescribeStacks": [NO_STACK, stack(UserPoolId=POOL, UserPoolClientIds="one,two")],
            "DescribeUserPool": {"UserPool": {"Id": POOL}},
            "ListUserPoolClients": {"UserPoolClients": [{"ClientId": "one"}, {"ClientId": "two"}]},
            "DescribeUserPoolClient": {"UserPoolClient": {"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]}},
            "DescribeTable": refusal("ResourceNotFoundException", "DescribeTable"),
            "HeadBucket": refusal("404", "HeadBucket", status=404),
            "ListChangeSets": [NO_STACK, {"Summaries": [{"ChangeSetId": "new"}]}],
            "DeleteChangeSet": {},
            "DeleteStack": {},
        }
        monkeypatch.setattr(
            botocore.client.BaseClient, "_make_api_call", lambda client, name, arguments: self._call(name, arguments)
        )

    def _call(self, operation: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((operation, arguments))
        answer = self.answers[operation]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]
