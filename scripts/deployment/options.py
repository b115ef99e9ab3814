"""The command line of deploy.sh."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.deployment import arguments, terminal
from scripts.deployment.arguments import Parser

_DESCRIPTION = (
    "Builds K9 API and deploys it. What is not named stays as it is in the environment; a new one takes the defaults."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None and () where it says nothing."""

    environment: str
    region: str | None
    profile: str | None
    user_pool_id: str | None
    client_ids: tuple[str, ...]
    settings: dict[str, str]
    use_container: bool
    dry_run: bool
    yes: bool

    @property
    def needs_review(self) -> bool:
        """Whether somebody has to see the change set before it is carried out."""
        return self.environment == "prod" and not (self.yes or self.dry_run)


def parse(given: Sequence[str] | None) -> Options:
    """Ends the process, with status 2, where the options are wrong."""
    parser = _parser()
    found = parser.parse_args(given)
    options = Options(
        environment=found.environment,
        region=found.region,
        profile=found.profile,
        user_pool_id=found.user_pool_id,
        client_ids=tuple(dict.fromkeys(found.user_pool_client_id or ())),
        settings=_settings(found),
        use_container=found.use_container,
        dry_run=found.dry_run,
        yes=found.yes,
    )
    if options.needs_review and not terminal.is_there():
        parser.error("prod is deployed without a terminal only with --yes; --dry-run shows what would change")
    return options


def _settings(found: argparse.Namespace) -> dict[str, str]:
    """The template's parameters that have an option of their own."""
    stated = {
        "AllowedOrigins": ",".join(dict.fromkeys(found.allowed_origin or ())),
        "BucketName": found.bucket_name,
        "TokenUse": found.token_use,
        "LongestTokenLife": found.token_life,
        "Architecture": found.architecture,
        "PublicUrl": found.public_url,
        "HostedLoginUrl": found.hosted_login_url,
        "SnapStart": found.snap_start.capitalize() if found.snap_start else None,
        "AlarmEmail": found.alarm_email,
        "MonthlyBudget": found.monthly_budget,
        "LimitReads": found.limit_reads,
        "LimitWrites": found.limit_writes,
        "LimitSearches": found.limit_searches,
        "LimitRows": found.limit_rows,
        "LimitBytes": found.limit_bytes,
    }
    return {name: value for name, value in stated.items() if value}


def _parser() -> Parser:
    parser = Parser("scripts/deploy.sh", _DESCRIPTION)
    parser.add_account()
    run = parser.add_argument_group("this run")
    run.add_argument("--dry-run", action="store_true", help="show the change set and stop")
    run.add_argument("--yes", action="store_true", help="ask nothing; needed for prod where there is no terminal")
    run.add_argument("--use-container", action="store_true", help="build in a container instead of with Python 3.13")
    pool = parser.add_argument_group("who may sign in")
    pool.add_argument(
        "--user-pool-id",
        type=arguments.user_pool_id,
        metavar="ID",
        help="the Cognito user pool; without it, one is made",
    )
    pool.add_argument(
        "--user-pool-client-id",
        type=arguments.client_id,
        metavar="ID",
        action="append",
        help="an app client whose tokens are accepted, instead of all the pool has; may be repeated",
    )
    pool.add_argument(
        "--hosted-login-url",
        type=arguments.login,
        metavar="URL",
        help="the pool's hosted login, for the documentation page",
    )
    pool.add_argument("--token-use", choices=("id", "access"), help="which of the pool's tokens are accepted (id)")
    pool.add_argument(
        "--token-life",
        type=arguments.token_life,
        metavar="MINUTES",
        help="how long a token of the given pool is good for, which erasures wait for (1440)",
    )
    _add_settings(parser.add_argument_group("what is deployed"))
    _add_limits(parser.add_argument_group("what one user may use; 0 for no limit"))
    return parser


def _add_settings(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--allowed-origin",
        type=arguments.origin,
        metavar="ORIGIN",
        action="append",
        help="a web origin that may call the API from a browser; may be repeated (dev: localhost's)",
    )
    group.add_argument(
        "--public-url",
        type=arguments.address,
        metavar="URL",
        help="the address that people use for the API, such as a custom domain (the stack's own)",
    )
    group.add_argument(
        "--bucket-name",
        type=arguments.bucket_name,
        metavar="NAME",
        help="the bucket of similarity data (k9-similarity-ENVIRONMENT-ACCOUNT)",
    )
    group.add_argument("--architecture", choices=("x86_64", "arm64"), help="the functions' processors (x86_64)")
    group.add_argument("--snap-start", choices=("on", "off"), help="start functions from snapshots")
    group.add_argument("--alarm-email", type=arguments.email, metavar="ADDRESS", help="who is told of alarms")
    group.add_argument(
        "--monthly-budget", type=arguments.budget, metavar="DOLLARS", help="tell of costs beyond it; 0 for none"
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    for kind in ("reads", "writes", "searches"):
        group.add_argument(f"--limit-{kind}", type=arguments.rate, metavar="RATE", help=f"{kind} a second")
    for kind in ("rows", "bytes"):
        group.add_argument(f"--limit-{kind}", type=arguments.amount, metavar="NUMBER", help=f"stored {kind}")
