"""deploy.sh, smoke.sh and destroy.sh as a person runs them.

AWS is an emulator behind AWS_ENDPOINT_URL. `sam` and `aws` are programs that record their arguments; sam does with
CloudFormation what it would do there, with a template of its own out of a file.
"""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.deployment import tables
from scripts.deployment.account import Account
from scripts.local import resources, store
from scripts.local.folder import PROJECT, LocalFolder
from scripts.local.template import Template
from tests.support.dev import Dev, start_dev

ACCOUNT = "000000000000"
BUCKET = f"k9-similarity-dev-{ACCOUNT}"
ORIGIN = "https://app.example.com"
SERVICES = ("dynamodb", "s3", "cognito-idp", "cloudformation", "sts")

# What the test needs of a stack: the names that CloudFormation gives back, and resources that outlive it.
PARAMETERS = (
    "Environment",
    "UserPoolId",
    "UserPoolClientIds",
    "AllowedOrigins",
    "BucketName",
    "TokenUse",
    "PublicUrl",
    "Release",
)
OUTPUTS = {"ApiUrl": "https://abc.execute-api.us-east-1.amazonaws.com"}
TABLE_KEYS = {"users": ["user_id"], "reports": ["id"], "embeddings": ["product_id", "owner_model"]}

BUILT = """
Globals: { Function: { Runtime: python3.13 } }
Resources: { One: { Type: AWS::Serverless::Function, Properties: { Handler: a.handler, CodeUri: One } } }
"""

FAKE_SAM = '''#!PYTHON
"""Records its arguments; `deploy` makes a change set of template.json, and carries it out unless told otherwise."""
import json, pathlib, sys, time
import boto3

here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
with (here / "sam.calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
status = here / f"sam.{arguments[0]}.status"
if status.exists():
    print("Error: sam says no")
    sys.exit(int(status.read_text()))
if arguments[0] == "build":
    folder = pathlib.Path(arguments[arguments.index("--build-dir") + 1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "template.yaml").write_text((here / "built.yaml").read_text())
    (folder / "One").mkdir(exist_ok=True)
    (folder / "One" / "a.py").write_text("def handler(event, context): ...")
    print("Build Succeeded")
    sys.exit()
stack = "k9-api-" + arguments[arguments.index("--config-env") + 1]
given = dict(item.split("=", 1) for item in arguments[arguments.index("--parameter-overrides") + 1 :])
client = boto3.client("cloudformation", region_name=arguments[arguments.index("--region") + 1])
made = [found for found in client.describe_stacks()["Stacks"] if found["StackName"] == stack]
change_set = client.create_change_set(
    StackName=stack,
    ChangeSetName=f"samcli-deploy{time.time_ns()}",
    ChangeSetType="UPDATE" if made else "CREATE",
    TemplateBody=(here / "template.json").read_text(),
    Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
)["Id"]
while (found := client.describe_change_set(ChangeSetName=change_set))["Status"].endswith("_IN_PROGRESS"):
    time.sleep(0.1)
if found["Status"] == "FAILED":
    print("No changes to deploy.")
    sys.exit(0 if "--no-fail-on-empty-changeset" in arguments else 1)
for change in found["Changes"]:
    print(change["ResourceChange"]["Action"], change["ResourceChange"]["LogicalResourceId"])
if "--no-execute-changeset" not in arguments:
    if "--confirm-changeset" in arguments and input("Deploy this changeset? [y/N]: ") != "y":
        sys.exit(1)
    client.execute_change_set(ChangeSetName=change_set)
    waiter = "stack_update_complete" if made else "stack_create_complete"
    client.get_waiter(waiter).wait(StackName=stack, WaiterConfig={"Delay": 1})
'''


