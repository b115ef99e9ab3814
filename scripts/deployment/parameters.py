"""The template's parameters for one deployment: each once, from the options, the stack as it is, or the defaults."""

from collections.abc import Collection, Mapping

from scripts.deployment.failure import DeploymentError
from scripts.deployment.options import Options
from scripts.deployment.pool import Pool
from scripts.deployment.stack import Stack
from scripts.local.variables import WEB_ORIGINS

PUBLIC_URL = "PublicUrl"
HOSTED_LOGIN_URL = "HostedLoginUrl"


def choose(options: Options, stack: Stack | None, pool: Pool | None, known: Collection[str]) -> dict[str, str]:
    """Raises DeploymentError where a new stack lacks what has no default, or an option what the template knows.

    Empty values are left out: they are the defaults.
    """
    chosen = {
        **_of_stack(stack, pool, known),
        **_own_address(stack, pool, known),
        **options.settings,
        **({"UserPoolId": pool.pool_id, "UserPoolClientIds": ",".join(pool.client_ids)} if pool else {}),
        "Environment": options.environment,
    }
    if not chosen.get("AllowedOrigins"):
        chosen["AllowedOrigins"] = _default_origins(options.environment)
    _ensure_known(chosen, known)
    if pool is None and chosen.get(HOSTED_LOGIN_URL):
        raise DeploymentError(
            "--hosted-login-url is the login of a pool that is there already: name that with --user-pool-id. "
            "The pool that the stack makes has a login of its own; leave the option out."
        )
    return {name: value for name, value in chosen.items() if value}


def overrides(parameters: Mapping[str, str]) -> list[str]:
    """As sam takes them. No value has blanks, quotes or backslashes: see `arguments`."""
    return [f"{name}={value}" for name, value in sorted(parameters.items())]


def _of_stack(stack: Stack | None, pool: Pool | None, known: Collection[str]) -> dict[str, str]:
    """Without those that the template no longer has, and without the login of a pool that is given up: no token that
    another pool gives is taken."""
    if stack is None:
        return {}
    is_another = pool is not None and pool.pool_id != stack.parameters.get("UserPoolId")
    gone = {HOSTED_LOGIN_URL} if is_another else set()
    return {name: value for name, value in stack.parameters.items() if name in known and name not in gone}


def _own_address(stack: Stack | None, pool: Pool | None, known: Collection[str]) -> dict[str, str]:
    """Where the stack's own pool sends people back to after its login: the API's address, unless told another."""
    if stack is None or pool is not None or PUBLIC_URL not in known:
        return {}
    return {PUBLIC_URL: stack.parameters.get(PUBLIC_URL) or stack.outputs.get("ApiUrl", "")}


def _default_origins(environment: str) -> str:
    if environment == "dev":
        return ",".join(WEB_ORIGINS)
    raise DeploymentError(
        f"Which web front end may call {environment} from a browser? Pass --allowed-origin https://app.example.com, "
        "once for each origin. (dev alone has a default: localhost.)"
    )


def _ensure_known(chosen: Mapping[str, str], known: Collection[str]) -> None:
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise DeploymentError(
            f"infrastructure/template.yaml has no parameter {', '.join(unknown)}: leave the option out."
        )
