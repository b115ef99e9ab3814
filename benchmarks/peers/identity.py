"""A Cognito id token checked with python-jose the way its documentation has it, for the peers."""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import urllib3
from jose import JWTError, jwt


class InvalidToken(Exception):
    """The bearer token is not one of the pool's."""


@lru_cache(maxsize=1)
def _keys() -> Mapping[str, Any]:
    document = json.loads(urllib3.PoolManager().request("GET", os.environ["COGNITO_JWKS_URL"]).data)
    return {key["kid"]: key for key in document["keys"]}


def user_of(token: str) -> str:
    """The token's `sub`. Raises InvalidToken."""
    try:
        claims = jwt.decode(
            token,
            _keys()[jwt.get_unverified_header(token)["kid"]],
            algorithms=["RS256"],
            audience=os.environ["COGNITO_CLIENT_IDS"],
            issuer=os.environ["COGNITO_ISSUER"],
            options={"verify_at_hash": False},
        )
    except (JWTError, KeyError) as error:
        raise InvalidToken from error
    if claims.get("token_use") != "id":
        raise InvalidToken
    return str(claims["sub"])
