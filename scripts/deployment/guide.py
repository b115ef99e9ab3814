"""What is said at the end of a deployment: where the API is, and how to get a first token."""

import shlex
from collections.abc import Mapping

from scripts.deployment.account import Account
from scripts.deployment.pool import SignIn, sign_in_of

_TOKENS = {"id": "IdToken", "access": "AccessToken"}
_PASSWORD_FLOWS = {
    "USER_PASSWORD_AUTH": "initiate-auth --client-id {client} --auth-flow USER_PASSWORD_AUTH",
    "ADMIN_USER_PASSWORD_AUTH": (
        "admin-initiate-auth --user-pool-id {pool} --client-id {client} \\\n    --auth-flow ADMIN_USER_PASSWORD_AUTH"
    ),
}


def page(url: str, parameters: Mapping[str, str]) -> str:
    """Where the documentation page is, and how one signs in there."""
    has_login = parameters.get("HostedLoginUrl") or (parameters.get("PublicUrl") and not parameters.get("UserPoolId"))
    address = f"{parameters.get('PublicUrl') or url}/docs"
    if not has_login and not parameters.get("UserPoolId"):
        return (
            f"Every route can be tried in a browser, at {address}; a token is pasted there. The pool's login does not "
            "know that address yet: deploy once more to have people sign in there.\n"
        )
    if not has_login:
        return (
            f"Every route can be tried in a browser, at {address}; a token is pasted there. "
            "With --hosted-login-url the page offers the pool's login instead.\n"
        )
    if parameters.get("UserPoolId"):
        return (
            f"Every route can be tried in a browser, at {address}. The first of the app clients has to allow that "
            "address as callback and sign-out URL, and the code flow with the scopes openid, email and profile.\n"
        )
    return f"Every route can be tried in a browser, at {address}, once you have signed in there.\n"


def first_token(account: Account, url: str, pool_id: str, client_ids: list[str], token_use: str) -> str:
    """The lines to paste. They ask for the password, so that it is in no history."""
    clients = [sign_in_of(account, pool_id, client_id) for client_id in client_ids]
    flow = _best(pool_id, clients)
    if flow is None:
        return (
            f"To get a token, sign in with your own front end: no app client of {pool_id} that is accepted here takes "
            "a plain password. (On a client without a secret, ALLOW_USER_PASSWORD_AUTH or "
            "ALLOW_ADMIN_USER_PASSWORD_AUTH would allow it from a terminal.)"
        )
    region = " ".join(shlex.quote(part) for part in account.options)
    return f"""A first user, and a token ({token_use} token; the aws command is needed for this):

  EMAIL=you@example.com
  read -rsp "Password (no comma): " PASSWORD
  aws cognito-idp admin-create-user --user-pool-id {pool_id} --username "$EMAIL" --message-action SUPPRESS \\
    --user-attributes Name=email,Value="$EMAIL" Name=email_verified,Value=true {region}
  aws cognito-idp admin-set-user-password --user-pool-id {pool_id} --username "$EMAIL" \\
    --password "$PASSWORD" --permanent {region}
  TOKEN=$(aws cognito-idp {flow} \\
    --auth-parameters USERNAME="$EMAIL",PASSWORD="$PASSWORD" \\
    --query AuthenticationResult.{_TOKENS[token_use]} --output text {region})

and with it, every main route once:

  ./scripts/smoke.sh {url} - <<<"$TOKEN"
"""


def _best(pool_id: str, clients: list[SignIn]) -> str | None:
    """The call that takes a password, of the first client that has one; with a secret it would need a hash besides."""
    usable = [client for client in clients if not client.has_secret]
    for flow, call in _PASSWORD_FLOWS.items():
        for client in usable:
            if f"ALLOW_{flow}" in client.flows:
                return call.format(pool=pool_id, client=client.client_id)
    return None


def known_as(outputs: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[str, list[str]]:
    """The pool and the accepted clients, whether they are the stack's own or were named."""
    pool_id = parameters.get("UserPoolId") or outputs.get("UserPoolId", "")
    clients = parameters.get("UserPoolClientIds") or outputs.get("UserPoolClientId", "")
    return pool_id, [client for client in clients.split(",") if client]
