"""The options' values: what is refused, and that the refusal says what would do."""

import argparse

import pytest

from scripts.deployment import arguments


@pytest.mark.parametrize("name", ["abc", "k9-similarity-prod-123456789012", "a" * 63, "0-9"])
def test_bucket_names(name: str) -> None:
    assert arguments.bucket_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 64, "Upper", "under_score", "dot.dot", "-first", "last-", "two words", "ä-umlaut", "192.168.1.1"],
)
def test_bad_bucket_names(name: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="3 to 63 lower-case letters"):
        arguments.bucket_name(name)


@pytest.mark.parametrize(
    "name", ["xn--abc", "sthree-abc", "amzn-s3-demo-abc", "abc-s3alias", "abc--ol-s3", "abc--x-s3"]
)
def test_bucket_names_that_s3_keeps_for_itself(name: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="choose another name"):
        arguments.bucket_name(name)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://app.example.com",
        "https://a:8443",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:5173",
    ],
)
def test_origins(origin: str) -> None:
    assert arguments.origin(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "app.example.com",
        "https://",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "https://a,https://b",
        "https://user@a",
        "https://*.example.com",
        "https://a:99999",
        "ftp://a",
        "https://a b",
        'https://a"',
        "https://a\n",
        "null",
    ],
)
def test_bad_origins(origin: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"https://app\.example\.com"):
        arguments.origin(origin)


@pytest.mark.parametrize("origin", ["http://app.example.com", "http://10.0.0.1", "http://localhost.example.com"])
def test_unencrypted_origins(origin: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="use https://"):
        arguments.origin(origin)


@pytest.mark.parametrize("text", ["us-east-1", "ap-southeast-2", "us-gov-west-1", "eu-central-1"])
def test_regions(text: str) -> None:
    assert arguments.region(text) == text


@pytest.mark.parametrize("text", ["", "us-east", "us_east_1", "US-EAST-1", "us-east-1a", "us-east-1 "])
def test_bad_regions(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="looks like us-east-1"):
        arguments.region(text)


@pytest.mark.parametrize("text", ["", "us-east-1", "AbCdEf123", "us-east-1_", "us-east-1_a-b", "us-east-1_a b"])
def test_bad_pools(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="us-east-1_AbCdEf123"):
        arguments.user_pool_id(text)


@pytest.mark.parametrize("text", ["", "a,b", "a b", "a" * 129, "-x"])
def test_bad_clients(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="repeat the option"):
        arguments.client_id(text)


@pytest.mark.parametrize("text", ["ops@example.com", "a+b@example.co.uk"])
def test_emails(text: str) -> None:
    assert arguments.email(text) == text


@pytest.mark.parametrize("text", ["", "ops", "ops@host", "a@b.c,d@e.f", "a b@c.d"])
def test_bad_emails(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not an e-mail address"):
        arguments.email(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "007", "12345678", "ten"])
def test_bad_budgets(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="US dollars"):
        arguments.budget(text)


@pytest.mark.parametrize("text", ["https://api.example.com", "https://example.com/products/v1"])
def test_addresses(text: str) -> None:
    assert arguments.address(text) == text


@pytest.mark.parametrize(
    "text", ["", "api.example.com", "http://api.example.com", "https://a/", "https://a b", "https://a?x", "https://a,b"]
)
def test_bad_addresses(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.address(text)


def test_logins() -> None:
    assert (
        arguments.login("https://k9.auth.us-east-1.amazoncognito.com") == "https://k9.auth.us-east-1.amazoncognito.com"
    )


@pytest.mark.parametrize("text", ["", "http://k9.example.com", "https://k9.example.com/login", "https://a;b", "k9"])
def test_bad_logins(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.login(text)


@pytest.mark.parametrize("text", ["5", "60", "1440"])
def test_token_lives(text: str) -> None:
    assert arguments.token_life(text) == text


@pytest.mark.parametrize("text", ["", "4", "1441", "060", "1h", "60.0", "-60"])
def test_bad_token_lives(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="minutes"):
        arguments.token_life(text)
