"""The environment as settings: what is missing is named, what is derived can be stated."""

import re
from datetime import timedelta

import pytest

from shared.config import ConfigurationError, Settings, TenantLimits, get_settings, get_tenant_limits

REQUIRED = {
    "environment": "ENVIRONMENT",
    "users_table": "DYNAMODB_USERS_TABLE",
    "reports_table": "DYNAMODB_REPORTS_TABLE",
    "embeddings_table": "DYNAMODB_EMBEDDINGS_TABLE",
    "limits_table": "DYNAMODB_LIMITS_TABLE",
    "similarity_bucket": "SIMILARITY_BUCKET",
    "region": "AWS_DEFAULT_REGION",
    "dynamodb_region": "AWS_DEFAULT_REGION",
    "user_pool_id": "COGNITO_USER_POOL_ID",
    "client_ids": "COGNITO_CLIENT_IDS",
    "issuer": "COGNITO_USER_POOL_ID",
    "jwks_url": "COGNITO_USER_POOL_ID",
    "hosted_login_client_id": "HOSTED_LOGIN_CLIENT_ID",
}
"""Every property that cannot do without a variable, and the variable that its error names."""

OPTIONAL: dict[str, object] = {
    "dynamodb_endpoint": None,
    "s3_endpoint": None,
    "lambda_endpoint": None,
    "worker_function": None,
    "index_cache_bytes": 256 * 1024 * 1024,
    "token_use": "id",
    "allowed_origins": frozenset(),
    "in_sam_local": False,
    "hosted_login_url": None,
    "public_url": None,
    "local_sign_in": (),
    "token_life": timedelta(days=1),
    "tenant_limits": TenantLimits({}),
}
POOL = "eu-west-1_AbCdEf123"
POOL_URL = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"


def settings(**environ: str) -> Settings:
    return Settings(environ)


def test_every_property_is_required_or_optional() -> None:
    properties = {name for name, value in vars(Settings).items() if isinstance(value, property)}
    assert properties == REQUIRED.keys() | OPTIONAL.keys()


@pytest.mark.parametrize(("name", "variable"), REQUIRED.items())
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_variable_is_named(name: str, variable: str, empty: bool) -> None:
    lacking = settings(**{variable: ""}) if empty else settings()
    with pytest.raises(ConfigurationError, match=rf"\b{variable} is not set\. It names .+\."):
        getattr(lacking, name)


@pytest.mark.parametrize(("name", "default"), OPTIONAL.items())
def test_what_has_a_default(name: str, default: object) -> None:
    assert getattr(settings(), name) == default


@pytest.mark.parametrize(
    "name", ["environment", "users_table", "reports_table", "embeddings_table", "similarity_bucket"]
)
def test_a_variable_is_taken_as_it_is(name: str) -> None:
    assert getattr(settings(**{REQUIRED[name]: "value"}), name) == "value"


class TestLimits:
    @pytest.mark.parametrize(
        ("rate", "quota"), [("20", 200), ("0.1", 1), ("2.5", 25), ("999.9", 9999), ("0", None), ("", None)]
    )
    def test_a_rate_is_a_whole_number_of_requests_in_a_window(self, rate: str, quota: int | None) -> None:
        quotas = settings(LIMIT_SEARCHES=rate).tenant_limits.quotas
        assert quotas == ({} if quota is None else {"searches": quota})

    def test_what_may_be_stored(self) -> None:
        limits = settings(LIMIT_ROWS="5", LIMIT_BYTES="0").tenant_limits
        assert (limits.rows, limits.bytes, limits.has_storage, limits.are_on) == (5, None, True, True)

    @pytest.mark.parametrize("name", ["READS", "WRITES", "SEARCHES", "ROWS", "BYTES"])
    @pytest.mark.parametrize("value", ["-1", "many", "1.25", "1e3", "10000000000000000", " 1", "\u0663"])
    def test_a_wrong_one_is_named(self, name: str, value: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"LIMIT_{name} is .+: set it to"):
            _ = settings(**{f"LIMIT_{name}": value}).tenant_limits

    def test_a_process_reads_them_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert get_tenant_limits() is None
        monkeypatch.setenv("LIMIT_READS", "1")
        assert get_tenant_limits() is None
        get_settings.cache_clear()
        get_tenant_limits.cache_clear()
        assert get_tenant_limits() == TenantLimits({"reads": 10})


class TestRegion:
    def test_lambdas_own_variable_comes_first(self) -> None:
        assert settings(AWS_REGION="a", AWS_DEFAULT_REGION="b").region == "a"
        assert settings(AWS_DEFAULT_REGION="b").region == "b"

    def test_the_tables_may_be_elsewhere(self) -> None:
        assert settings(AWS_REGION="a", DYNAMODB_REGION="c").dynamodb_region == "c"
        assert settings(AWS_REGION="a").dynamodb_region == "a"