@dataclass(frozen=True)
class Cloud:
    """An account at the emulator, empty, and a project folder whose .venv-deploy has the fake sam."""

    endpoint: str
    folder: Path

    def client(self, service: str) -> Any:
        return boto3.Session(**_KEYS).client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'programs'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "K9_BUILD_DIR": str(self.folder / "built"),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAFAKE",
            "AWS_SECRET_ACCESS_KEY": "verysecret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal, as in CI."""
        return subprocess.run(
            [self.folder / "scripts" / script, *arguments],
            env={**self.environment(), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run_at_terminal(self, answers: str, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Somebody types `answers`; what is said to the terminal is not looked at."""
        ours, theirs = pty.openpty()
        os.write(ours, answers.encode())
        try:
            return subprocess.run(
                [self.folder / "scripts" / script, *arguments],
                env=self.environment(),
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=theirs,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            os.close(theirs)
            os.close(ours)

    def sam_calls(self) -> list[list[str]]:
        path = self.folder / "programs" / "sam.calls"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def fail_sam(self, verb: str) -> None:
        (self.folder / "programs" / f"sam.{verb}.status").write_text("1", encoding="utf-8")

    def make_pool(self, *clients: str) -> tuple[str, list[str]]:
        """Its id, and the ids of its clients."""
        client = self.client("cognito-idp")
        pool = client.create_user_pool(PoolName="people")["UserPool"]["Id"]
        made = [
            client.create_user_pool_client(
                UserPoolId=pool, ClientName=name, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
            )["UserPoolClient"]["ClientId"]
            for name in clients
        ]
        return pool, made

    def stack(self, name: str = "k9-api-dev") -> dict[str, Any] | None:
        found = [
            stack for stack in self.client("cloudformation").describe_stacks()["Stacks"] if stack["StackName"] == name
        ]
        return found[0] if found else None

    def tables(self) -> list[str]:
        return sorted(self.client("dynamodb").list_tables()["TableNames"])

    def account(self) -> Account:
        return Account(_Session(self), "us-east-1", ACCOUNT, "", None)  # type: ignore[arg-type]


class _Session:
    """Clients of the emulator, as Account asks for them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def client(self, service: str, **options: object) -> Any:
        return self._cloud.client(service)


_KEYS: dict[str, Any] = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_SERVICES", SERVICES)
        started = store.start(LocalFolder(tmp_path_factory.mktemp("aws")), port=0)
    yield started.endpoint
    started.kill()


@pytest.fixture
def cloud(endpoint: str, tmp_path: Path) -> Cloud:
    made = Cloud(endpoint, tmp_path)
    _empty(made)
    for name in ("scripts", "requirements"):
        (tmp_path / name).symlink_to(PROJECT / name)
    _make_environment(tmp_path / ".venv-deploy")
    _make_programs(tmp_path / "programs")
    return made


def _empty(cloud: Cloud) -> None:
    """Whatever an earlier test left."""
    formation, dynamodb, s3 = cloud.client("cloudformation"), cloud.client("dynamodb"), cloud.client("s3")
    for stack in formation.describe_stacks()["Stacks"]:
        formation.delete_stack(StackName=stack["StackName"])
    for table in dynamodb.list_tables()["TableNames"]:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=table)
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"]):
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket["Name"], Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=bucket["Name"])


def _make_environment(folder: Path) -> None:
    """A .venv-deploy as if it had been installed, with the interpreter of the tests."""
    (folder / "bin").mkdir(parents=True)
    _program(folder / "bin" / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shutil.copy(PROJECT / "requirements" / "deploy.txt", folder / ".installed")


def _make_programs(folder: Path) -> None:
    folder.mkdir()
    _program(folder / "sam", FAKE_SAM.replace("PYTHON", sys.executable))
    _program(folder / "aws", f'#!/bin/sh\necho "$@" >>{folder}/aws.calls\nexit 1\n')
    _program(folder / "make", "#!/bin/sh\nexit 0\n")
    _program(folder / "python3.13", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "template.json").write_text(json.dumps(_template()), encoding="utf-8")
    (folder / "built.yaml").write_text(BUILT, encoding="utf-8")


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _template() -> dict[str, Any]:
    """Tables and bucket as the product's template has them, under its names; they outlive the stack."""
    made: dict[str, Any] = {
        name: {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "Properties": {
                "TableName": {"Fn::Sub": f"k9-{name}-${{Environment}}"},
                "BillingMode": "PAY_PER_REQUEST",
                "DeletionProtectionEnabled": True,
                "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
                "KeySchema": [
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            },
        }
        for name, keys in TABLE_KEYS.items()
    }
    made["bucket"] = {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "Properties": {
            "BucketName": {"Fn::Sub": f"k9-similarity-${{Environment}}-{ACCOUNT}"},
            "VersioningConfiguration": {"Status": "Enabled"},
            "Tags": [
                {"Key": "origins", "Value": {"Ref": "AllowedOrigins"}},
                {"Key": "address", "Value": {"Ref": "PublicUrl"}},
            ],
        },
    }
    return {
        "Parameters": {name: {"Type": "String", "Default": ""} for name in PARAMETERS},
        "Resources": made,
        "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
    }


def deployed(cloud: Cloud, *arguments: str) -> tuple[str, list[str]]:
    pool, clients = cloud.make_pool("web", "phone")
    done = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool, *arguments)
    assert done.returncode == 0, done.stderr
    return pool, clients


def rows(cloud: Cloud, table: str, **item: str) -> None:
    cloud.client("dynamodb").put_item(TableName=table, Item={name: {"S": value} for name, value in item.items()})


# deploy.sh


def test_deploy_and_deploy_again(cloud: Cloud) -> None:
    pool, clients = cloud.make_pool("web", "phone")
    done = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool)
    assert (done.returncode, done.stdout) == (0, f"{OUTPUTS['ApiUrl']}\n"), done.stderr
    assert f"initiate-auth --client-id {clients[0]} --auth-flow USER_PASSWORD_AUTH" in done.stderr
    assert "verysecret" not in done.stderr
    stack = cloud.stack()
    assert stack is not None
    stated = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    assert (stated["UserPoolId"], set(stated["UserPoolClientIds"].split(","))) == (pool, set(clients))
    assert "http://localhost:3000" in stated["AllowedOrigins"]

    again = cloud.run("deploy.sh", "--environment", "dev", "--allowed-origin", ORIGIN)
    assert again.returncode == 0, again.stderr
    names = [item.split("=")[0] for item in cloud.sam_calls()[-1] if "=" in item]
    assert len(names) == len(set(names))
    assert f"UserPoolId={pool}" in cloud.sam_calls()[-1]
    assert f"AllowedOrigins={ORIGIN}" in cloud.sam_calls()[-1]
    assert "Modify bucket" in again.stderr
    assert not (cloud.folder / "programs" / "aws.calls").exists()


def test_the_lines_that_are_printed_are_those_of_a_shell(cloud: Cloud) -> None:
    pool, clients = cloud.make_pool("web")
    done = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool)
    lines = done.stderr[done.stderr.index("  EMAIL=") : done.stderr.index("and with it")]
    ran = subprocess.run(
        ["/bin/bash", "-uc", lines],
        env=cloud.environment(),
        input="pa ss'w\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    calls = (cloud.folder / "programs" / "aws.calls").read_text(encoding="utf-8").splitlines()
    assert [call.split()[:2] for call in calls] == [
        ["cognito-idp", "admin-create-user"],
        ["cognito-idp", "admin-set-user-password"],
        ["cognito-idp", "initiate-auth"],
    ]
    assert all("--region us-east-1" in call for call in calls)
    assert f"--client-id {clients[0]}" in calls[2]
    assert "USERNAME=you@example.com,PASSWORD=pa ss'w --query AuthenticationResult.IdToken" in calls[2]


def test_nothing_to_change(cloud: Cloud) -> None:
    deployed(cloud)
    again = cloud.run("deploy.sh", "--environment", "dev")
    assert (again.returncode, again.stdout) == (0, f"{OUTPUTS['ApiUrl']}\n"), again.stderr
    assert "No changes to deploy." in again.stderr
    first, second = ([item for item in call if "Release=" not in item] for call in cloud.sam_calls()[1::2])
    assert first == second


def test_a_dry_run_leaves_nothing_behind(cloud: Cloud) -> None:
    pool, _ = cloud.make_pool("web")
    done = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool, "--dry-run")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Add reports" in done.stderr
    assert cloud.stack() is None
    assert cloud.tables() == []
    assert cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool).returncode == 0


