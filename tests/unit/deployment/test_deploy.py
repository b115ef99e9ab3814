"""deploy.sh's command: what it checks, what it refuses before anything is changed, and what it tells sam."""

import tomllib
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError

from scripts.building.artifacts import Artifacts, BuildError
from scripts.deployment import deploy, sam, terminal
from scripts.local import locks
from scripts.local.folder import PROJECT
from scripts.local.template import Template
from scripts.local.variables import WEB_ORIGINS
from tests.unit.deployment.fakes import API, NO_STACK, POOL, Aws, Programs, refusal, stack

CHANGES = {"CreateChangeSet", "ExecuteChangeSet", "CreateStack", "UpdateStack", "DeleteStack"}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_there", lambda: False)


def run(*arguments: str, environment: str = "dev") -> int:
    return deploy.main(["--environment", environment, *arguments])


def parameters(call: list[str]) -> dict[str, str]:
    """What follows --parameter-overrides, each name once."""
    assert call.count("--parameter-overrides") == 1
    given = call[call.index("--parameter-overrides") + 1 :]
    stated = dict(item.split("=", 1) for item in given)
    assert len(stated) == len(given)
    return stated


def refused(capsys: pytest.CaptureFixture[str], aws: Aws, programs: Programs, *arguments: str, **more: str) -> str:
    """What was said to a deployment that was refused; nothing may have been built or changed by then."""
    assert run(*arguments, **more) == 1
    assert programs.calls("sam") == []
    assert CHANGES.isdisjoint(aws.operations)
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


