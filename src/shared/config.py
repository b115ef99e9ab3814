"""The environment as one typed, frozen object, read once on first use. Nothing is read at import time."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, cast

from .process import per_process

TokenUse = Literal["id", "access"]
RouteClass = Literal["reads", "writes", "searches"]
ROUTE_CLASSES: tuple[RouteClass, ...] = ("reads", "writes", "searches")
LIMIT_WINDOW_SECONDS = 10
"""What a tenant's requests are counted by; a rate of one decimal times it is a whole number."""

_RATE = re.compile(r"[0-9]{1,3}(\.[0-9])?")
_AMOUNT = re.compile(r"[0-9]{1,15}")
_INDEX_CACHE_MEGABYTES = 256
_ORIGIN = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?")
_TOKEN_LIFE_MINUTES = 24 * 60


class ConfigurationError(Exception):
    """The environment lacks a variable or holds an unusable value; the message names it."""


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """What one tenant may use. What has no entry, or is None, is not limited."""

    quotas: Mapping[RouteClass, int]
    """Requests in a window, by class of route."""

    rows: int | None = None
    bytes: int | None = None

    @property
    def has_storage(self) -> bool:
        return self.rows is not None or self.bytes is not None

    @property
    def are_on(self) -> bool:
        return bool(self.quotas) or self.has_storage


