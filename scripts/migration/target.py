"""The tables to write to: the laptop stack's, those of an environment on AWS, or those that the shell names."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment.failure import explain
from scripts.local.cloud import read_outputs
from scripts.local.folder import LocalFolder
from scripts.local.template import Template
from scripts.migration.calls import CONNECT_SECONDS, READ_SECONDS
from scripts.migration.failure import MigrationError
from scripts.migration.lock import LOCK_ID
from scripts.migration.rules import Table
from shared import __version__
from shared.config import ConfigurationError, Settings
from shared.database.manager import DatabaseManager
from shared.similarity.objects import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ELSEWHERE = ("AWS_ENDPOINT_URL_DYNAMODB", "DYNAMODB_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_VARIABLES: dict[Table, str] = {
    "users": "DYNAMODB_USERS_TABLE",
    "reports": "DYNAMODB_REPORTS_TABLE",
    "embeddings": "DYNAMODB_EMBEDDINGS_TABLE",
}


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Which environment is meant: `--local`, `--environment` with the user's own credentials, or the shell's."""

    local: bool = False
    environment: str | None = None
    profile: str | None = None
    region: str | None = None
    bucket: str | None = None


class Target:
    """The tables and the bucket of one environment. `connections` is how many calls run at once at most."""

    def __init__(self, settings: Settings, connections: int = 8) -> None:
        self.settings = settings
        self.tables: dict[Table, str] = {
            "users": settings.users_table,
            "reports": settings.reports_table,
            "embeddings": settings.embeddings_table,
        }
        self.writer = DatabaseManager(settings, _single_try_client(settings, connections))
        """Every call is one try, so that who made it knows what may have been applied."""
        self.reader = DatabaseManager(settings)
        """Calls are tried again by the SDK, which does no harm to reads."""

    @cached_property
    def identity(self) -> str:
        """What tells these tables from all others, those of their names in another account or made anew included.

        Raises MigrationError.
        """
        place = self.settings.dynamodb_endpoint or self.settings.dynamodb_region
        return " ".join((place, *(self._identify(name) for name in self.tables.values())))

    def _identify(self, name: str) -> str:
        try:
            found = self.reader.client.describe_table(TableName=name)["Table"]
        except (BotoCoreError, ClientError) as error:
            raise MigrationError(f"The table {name} cannot be described. {explain(error)}") from error
        own = found.get("TableId") or f"{found['TableArn']}@{found['CreationDateTime']}"
        return f"{name}:{own}"

    def objects(self) -> ObjectStore | None:
        """The bucket of similarity data; None where no bucket is named."""
        return ObjectStore(self.settings) if self.settings.environ.get("SIMILARITY_BUCKET") else None

    def is_empty(self, table: Table) -> bool:
        """Whether the table has no row now but the lock of a migration. Raises MigrationError."""
        position: dict[str, Any] = {}
        while True:
            page = self._scan(table, position)
            if any(item.get("user_id") != {"S": LOCK_ID} for item in page["Items"]):
                return False
            if "LastEvaluatedKey" not in page:
                return True
            position = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _scan(self, table: Table, position: dict[str, Any]) -> Mapping[str, Any]:
        try:
            return self.reader.client.scan(TableName=self.tables[table], Limit=2, ConsistentRead=True, **position)
        except (BotoCoreError, ClientError) as error:
            raise MigrationError(f"The table {self.tables[table]} cannot be read. {explain(error)}") from error


def open_target(options: TargetOptions, connections: int = 8) -> Target:
    """Raises MigrationError. Puts the target's variables into the environment, where the SDK looks for credentials."""
    if options.local:
        variables = _local_variables()
    elif options.environment:
        variables = _cloud_variables(options)
    else:
        variables = {}
    os.environ.update(variables)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB", "")
    if urlsplit(endpoint).hostname in ("127.0.0.1", "localhost"):
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    try:
        return Target(Settings(MappingProxyType(dict(os.environ))), connections)
    except ConfigurationError as error:
        raise MigrationError(
            f"{error} Say where to write: --local for the laptop stack, --environment dev for one on AWS; or plan with "
            "--offline."
        ) from error
    except BotoCoreError as error:
        raise MigrationError(explain(error)) from error


def _local_variables() -> dict[str, str]:
    path = LocalFolder.of(os.environ).variables
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MigrationError(f"There is no {path}: start the laptop stack first, with ./scripts/dev.sh.") from error
    words = [shlex.split(line) for line in lines]
    pairs = [word[1].partition("=") for word in words if len(word) == 2 and word[0] == "export"]
    return {name: value for name, _, value in pairs}


def _cloud_variables(options: TargetOptions) -> dict[str, str]:
    """Credentials stay the caller's own."""
    leading = [name for name in _ELSEWHERE if os.environ.get(name)]
    if leading:
        raise MigrationError(
            f"--environment is one on AWS, but this shell leads elsewhere with {', '.join(leading)}, as one with the "
            "laptop stack's variables does: unset these, or leave --environment out."
        )
    names = {table.name.split("-")[1]: table.name for table in Template.load().tables(options.environment or "")}
    variables = {variable: names[table] for table, variable in _VARIABLES.items()}
    if options.profile:
        variables["AWS_PROFILE"] = options.profile
    session = botocore.session.Session(profile=options.profile)
    region = options.region or session.get_config_variable("region")
    if not region:
        raise MigrationError("No AWS region is set: pass --region, or set AWS_REGION.")
    variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "ENVIRONMENT": options.environment or ""}
    return {**variables, "SIMILARITY_BUCKET": options.bucket or _bucket(session, region, options.environment or "")}


def _bucket(session: botocore.session.Session, region: str, environment: str) -> str:
    stack = f"k9-api-{environment}"
    try:
        client: Any = session.create_client("cloudformation", region_name=region)
        found = client.describe_stacks(StackName=stack)
        return read_outputs(found["Stacks"][0])["SimilarityBucketName"]
    except (BotoCoreError, ClientError) as error:
        raise MigrationError(
            f"The stack {stack} cannot be asked for its bucket. {explain(error)} Or pass --bucket."
        ) from error
    except KeyError as error:
        raise MigrationError(f"The stack {stack} names no bucket: pass --bucket.") from error


def _single_try_client(settings: Settings, connections: int) -> "DynamoDBClient":
    session = botocore.session.Session()
    client: Any = session.create_client(
        "dynamodb",
        region_name=settings.dynamodb_region,
        endpoint_url=settings.dynamodb_endpoint,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=connections,
            parameter_validation=False,  # every parameter is composed from values already validated
            user_agent=f"k9-migrate/{__version__} Botocore/{botocore.__version__}",  # else it is built for each try
        ),
    )
    made: DynamoDBClient = client
    return made