def test_a_dry_run_on_a_stack_leaves_it_as_it_is(cloud: Cloud) -> None:
    deployed(cloud)
    before = cloud.stack()
    done = cloud.run("deploy.sh", "--environment", "dev", "--allowed-origin", ORIGIN, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert cloud.stack() == before
    left = cloud.client("cloudformation").list_change_sets(StackName="k9-api-dev")["Summaries"]
    assert [change_set for change_set in left if change_set["ExecutionStatus"] == "AVAILABLE"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--environment", "dev"], 1, "pass --yes if it is what you want"),
        (["--environment", "prod"], 2, "only with --yes"),
        (["--environment", "production"], 2, "invalid choice: 'production' (choose from"),
        (["--environment", "dev", "--bucket", "x"], 2, "scripts/deploy.sh --help lists the options."),
        (["--environment", "dev", "--bucket-name", "No"], 2, "is not a bucket name: 3 to 63 lower-case"),
        (["--environment", "staging", "--yes"], 1, "Pass --allowed-origin https://app.example.com"),
        (["--environment", "dev", "--allowed-origin", "https://a/b"], 2, "without a path"),
        (["--environment", "dev", "--user-pool-id", "us-east-1_None"], 1, "There is no user pool us-east-1_None"),
        (["--environment", "dev", "--user-pool-id", "eu-west-1_Pool"], 1, "Pass --region eu-west-1"),
        (["--environment", "dev", "--profile", "nobody"], 1, "The config profile (nobody) could not be found"),
    ],
)
def test_refusals(cloud: Cloud, arguments: Sequence[str], status: int, said: str) -> None:
    done = cloud.run("deploy.sh", *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stdout, cloud.sam_calls(), cloud.stack()) == ("", [], None)