def test_what_cannot_be_compiled_is_not_deployed(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(artifacts: Artifacts) -> None:
        raise BuildError("DependenciesLayer could not be compiled")

    monkeypatch.setattr(sam, "compile_ahead", refuse)
    assert run("--user-pool-id", POOL) == 1
    assert [call[0] for call in programs.calls("sam")] == ["build"]
    assert "could not be compiled\nNothing was deployed." in capsys.readouterr().err


def test_without_the_runtimes_python_it_says_what_is_lost(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.remove("python3.13")
    assert run("--user-pool-id", POOL, "--use-container") == 0
    assert programs.compiled == []
    assert "no bytecode is added: a cold start takes about three times as long" in capsys.readouterr().err


def test_a_deployment_does_not_build_over_anothers(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = locks.acquire(programs.builds / "build.lock")
    assert lock is not None
    assert "Another deployment builds in" in refused(capsys, aws, programs, "--user-pool-id", POOL)
    lock.close()
    assert run("--user-pool-id", POOL) == 0


def test_without_swagger_ui_nothing_is_built(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Path:
        raise BuildError("Swagger UI could not be fetched")

    monkeypatch.setattr(sam, "ensure_swagger_ui", refuse)
    said = refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert "Swagger UI could not be fetched\nNothing was deployed." in said


def test_a_first_deployment(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--user-pool-id", POOL) == 0
    build, rollout = programs.calls("sam")
    config = ["--config-file", str(PROJECT / "samconfig.toml"), "--config-env", "dev"]
    assert build[:7] == ["build", *config, "--build-dir", str(programs.build)]
    made = ["--region", "us-east-1", "--template-file", str(programs.build / "template.yaml")]
    assert rollout[:9] == ["deploy", *config, *made]
    assert rollout[9:11] == ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    assert [artifacts.folder for artifacts in programs.compiled] == [programs.build]
    assert "--no-execute-changeset" not in rollout
    assert parameters(build) == parameters(rollout)
    stated = parameters(rollout)
    stated.pop("Release", None)
    assert stated == {
        "Environment": "dev",
        "UserPoolId": POOL,
        "UserPoolClientIds": "one,two",
        "AllowedOrigins": ",".join(WEB_ORIGINS),
    }
    said = capsys.readouterr()
    assert said.out == f"{API}\n"
    assert f"K9 API (dev) is at {API}" in said.err
    for step in ("admin-create-user", "admin-set-user-password", "initiate-auth --client-id one", "smoke.sh"):
        assert step in said.err
    assert programs.calls("aws") == []


def test_no_secret_is_said(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"ClientSecret": "s3cr3t", "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]}
    aws.answers["DescribeUserPoolClient"] = {"UserPoolClient": answer}
    assert run("--user-pool-id", POOL) == 0
    said = capsys.readouterr()
    assert "s3cr3t" not in said.err + said.out
    assert "testing" not in said.err + said.out  # the credentials of the tests
    assert "sign in with your own front end" in said.err


def test_a_client_for_administrators(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    flows = {"ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]}
    aws.answers["DescribeUserPoolClient"] = {"UserPoolClient": flows}
    assert run("--user-pool-id", POOL) == 0
    assert f"admin-initiate-auth --user-pool-id {POOL} --client-id one" in capsys.readouterr().err


def test_clients_that_may_not_be_described_are_no_failure(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers["DescribeUserPoolClient"] = refusal("AccessDeniedException")
    assert run("--user-pool-id", POOL) == 0
    assert f"sign in to the user pool {POOL} with one of its clients one, two." in capsys.readouterr().err


def test_access_tokens_where_these_are_accepted(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack(UserPoolId=POOL, UserPoolClientIds="one", TokenUse="access")]
    assert run("--user-pool-id", POOL, "--token-use", "access") == 0
    assert "AuthenticationResult.AccessToken" in capsys.readouterr().err


def test_named_clients_alone(aws: Aws, programs: Programs) -> None:
    assert run("--user-pool-id", POOL, "--user-pool-client-id", "two") == 0
    assert parameters(programs.calls("sam")[1])["UserPoolClientIds"] == "two"


def test_what_an_environment_has_stays(aws: Aws, programs: Programs) -> None:
    kept = {
        "AllowedOrigins": "https://a",
        "UserPoolId": POOL,
        "UserPoolClientIds": "two",
        "Gone": "x",
        "TokenUse": "id",
    }
    aws.answers["DescribeStacks"] = stack("UPDATE_COMPLETE", None, **kept, BucketName="", Environment="dev")
    assert run() == 0
    stated = parameters(programs.calls("sam")[1])
    stated.pop("Release", None)
    assert stated == {
        "AllowedOrigins": "https://a",
        "Environment": "dev",
        "TokenUse": "id",
        "UserPoolClientIds": "two",
        "UserPoolId": POOL,
    }


def test_the_release_changes_with_the_parameters_alone(aws: Aws, programs: Programs) -> None:
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a", Release="before")
    for arguments in ([], [], ["--token-use", "access"]):
        assert run(*arguments) == 0
    one, again, other = (parameters(call)["Release"] for call in programs.calls("sam")[1::2])
    assert one == again
    assert "before" != one != other


def test_a_default_that_the_stack_names_is_no_other_release(aws: Aws, programs: Programs) -> None:
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a")
    assert run() == 0
    declared = Template.load().document["Parameters"].items()
    defaults = {name: body["Default"] for name, body in declared if "Default" in body}
    aws.answers["DescribeStacks"] = stack("UPDATE_COMPLETE", None, **{**defaults, "AllowedOrigins": "https://a"})
    assert run() == 0
    one, other = (parameters(call)["Release"] for call in programs.calls("sam")[1::2])
    assert one == other


def test_the_stacks_own_pool_is_kept_without_a_question(aws: Aws, programs: Programs) -> None:
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a", UserPoolId="", UserPoolClientIds="")
    assert run() == 0
    assert "UserPoolId" not in parameters(programs.calls("sam")[1])


def test_the_stacks_own_pool_by_name_is_still_its_own(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a", UserPoolId="", UserPoolClientIds="")
    said = refused(capsys, aws, programs, "--user-pool-id", POOL, "--user-pool-client-id", "one")
    assert "has a client of its own" in said
    assert run("--user-pool-id", POOL) == 0
    assert {"UserPoolId", "UserPoolClientIds"}.isdisjoint(parameters(programs.calls("sam")[1]))


def test_a_pool_is_made_with_yes(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack()]
    assert run("--yes") == 0
    assert {"UserPoolId", "UserPoolClientIds"}.isdisjoint(parameters(programs.calls("sam")[1]))
    said = capsys.readouterr().err
    assert "gets a user pool of its own" in said
    assert "initiate-auth --client-id one" in said


def test_a_pool_that_is_made_learns_the_address_in_a_second_deployment(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack(), stack(PublicUrl=API)]
    assert run("--yes") == 0
    build, first, second = programs.calls("sam")
    assert (build[0], first[0], second[0]) == ("build", "deploy", "deploy")
    before, after = parameters(first), parameters(second)
    assert "PublicUrl" not in before
    assert after["PublicUrl"] == API
    assert after["Release"] != before["Release"]  # else no function would be published with it
    said = capsys.readouterr()
    assert "Once more, now that the address is known" in said.err
    assert f"tried in a browser, at {API}/docs, once you have signed in there" in said.err
    assert said.out == f"{API}\n"


def test_a_second_deployment_that_fails_leaves_an_api_that_is_named(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack()]
    once = deploy._add_login

    def failing(made: sam.Sam) -> None:
        programs.fail("sam", "deploy", 3)
        once(made)

    monkeypatch.setattr(deploy, "_add_login", failing)
    assert run("--yes") == 1
    said = capsys.readouterr()
    assert "`sam deploy` failed with status 3" in said.err
    assert f"The API itself is deployed, and answers at {API}" in said.err
    assert said.out == ""


def test_a_pool_of_its_own_whose_second_deployment_was_declined(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack(), stack()]
    assert run("--yes") == 0
    said = capsys.readouterr().err
    assert "deploy once more to have people sign in there" in said
    assert "--hosted-login-url" not in said  # which is refused where the stack has a pool of its own


def test_the_address_that_people_use_is_given_at_once(aws: Aws, programs: Programs) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack(PublicUrl="https://api.example.com")]
    assert run("--yes", "--public-url", "https://api.example.com") == 0
    _, only = programs.calls("sam")
    assert parameters(only)["PublicUrl"] == "https://api.example.com"


@pytest.mark.parametrize(
    ("stated", "arguments", "chosen"),
    [
        ({}, [], API),
        ({"PublicUrl": ""}, [], API),
        ({"PublicUrl": "https://api.example.com"}, [], "https://api.example.com"),
        ({"PublicUrl": API}, ["--public-url", "https://api.example.com"], "https://api.example.com"),
    ],
)
def test_the_address_of_a_stack_with_a_pool_of_its_own(
    aws: Aws, programs: Programs, stated: dict[str, str], arguments: list[str], chosen: str
) -> None:
    aws.answers["DescribeStacks"] = stack("UPDATE_COMPLETE", None, AllowedOrigins="https://a", **stated)
    assert run(*arguments) == 0
    _, only = programs.calls("sam")
    assert parameters(only)["PublicUrl"] == chosen


def test_a_given_pool_has_a_login_of_its_own(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    login = "https://k9.auth.us-east-1.amazoncognito.com"
    named = {"UserPoolId": POOL, "UserPoolClientIds": "one,two", "HostedLoginUrl": login}
    aws.answers["DescribeStacks"] = [NO_STACK, stack("UPDATE_COMPLETE", None, **named)]
    assert run("--user-pool-id", POOL, "--hosted-login-url", login) == 0
    _, only = programs.calls("sam")
    assert parameters(only)["HostedLoginUrl"] == login
    assert "PublicUrl" not in parameters(only)
    assert f"at {API}/docs. The first of the app clients has to allow that address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pool", "arguments", "login"),
    [
        (POOL, [], "https://old.example.com"),
        ("us-east-1_Old", [], None),
        ("us-east-1_Old", ["--hosted-login-url", "https://new.example.com"], "https://new.example.com"),
    ],
    ids=["same pool", "another", "another with its login"],
)
def test_a_login_goes_with_its_pool(
    aws: Aws, programs: Programs, pool: str, arguments: list[str], login: str | None
) -> None:
    named = {"UserPoolId": pool, "UserPoolClientIds": "one", "HostedLoginUrl": "https://old.example.com"}
    aws.answers["DescribeStacks"] = stack("UPDATE_COMPLETE", None, AllowedOrigins="https://a", **named)
    assert run("--user-pool-id", POOL, "--yes", *arguments) == 0
    assert parameters(programs.calls("sam")[1]).get("HostedLoginUrl") == login


def test_a_login_without_its_pool_is_refused(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, aws, programs, "--yes", "--hosted-login-url", "https://login.example.com")
    assert "name that with --user-pool-id" in said


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("yes", 0), ("", 1), ("n", 1), ("dev", 1)])
def test_a_pool_is_offered_at_a_terminal(
    aws: Aws, programs: Programs, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack()]
    monkeypatch.setattr(terminal, "is_there", lambda: True)
    monkeypatch.setattr(terminal, "ask", lambda question: answer)
    assert run() == status
    assert bool(programs.calls("sam")) == (status == 0)


def test_a_pool_is_not_made_unasked(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    assert "pass --yes if it is what you want" in refused(capsys, aws, programs)


def test_another_pool_is_asked_about(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a", UserPoolId="us-east-1_Old")
    said = refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert "takes tokens of the user pool us-east-1_Old so far" in said
    assert run("--user-pool-id", POOL, "--yes") == 0


@pytest.mark.parametrize("target", ["staging", "prod"])
def test_origins_are_needed_outside_dev(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    arguments = ["--user-pool-id", POOL, "--yes"]
    assert "Pass --allowed-origin" in refused(capsys, aws, programs, *arguments, environment=target)
    aws.answers["DescribeStacks"] = [NO_STACK, stack()]
    assert run(*arguments, "--allowed-origin", "https://a", environment=target) == 0


def test_prod_is_reviewed_at_a_terminal(aws: Aws, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_there", lambda: True)
    assert run("--user-pool-id", POOL, "--allowed-origin", "https://a", environment="prod") == 0
    assert "--confirm-changeset" in programs.calls("sam")[1]


def test_a_dry_run_shows_and_leaves_nothing(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack("REVIEW_IN_PROGRESS")]
    assert run("--user-pool-id", POOL, "--dry-run") == 0
    assert "--no-execute-changeset" in programs.calls("sam")[1]
    assert aws.asked[-3:] == [
        ("DeleteChangeSet", {"ChangeSetName": "new"}),
        ("DescribeStacks", {"StackName": "k9-api-dev"}),
        ("DeleteStack", {"StackName": "arn:stack"}),
    ]
    said = capsys.readouterr()
    assert said.out == ""
    assert "nothing was deployed" in said.err


def test_a_dry_run_of_a_stack_that_is_there(aws: Aws, programs: Programs) -> None:
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a")
    aws.answers["ListChangeSets"] = [
        {"Summaries": [{"ChangeSetId": "somebody's"}]},
        {"Summaries": [{"ChangeSetId": "somebody's"}, {"ChangeSetId": "new"}]},
    ]
    assert run("--dry-run") == 0
    assert [arguments for name, arguments in aws.asked if name == "DeleteChangeSet"] == [{"ChangeSetName": "new"}]
    assert "DeleteStack" not in aws.operations


def test_a_dry_run_that_fails_leaves_nothing_either(aws: Aws, programs: Programs) -> None:
    aws.answers["DescribeStacks"] = [NO_STACK, stack("REVIEW_IN_PROGRESS")]
    programs.fail("sam", "deploy", 1)
    assert run("--user-pool-id", POOL, "--dry-run") == 1
    assert "DeleteStack" in aws.operations


def test_a_dry_run_of_prod_needs_no_yes(aws: Aws, programs: Programs) -> None:
    arguments = ["--user-pool-id", POOL, "--allowed-origin", "https://a", "--dry-run"]
    assert run(*arguments, environment="prod") == 0


@pytest.mark.parametrize(("verb", "said"), [("build", "Nothing was deployed"), ("deploy", "CloudFormation takes all")])
def test_sam_fails(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], verb: str, said: str) -> None:
    programs.fail("sam", verb, 3)
    assert run("--user-pool-id", POOL) == 1
    assert programs.calls("sam")[-1][0] == verb
    told = capsys.readouterr()
    assert f"`sam {verb}` failed with status 3" in told.err
    assert said in told.err
    assert told.out == ""


@pytest.mark.parametrize("tool", ["sam", "python3.13"])
def test_a_missing_tool(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    programs.remove(tool)
    assert f"`{tool}`" in refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert aws.asked == []


def test_a_build_in_a_container(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    programs.remove("python3.13")
    assert run("--user-pool-id", POOL, "--use-container") == 0
    assert "--use-container" in programs.calls("sam")[0]


def test_no_credentials(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["GetCallerIdentity"] = NoCredentialsError()
    assert "sign in again" in refused(capsys, aws, programs, "--user-pool-id", POOL)


def test_expired_credentials(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["GetCallerIdentity"] = refusal("ExpiredToken", "GetCallerIdentity")
    assert "have expired" in refused(capsys, aws, programs, "--user-pool-id", POOL)


def test_an_unknown_profile(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nobody" in refused(capsys, aws, programs, "--profile", "nobody")


def test_no_region(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setattr(boto3.session.Session, "region_name", property(lambda session: None))
    assert "pass --region" in refused(capsys, aws, programs)


def test_the_region_of_the_environment(aws: Aws, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert run("--user-pool-id", "eu-west-1_Pool") == 0
    assert run("--user-pool-id", POOL, "--region", "us-east-1") == 0
    assert [call[call.index("--region") + 1] for call in programs.calls("sam")[1::2]] == ["eu-west-1", "us-east-1"]


def test_the_pools_region_where_none_is_set(aws: Aws, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setattr(boto3.session.Session, "region_name", property(lambda session: None))
    assert run("--user-pool-id", "eu-west-1_Pool") == 0
    assert programs.calls("sam")[1][5:7] == ["--region", "eu-west-1"]


def test_a_pool_in_another_region(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, aws, programs, "--user-pool-id", "eu-west-1_Pool", "--region", "us-east-1")
    assert "Pass --region eu-west-1, or a pool of us-east-1." in said


def test_a_pool_that_is_not_there(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeUserPool"] = refusal("ResourceNotFoundException")
    said = refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert f"There is no user pool {POOL} in account 123456789012" in said
    assert "aws cognito-idp list-user-pools" in said


def test_a_pool_without_clients(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["ListUserPoolClients"] = {"UserPoolClients": []}
    assert "aws cognito-idp create-user-pool-client" in refused(capsys, aws, programs, "--user-pool-id", POOL)


def test_a_client_of_another_pool(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, aws, programs, "--user-pool-id", POOL, "--user-pool-client-id", "three")
    assert "has no app client three. It has: one, two." in said


def test_a_client_without_a_pool(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    assert "name that with --user-pool-id" in refused(capsys, aws, programs, "--user-pool-client-id", "one")


def test_pages_of_clients(aws: Aws, programs: Programs) -> None:
    aws.answers["ListUserPoolClients"] = [
        {"UserPoolClients": [{"ClientId": "one"}], "NextToken": "more"},
        {"UserPoolClients": [{"ClientId": "two"}]},
    ]
    assert run("--user-pool-id", POOL) == 0
    assert parameters(programs.calls("sam")[1])["UserPoolClientIds"] == "one,two"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("ROLLBACK_COMPLETE", "./scripts/destroy.sh --environment dev"),
        ("ROLLBACK_FAILED", "describe-stack-events"),
        ("CREATE_FAILED", "./scripts/destroy.sh"),
        ("DELETE_FAILED", "./scripts/destroy.sh"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name k9-api-dev --region us-east-1"),
        ("UPDATE_IN_PROGRESS", "Wait for the end"),
        ("CREATE_IN_PROGRESS", "Wait for the end"),
        ("DELETE_IN_PROGRESS", "Wait for the end"),
    ],
)
def test_a_stack_that_takes_no_update(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], status: str, said: str
) -> None:
    aws.answers["DescribeStacks"] = stack(status)
    told = refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert f"The stack k9-api-dev is {status}" in told
    assert said in told


@pytest.mark.parametrize(
    "status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
)
def test_a_stack_that_takes_one(aws: Aws, programs: Programs, status: str) -> None:
    aws.answers["DescribeStacks"] = stack(status, AllowedOrigins="https://a")
    assert run() == 0


def test_an_empty_stack_is_as_none(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStacks"] = stack("REVIEW_IN_PROGRESS")
    assert "gets a user pool of its own" in refused(capsys, aws, programs)


def test_tables_that_an_earlier_stack_left(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeTable"] = {"Table": {}}
    said = refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert "k9-users-dev, k9-reports-dev, k9-embeddings-dev" in said
    assert "./scripts/destroy.sh --environment dev" in said


@pytest.mark.parametrize(
    ("answer", "said"),
    [({}, "is there already, and not this stack's"), (refusal("403", status=403), "Choose another with --bucket-name")],
)
def test_a_bucket_that_is_taken(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], answer: Any, said: str
) -> None:
    aws.answers["HeadBucket"] = answer
    told = refused(capsys, aws, programs, "--user-pool-id", POOL)
    assert said in told
    assert "k9-similarity-dev-123456789012" in told


def test_a_bucket_is_looked_for_only_where_it_changes(aws: Aws, programs: Programs) -> None:
    aws.answers["HeadBucket"] = {}
    aws.answers["DescribeStacks"] = stack(AllowedOrigins="https://a", BucketName="mine")
    assert run() == 0
    assert "HeadBucket" not in aws.operations
    assert run("--bucket-name", "another") == 1


def test_a_stack_without_an_address(aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers["DescribeStacks"] = [
        stack(AllowedOrigins="https://a"),
        {"Stacks": [{**stack()["Stacks"][0], "Outputs": []}]},
    ]
    assert run() == 1
    assert "does not tell its address" in capsys.readouterr().err


def test_an_interruption(
    aws: Aws, programs: Programs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "sign_in", interrupt)
    assert run() == 130
    assert "Interrupted" in capsys.readouterr().err


SAM_CONFIG = tomllib.loads((Path(__file__).parents[3] / "samconfig.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("target", ["dev", "staging", "prod"])
def test_samconfig(target: str) -> None:
    entry = SAM_CONFIG[target]["deploy"]["parameters"]
    assert entry["stack_name"] == f"k9-api-{target}"
    assert entry["parameter_overrides"] == [f"Environment={target}"]
    assert entry["confirm_changeset"] is (target == "prod")
    assert entry["fail_on_empty_changeset"] is False
    assert SAM_CONFIG[target]["build"]["parameters"]["template_file"] == "infrastructure/template.yaml"


def test_samconfig_has_every_environment_and_no_other() -> None:
    environments = Template.load().document["Parameters"]["Environment"]["AllowedValues"]
    assert set(SAM_CONFIG) - {"version"} == set(environments)


def test_the_template_needs_no_more_than_samconfig_permits() -> None:
    """CAPABILITY_IAM is for roles and policies that have no name of their own."""
    named = [
        name
        for name, body in Template.load().document["Resources"].items()
        if body["Type"].startswith("AWS::IAM::")
        and {"RoleName", "ManagedPolicyName", "UserName", "GroupName"} & set(body.get("Properties", {}))
    ]
    assert named == []


def test_every_option_is_a_parameter_of_the_template() -> None:
    known = set(Template.load().document["Parameters"])
    settings = {"BucketName", "TokenUse", "Architecture", "SnapStart", "AlarmEmail", "MonthlyBudget", "Release"}
    settings |= {"PublicUrl", "HostedLoginUrl"}
    settings |= {"LongestTokenLife", "LimitReads", "LimitWrites", "LimitSearches", "LimitRows", "LimitBytes"}
    assert settings | {"Environment", "UserPoolId", "UserPoolClientIds", "AllowedOrigins"} == known