@dataclass(frozen=True, slots=True)
class Settings:
    """Typed access to the environment.

    A variable is asked for when something needs it, so a script that only touches tables does not have to
    know the user pool. Every property raises ConfigurationError, with the variable's name, where it is missing.
    """

    environ: Mapping[str, str] = field(repr=False)

    @property
    def environment(self) -> str:
        return self._required("ENVIRONMENT", "the deployment's name, such as dev or prod")

    @property
    def users_table(self) -> str:
        return self._required("DYNAMODB_USERS_TABLE", "the DynamoDB table of users")

    @property
    def reports_table(self) -> str:
        return self._required("DYNAMODB_REPORTS_TABLE", "the DynamoDB table of reports")

    @property
    def embeddings_table(self) -> str:
        return self._required("DYNAMODB_EMBEDDINGS_TABLE", "the DynamoDB table of embeddings")

    @property
    def limits_table(self) -> str:
        return self._required("DYNAMODB_LIMITS_TABLE", "the DynamoDB table of what tenants have used of their limits")

    @property
    def tenant_limits(self) -> TenantLimits:
        """The limits of each tenant; off where nothing, or 0, is set."""
        rates = {kind: self._tenths(f"LIMIT_{kind.upper()}") for kind in ROUTE_CLASSES}
        quotas = {kind: tenths * LIMIT_WINDOW_SECONDS // 10 for kind, tenths in rates.items() if tenths}
        return TenantLimits(MappingProxyType(quotas), self._amount("LIMIT_ROWS"), self._amount("LIMIT_BYTES"))

    @property
    def similarity_bucket(self) -> str:
        return self._required("SIMILARITY_BUCKET", "the S3 bucket of similarity data")

    @property
    def index_cache_bytes(self) -> int:
        """How much memory the similarity indexes of one process may take."""
        stated = self.environ.get("INDEX_CACHE_MEGABYTES") or str(_INDEX_CACHE_MEGABYTES)
        if not stated.isascii() or not stated.isdigit() or int(stated) == 0:
            raise ConfigurationError(f"INDEX_CACHE_MEGABYTES is {stated!r}: set it to a whole number above 0.")
        return int(stated) * 1024 * 1024

    @property
    def worker_function(self) -> str | None:
        """The function that does what takes longer than a request; None for a thread of this process."""
        return self.environ.get("WORKER_FUNCTION") or None

    @property
    def s3_endpoint(self) -> str | None:
        """Address of an S3 other than AWS's own; None for AWS."""
        return self.environ.get("AWS_ENDPOINT_URL_S3") or None

    @property
    def lambda_endpoint(self) -> str | None:
        """Address of a Lambda other than AWS's own; None for AWS."""
        return self.environ.get("AWS_ENDPOINT_URL_LAMBDA") or None

    @property
    def dynamodb_endpoint(self) -> str | None:
        """Address of a DynamoDB other than AWS's own; None for AWS."""
        return self.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or self.environ.get("DYNAMODB_ENDPOINT_URL") or None

    @property
    def dynamodb_region(self) -> str:
        return self.environ.get("DYNAMODB_REGION") or self.region

    @property
    def region(self) -> str:
        return self.environ.get("AWS_REGION") or self._required("AWS_DEFAULT_REGION", "the AWS region (or AWS_REGION)")

    @property
    def token_life(self) -> timedelta:
        """The longest that a token of the pool is good for; where it is not said, a day: Cognito allows no more."""
        stated = self.environ.get("TOKEN_LIFE_MINUTES") or str(_TOKEN_LIFE_MINUTES)
        if not stated.isascii() or not stated.isdigit() or int(stated) > _TOKEN_LIFE_MINUTES:
            raise ConfigurationError(
                f"TOKEN_LIFE_MINUTES is {stated!r}: set it to a whole number up to {_TOKEN_LIFE_MINUTES}."
            )
        return timedelta(minutes=int(stated))

    @property
    def user_pool_id(self) -> str:
        return self._required("COGNITO_USER_POOL_ID", "the Cognito user pool, such as us-east-1_AbCdEf123")

    @property
    def client_ids(self) -> frozenset[str]:
        """App clients whose tokens are accepted: the allowed audience."""
        listed = self._required("COGNITO_CLIENT_IDS", "the pool's app clients, comma-separated")
        clients = frozenset(part.strip() for part in listed.split(",") if part.strip())
        if not clients:
            raise ConfigurationError("COGNITO_CLIENT_IDS names no client: set it to at least one app client id.")
        return clients

    @property
    def token_use(self) -> TokenUse:
        value = self.environ.get("COGNITO_TOKEN_USE") or "id"
        if value not in ("id", "access"):
            raise ConfigurationError(f"COGNITO_TOKEN_USE is {value!r}: set it to 'id' or 'access'.")
        return cast(TokenUse, value)

    @property
    def issuer(self) -> str:
        """The `iss` of the pool's tokens; derived from the pool id, whose prefix is the pool's region."""
        stated = self.environ.get("COGNITO_ISSUER")
        if stated:
            return stated.rstrip("/")
        pool = self.user_pool_id
        region, separator, _ = pool.partition("_")
        if not separator:
            raise ConfigurationError(f"COGNITO_USER_POOL_ID is {pool!r}: it must look like us-east-1_AbCdEf123.")
        return f"https://cognito-idp.{region}.amazonaws.com/{pool}"

    @property
    def jwks_url(self) -> str:
        return self.environ.get("COGNITO_JWKS_URL") or f"{self.issuer}/.well-known/jwks.json"

    @property
    def in_sam_local(self) -> bool:
        """Whether `sam local` runs this function, in a container on somebody's own machine."""
        return self.environ.get("AWS_SAM_LOCAL") == "true"

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins that browsers may call from (CORS); empty for none, `*` for any."""
        listed = self.environ.get("ALLOWED_ORIGINS", "")
        return frozenset(part.strip() for part in listed.split(",") if part.strip())

    @property
    def hosted_login_url(self) -> str | None:
        """Where people sign in for the documentation page (Cognito's hosted login); None where there is none."""
        url = self.environ.get("HOSTED_LOGIN_URL") or None
        # It becomes part of a header that says what a browser may do.
        if url is not None and not _ORIGIN.fullmatch(url):
            raise ConfigurationError(
                f"HOSTED_LOGIN_URL is {url!r}: set it to an origin such as https://k9.auth.us-east-1.amazoncognito.com."
            )
        return url

    @property
    def hosted_login_client_id(self) -> str:
        return self._required("HOSTED_LOGIN_CLIENT_ID", "the app client that the hosted login signs in to")

    @property
    def public_url(self) -> str | None:
        """The address that people use for the API, without a slash at its end; None for whichever it is called at."""
        return self.environ.get("PUBLIC_URL") or None

    @property
    def local_sign_in(self) -> tuple[str, ...]:
        """The demo users whom a laptop's gateway signs in for the documentation page; nobody where there is none."""
        listed = self.environ.get("LOCAL_SIGN_IN", "")
        return tuple(part.strip() for part in listed.split(",") if part.strip())

    def _tenths(self, name: str) -> int:
        """Requests a second, times ten."""
        stated = self.environ.get(name) or "0"
        if not _RATE.fullmatch(stated):
            raise ConfigurationError(
                f"{name} is {stated!r}: set it to requests a second, such as 20 or 0.5, up to 999.9; 0 for no limit."
            )
        whole, _, tenth = stated.partition(".")
        return 10 * int(whole) + int(tenth or "0")

    def _amount(self, name: str) -> int | None:
        stated = self.environ.get(name) or "0"
        if not _AMOUNT.fullmatch(stated):
            raise ConfigurationError(f"{name} is {stated!r}: set it to a whole number, or to 0 for no limit.")
        return int(stated) or None

    def _required(self, name: str, meaning: str) -> str:
        value = self.environ.get(name)
        if not value:
            raise ConfigurationError(f"The environment variable {name} is not set. It names {meaning}.")
        return value


@per_process
def get_settings() -> Settings:
    """The process's settings: a copy of the environment as it is at the first call."""
    return Settings(MappingProxyType(dict(os.environ)))


@per_process
def get_tenant_limits() -> TenantLimits | None:
    """The process's limits of each tenant, read once; None where none is on. Raises ConfigurationError."""
    limits = get_settings().tenant_limits
    return limits if limits.are_on else None