def test_a_pool_without_clients_is_refused(cloud: Cloud) -> None:
    pool, _ = cloud.make_pool()
    done = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool)
    assert done.returncode == 1
    assert f"create-user-pool-client --user-pool-id {pool}" in done.stderr


def test_a_foreign_client_is_refused(cloud: Cloud) -> None:
    (pool, _), (_, others) = cloud.make_pool("web"), cloud.make_pool("web")
    given = ["--user-pool-id", pool, "--user-pool-client-id", others[0]]
    done = cloud.run("deploy.sh", "--environment", "dev", *given)
    assert done.returncode == 1
    assert f"has no app client {others[0]}" in done.stderr


def test_no_credentials_are_refused(cloud: Cloud) -> None:
    done = cloud.run("deploy.sh", "--environment", "dev", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert done.returncode == 1
    assert "There are no AWS credentials" in done.stderr


@pytest.mark.parametrize("tool", ["sam", "python3.13"])
def test_a_missing_tool_is_named(cloud: Cloud, tool: str) -> None:
    (cloud.folder / "programs" / tool).unlink()
    done = cloud.run("deploy.sh", "--environment", "dev", PATH=f"{cloud.folder / 'programs'}:/usr/bin:/bin")
    assert done.returncode == 1
    assert f"`{tool}`" in done.stderr


def test_an_old_python_is_refused(cloud: Cloud) -> None:
    shutil.rmtree(cloud.folder / ".venv-deploy")
    _program(cloud.folder / "programs" / "old", '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.10.13"\n')
    done = cloud.run("deploy.sh", "--environment", "dev", PYTHON=str(cloud.folder / "programs" / "old"))
    assert done.returncode == 1
    assert "K9 API needs Python 3.11 or newer" in done.stderr


@pytest.mark.parametrize("verb", ["build", "deploy"])
def test_sam_fails(cloud: Cloud, verb: str) -> None:
    pool, _ = cloud.make_pool("web")
    cloud.fail_sam(verb)
    done = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Error: sam says no" in done.stderr
    assert f"`sam {verb}` failed with status 1" in done.stderr


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1)])
def test_prod_is_reviewed_at_a_terminal(cloud: Cloud, answer: str, status: int) -> None:
    pool, _ = cloud.make_pool("web")
    given = ["--environment", "prod", "--user-pool-id", pool, "--allowed-origin", ORIGIN]
    assert cloud.run_at_terminal(answer, "deploy.sh", *given).returncode == status
    stack = cloud.stack("k9-api-prod")
    assert (stack is not None and stack["StackStatus"] == "CREATE_COMPLETE") == (status == 0)


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 1)])
def test_a_pool_is_offered_at_a_terminal(cloud: Cloud, answer: str, status: int) -> None:
    assert cloud.run_at_terminal(answer, "deploy.sh", "--environment", "dev").returncode == status
    assert bool(cloud.sam_calls()) == (status == 0)


