"""The command line of deploy.sh as a whole."""

import pytest

from scripts.deployment import options, terminal


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        options.parse(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_there", lambda: False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--environment"),
        (["--environment", "test"], "invalid choice: 'test'"),
        (["--environment", "dev", "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["--environment", "dev", "--dry"], "unrecognized arguments: --dry"),
        (["--env", "dev"], "--environment"),
        (["--environment", "dev", "extra"], "unrecognized arguments: extra"),
        (["--environment", "dev", "--bucket-name", "A"], "not a bucket name"),
        (["--environment", "dev", "--allowed-origin", "a"], "not an origin"),
        (["--environment", "dev", "--user-pool-id", "a"], "not the id of a user pool"),
        (["--environment", "dev", "--region", "a"], "not an AWS region"),
        (["--environment", "prod"], "only with --yes"),
    ],
)
def test_wrong_options(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, *arguments)
    assert said in told
    assert "scripts/deploy.sh --help lists the options." in told


def test_prod_without_a_terminal_goes_with_yes_or_as_a_dry_run() -> None:
    assert not options.parse(["--environment", "prod", "--yes"]).needs_review
    assert not options.parse(["--environment", "prod", "--dry-run"]).needs_review


def test_prod_at_a_terminal_is_reviewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_there", lambda: True)
    assert options.parse(["--environment", "prod"]).needs_review
    assert not options.parse(["--environment", "staging"]).needs_review


def test_nothing_stated_is_nothing_set() -> None:
    assert options.parse(["--environment", "dev"]).settings == {}


def test_every_setting_becomes_its_parameter() -> None:
    given = "--environment dev --allowed-origin https://a --allowed-origin https://b --allowed-origin https://a"
    given += " --bucket-name my-bucket --token-use access --architecture arm64 --snap-start on --alarm-email a@b.co"
    given += " --public-url https://api.example.com --hosted-login-url https://login.example.com"
    given += " --token-life 90"
    assert options.parse([*given.split(), "--monthly-budget", "0"]).settings == {
        "AllowedOrigins": "https://a,https://b",
        "BucketName": "my-bucket",
        "TokenUse": "access",
        "LongestTokenLife": "90",
        "Architecture": "arm64",
        "SnapStart": "On",
        "AlarmEmail": "a@b.co",
        "MonthlyBudget": "0",
        "PublicUrl": "https://api.example.com",
        "HostedLoginUrl": "https://login.example.com",
    }


@pytest.mark.parametrize("kind", ["reads", "writes", "searches", "rows", "bytes"])
def test_limits_of_one_user(kind: str) -> None:
    for value in ("0", "20"):
        given = ["--environment", "dev", f"--limit-{kind}", value]
        assert options.parse(given).settings == {f"Limit{kind.capitalize()}": value}
    with pytest.raises(SystemExit):
        options.parse(["--environment", "dev", f"--limit-{kind}", "0.05"])


def test_clients_are_taken_once_each() -> None:
    given = ["--environment", "dev", *(["--user-pool-client-id", "a"] * 2), "--user-pool-client-id", "b"]
    assert options.parse(given).client_ids == ("a", "b")