class TestEndpoint:
    def test_both_names(self) -> None:
        assert settings(DYNAMODB_ENDPOINT_URL="http://old").dynamodb_endpoint == "http://old"
        assert settings(AWS_ENDPOINT_URL_DYNAMODB="http://new").dynamodb_endpoint == "http://new"

    def test_the_standard_name_wins(self) -> None:
        both = settings(AWS_ENDPOINT_URL_DYNAMODB="http://new", DYNAMODB_ENDPOINT_URL="http://old")
        assert both.dynamodb_endpoint == "http://new"

    def test_an_empty_one_is_none(self) -> None:
        assert settings(AWS_ENDPOINT_URL_DYNAMODB="", DYNAMODB_ENDPOINT_URL="").dynamodb_endpoint is None

    @pytest.mark.parametrize(
        ("name", "variable"),
        [
            ("s3_endpoint", "AWS_ENDPOINT_URL_S3"),
            ("lambda_endpoint", "AWS_ENDPOINT_URL_LAMBDA"),
            ("worker_function", "WORKER_FUNCTION"),
        ],
    )
    def test_what_may_be_left_out(self, name: str, variable: str) -> None:
        assert getattr(settings(**{variable: "http://there"}), name) == "http://there"
        assert getattr(settings(**{variable: ""}), name) is None


class TestIndexCache:
    def test_it_is_stated_in_megabytes(self) -> None:
        assert settings(INDEX_CACHE_MEGABYTES="3").index_cache_bytes == 3 * 1024 * 1024
        assert settings(INDEX_CACHE_MEGABYTES="").index_cache_bytes == settings().index_cache_bytes

    @pytest.mark.parametrize("stated", ["0", "00", "-1", "1.5", " 1", "1e3", "many", "\u0663", "\u00b2"])
    def test_any_other_text_is_refused(self, stated: str) -> None:
        with pytest.raises(
            ConfigurationError, match=r"INDEX_CACHE_MEGABYTES is .+: set it to a whole number above 0\."
        ):
            _ = settings(INDEX_CACHE_MEGABYTES=stated).index_cache_bytes


class TestTokens:
    def test_the_issuer_and_its_keys_follow_from_the_pool(self) -> None:
        derived = settings(COGNITO_USER_POOL_ID=POOL)
        assert derived.issuer == POOL_URL
        assert derived.jwks_url == f"{POOL_URL}/.well-known/jwks.json"

    def test_both_can_be_stated(self) -> None:
        stated = settings(COGNITO_ISSUER="http://localhost:4566/pool/", COGNITO_JWKS_URL="http://localhost:1/keys")
        assert stated.issuer == "http://localhost:4566/pool"
        assert stated.jwks_url == "http://localhost:1/keys"
        assert settings(COGNITO_ISSUER="http://x").jwks_url == "http://x/.well-known/jwks.json"

    def test_a_pool_without_a_region_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="COGNITO_USER_POOL_ID is 'pool': it must look like"):
            _ = settings(COGNITO_USER_POOL_ID="pool").issuer

    def test_clients_are_a_set(self) -> None:
        assert settings(COGNITO_CLIENT_IDS=" a, b,,a ").client_ids == {"a", "b"}

    def test_commas_name_no_client(self) -> None:
        """An empty audience would be read by some as any audience."""
        with pytest.raises(ConfigurationError, match="COGNITO_CLIENT_IDS names no client"):
            _ = settings(COGNITO_CLIENT_IDS=" , ").client_ids

    def test_the_use_is_one_of_two(self) -> None:
        assert settings(COGNITO_TOKEN_USE="access").token_use == "access"
        assert settings(COGNITO_TOKEN_USE="").token_use == "id"
        with pytest.raises(ConfigurationError, match="COGNITO_TOKEN_USE is 'Access'"):
            _ = settings(COGNITO_TOKEN_USE="Access").token_use


def test_origins_are_a_set() -> None:
    assert settings(ALLOWED_ORIGINS="https://a, https://b,").allowed_origins == {"https://a", "https://b"}


def test_settings_do_not_print_the_environment() -> None:
    assert "secret" not in repr(settings(AWS_SECRET_ACCESS_KEY="secret"))


def test_the_process_reads_its_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "first")
    first = get_settings()
    monkeypatch.setenv("ENVIRONMENT", "second")
    assert (get_settings(), get_settings().environment) == (first, "first")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises((AttributeError, TypeError)):
        get_settings().environ["ENVIRONMENT"] = "other"  # type: ignore[index]


def test_every_variable_is_documented_by_its_error() -> None:
    """A message says what the variable names, so that nobody has to look it up."""
    for name in REQUIRED:
        with pytest.raises(ConfigurationError) as refused:
            getattr(settings(), name)
        assert re.fullmatch(r"The environment variable [A-Z_]+ is not set\. It names the .+\.", str(refused.value))


@pytest.mark.parametrize(("value", "is_local"), [("true", True), ("", False), ("false", False), ("1", False)])
def test_sam_local_says_so_itself(value: str, is_local: bool) -> None:
    assert settings(AWS_SAM_LOCAL=value).in_sam_local is is_local