def test_a_stack_that_makes_a_pool_is_told_its_own_address(cloud: Cloud) -> None:
    done = cloud.run("deploy.sh", "--environment", "dev", "--yes")
    assert done.returncode == 0, done.stderr
    assert [call[0] for call in cloud.sam_calls()] == ["build", "deploy", "deploy"]
    stack = cloud.stack()
    assert stack is not None
    stated = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    assert stated["PublicUrl"] == OUTPUTS["ApiUrl"]
    assert cloud.run("deploy.sh", "--environment", "dev").returncode == 0
    assert [call[0] for call in cloud.sam_calls()[3:]] == ["build", "deploy"]
    assert cloud.sam_calls()[-1] == cloud.sam_calls()[2]


# destroy.sh


@pytest.mark.parametrize(
    ("table", "item"),
    [
        ("k9-users-dev", {"user_id": "u"}),
        ("k9-reports-dev", {"id": "r"}),
        ("k9-embeddings-dev", {"product_id": "p", "owner_model": "u#m"}),
    ],
)
def test_destroy_refuses_while_a_table_holds_data(cloud: Cloud, table: str, item: dict[str, str]) -> None:
    deployed(cloud)
    rows(cloud, table, **item)
    done = cloud.run("destroy.sh", "--environment", "dev", "--yes")
    assert done.returncode == 1
    assert f"These tables hold data: {table}. Nothing was changed" in done.stderr
    assert cloud.stack() is not None
    for name in cloud.tables():
        described = cloud.client("dynamodb").describe_table(TableName=name)["Table"]
        assert described["DeletionProtectionEnabled"] is True


def test_destroy_and_deploy_again(cloud: Cloud) -> None:
    pool, _ = deployed(cloud)
    rows(cloud, "k9-embeddings-dev", product_id="p", owner_model="u#m", deleted_at="2026-01-01T00:00:00Z")
    s3 = cloud.client("s3")
    for number in range(3):
        s3.put_object(Bucket=BUCKET, Key="similarity/u/m/manifest.json", Body=b"%d" % number)
    s3.delete_object(Bucket=BUCKET, Key="similarity/u/m/manifest.json")
    done = cloud.run("destroy.sh", "--environment", "dev", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Deleted the bucket {BUCKET} with 4 versions" in done.stderr
    assert "Kept" in done.stderr
    assert (cloud.stack(), cloud.tables(), s3.list_buckets()["Buckets"]) == (None, [], [])
    again = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool)
    assert again.returncode == 0, again.stderr


def test_what_an_earlier_stack_left_is_named_and_can_be_removed(cloud: Cloud) -> None:
    pool, _ = deployed(cloud)
    cloud.client("cloudformation").delete_stack(StackName="k9-api-dev")
    refused = cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool)
    assert refused.returncode == 1
    assert "./scripts/destroy.sh --environment dev" in refused.stderr
    assert cloud.run("destroy.sh", "--environment", "dev", "--yes").returncode == 0
    assert cloud.run("deploy.sh", "--environment", "dev", "--user-pool-id", pool).returncode == 0


def test_a_bucket_with_strange_objects_is_not_emptied(cloud: Cloud) -> None:
    deployed(cloud)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="photos/cat.jpg", Body=b"x")
    done = cloud.run("destroy.sh", "--environment", "dev", "--yes")
    assert done.returncode == 1
    assert "holds photos/, which is not of K9 API" in done.stderr
    assert cloud.stack() is not None


