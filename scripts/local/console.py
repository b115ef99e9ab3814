"""What dev.sh says at the terminal."""

import json
import sys
from pathlib import Path

from scripts.local.demo import MODEL_VERSION
from scripts.local.identity import PEOPLE, TOKEN_HOURS

SEARCH = json.dumps(
    {
        "catalogue": "shared",
        "model_version": MODEL_VERSION,
        "product_id": "1",
        "top_k": 3,
        "filter": {"price": {"$lt": 150}},
    }
)


def say(text: str) -> None:
    """To stderr: stdout belongs to what a program may want to read, such as a token."""
    print(text, file=sys.stderr, flush=True)


def welcome(url: str, tokens: Path, log: Path) -> str:
    alice = tokens / "alice.token"
    people = ", ".join(person.username for person in PEOPLE)
    return f"""
K9 API runs at {url}   (Ctrl-C stops it; the data stays)

Every route can be tried in a browser, at {url}/docs

Paste this to create a report and to list alice's:

  TOKEN=$(cat {alice})
  curl -X POST {url}/reports -H "Authorization: Bearer $TOKEN" -d '{{"title": "Test Report"}}'
  curl "{url}/reports?limit=5" -H "Authorization: Bearer $TOKEN"

and this to find the products most like pet 1, Buddy the dog, among those that cost less than 150:

  curl -X POST {url}/embeddings/search -H "Authorization: Bearer $TOKEN" -d '{SEARCH}'

Tokens ({people}) are valid for {TOKEN_HOURS} hours; a fresh one: ./scripts/dev.sh --token alice
The handlers' log is {log}
"""


def welcome_to_cloud(url: str, environment: str, client_id: str, log: Path) -> str:
    return f"""
K9 API runs at {url} against the tables k9-*-{environment}: what it changes there is real. (Ctrl-C stops it)

Every route can be tried in a browser, at {url}/docs

It takes the id tokens of that environment's user pool, for instance

  TOKEN=$(aws cognito-idp initiate-auth --client-id {client_id} --auth-flow USER_PASSWORD_AUTH \\
    --auth-parameters USERNAME=...,PASSWORD=... --query AuthenticationResult.IdToken --output text)
  curl "{url}/reports?limit=5" -H "Authorization: Bearer $TOKEN"

The handlers' log is {log}
"""