def test_nothing_to_destroy(cloud: Cloud) -> None:
    done = cloud.run("destroy.sh", "--environment", "staging", "--yes")
    assert done.returncode == 1
    assert "There is nothing of staging in account 000000000000, us-east-1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--environment", "prod", "--yes"], "prod is taken down by somebody who types its name"),
        (["--environment", "prod"], "nobody is at the terminal"),
        (["--environment", "dev"], "nobody is at the terminal"),
        (["--yes"], "--environment"),
    ],
)
def test_destroy_refuses_wrong_options(cloud: Cloud, arguments: Sequence[str], said: str) -> None:
    done = cloud.run("destroy.sh", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(("typed", "status"), [("dev\n", 0), ("yes\n", 1), ("prod\n", 1), ("\n", 1)])
def test_the_name_has_to_be_typed(cloud: Cloud, typed: str, status: int) -> None:
    deployed(cloud)
    assert cloud.run_at_terminal(typed, "destroy.sh", "--environment", "dev").returncode == status
    assert (cloud.stack() is None) == (status == 0)
    assert bool(cloud.tables()) == (status == 1)


def test_data_behind_many_deleted_rows_is_seen(cloud: Cloud) -> None:
    """A page of a scan may be empty, and not the last."""
    resources.create_tables(cloud.client("dynamodb"), Template.load(), "dev")
    for number in range(30):
        dead = {"product_id": f"p{number}", "owner_model": "u#m", "deleted_at": "x", "padding": "x" * 100_000}
        rows(cloud, "k9-embeddings-dev", **dead)
    assert not tables.holds_data(cloud.account(), "k9-embeddings-dev")
    rows(cloud, "k9-embeddings-dev", product_id="alive", owner_model="u#m")
    assert tables.holds_data(cloud.account(), "k9-embeddings-dev")


# smoke.sh


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    running = start_dev(tmp_path_factory.mktemp("dev"))
    yield running
    running.discard()


def smoke(url: str, token: str, *, stdin: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROJECT / "scripts" / "smoke.sh", url, "-" if stdin else token],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        input=token if stdin else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("stdin", [True, False])
def test_smoke_passes_and_cleans_up(dev: Dev, stdin: bool) -> None:
    before = dev.call("GET", "/reports?limit=1&include_total=true")[1]["total"]
    done = smoke(f"http://localhost:{dev.port}/", dev.token("bob"), stdin=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 20
    assert all(line.startswith("ok  ") for line in lines[:-1])
    assert lines[-1].endswith("all checks hold.")
    assert dev.token("bob") not in done.stdout + done.stderr
    assert dev.call("GET", "/reports?limit=1&include_total=true")[1]["total"] == before
    assert dev.call("GET", "/reports", token=dev.token("bob"))[1]["reports"] == []
    listed = dev.call("GET", "/embeddings?model_version=k9-smoke-test", token=dev.token("bob"))
    assert (listed[0], listed[1]["embeddings"]) == (200, [])


def test_smoke_with_a_token_that_is_refused(dev: Dev) -> None:
    token = dev.token("bob")
    done = smoke(f"http://localhost:{dev.port}", token[:-8] + token[-8:][::-1])
    assert done.returncode == 1
    assert "FAILED    GET /user/profile is the caller's: 401: has the token expired" in done.stdout
    assert "POST /reports" not in done.stdout


def test_smoke_where_nothing_answers() -> None:
    done = smoke("http://127.0.0.1:9", "a.b.c")
    assert done.returncode == 1
    assert "FAILED    GET /health is open, and says ok: http://127.0.0.1:9 does not answer" in done.stdout


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("localhost:3001", "a.b.c", "is not an address"),
        ("http://api.example.com", "a.b.c", "would travel unencrypted"),
        ("https://api.example.com", "s3cret", "TOKEN is not a token"),
        ("https://api.example.com:port", "a.b.c", "is not an address"),
    ],
)
def test_smoke_refuses_wrong_arguments(url: str, token: str, said: str) -> None:
    done = smoke(url, token)
    assert done.returncode == 2
    assert said in done.stderr
    assert "s3cret" not in done.stderr
