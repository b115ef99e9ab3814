"""What every contender is given alike: environment, claims, an API Gateway event, and DynamoDB's answer."""

import json
import time
import zlib
from typing import Any

POOL = "eu-west-1_K9Bench01"
ISSUER = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
CLIENT_ID = "4k9benchclient000000000000"
USER_ID = "b3c4d5e6-1111-4222-8333-944455556666"
REPORT_ID = "7b0c1f7e-5c1b-4c57-9f7e-2f6a1f0c9d11"
HOST = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
PATH = f"/reports/{REPORT_ID}"

ITEM: dict[str, Any] = {
    "id": {"S": REPORT_ID},
    "user_id": {"S": USER_ID},
    "title": {"S": "Winter boots, second round"},
    "author": {"S": "Ada Example"},
    "date": {"S": "2026-09-23"},
    "reference": {
        "M": {
            "id": {"S": "sku-40917"},
            "name": {"S": "Trail boot, waterproof, ankle high"},
            "brand": {"S": "Northfell"},
            "price": {"M": {"amount": {"N": "249.99"}, "currency": {"S": "EUR"}}},
            "sizes": {"L": [{"N": str(size)} for size in range(38, 47)]},
            "colours": {"L": [{"S": "graphite"}, {"S": "moss"}, {"S": "rust"}]},
            "attributes": {
                "M": {
                    "material": {"S": "nubuck leather"},
                    "sole": {"S": "rubber"},
                    "weight_grams": {"N": "610"},
                    "waterproof": {"BOOL": True},
                    "rating": {"N": "4.37"},
                    "reviews": {"N": "1284"},
                    "successor": {"NULL": True},
                }
            },
            "description": {
                "S": "A light boot for wet ground, with a sealed tongue and a sole that can be replaced. " * 3
            },
        }
    },
    "favorites": {"SS": [f"sku-{number}" for number in range(51000, 51008)]},
    "created_at": {"S": "2026-09-23T17:20:52.104233Z"},
    "updated_at": {"S": "2026-09-24T08:01:10.911045Z"},
    "version": {"N": "3"},
    **{f"write_{age}": {"S": f"2026-09-24T08:01:1{4 - age}.911045Z {REPORT_ID} -"} for age in range(1, 5)},
    "create_write": {"S": f"2026-09-23T17:20:52.104233Z {REPORT_ID} -"},
}


def describe(token: str, jwks_url: str) -> dict[str, Any]:
    """Everything as one JSON document, for `stage.set_up`."""
    return {"environment": _environment(jwks_url), "event": _event(token), "answer": _answer()}


def claims() -> dict[str, Any]:
    """Those of a Cognito id token."""
    now = int(time.time())
    return {
        "at_hash": "hKz1fW4xJ0sLQmN3qzT9ug",
        "sub": USER_ID,
        "cognito:groups": ["editors"],
        "email_verified": True,
        "iss": ISSUER,
        "cognito:username": USER_ID,
        "origin_jti": "5bd4d0b5-9f0e-4d4f-9d35-5a1ed0f0a001",
        "aud": CLIENT_ID,
        "event_id": "64f1d7a2-1f0a-4b8e-8c53-7a2ed0f0a002",
        "token_use": "id",
        "auth_time": now,
        "name": "Ada Example",
        "exp": now + 24 * 3600,
        "iat": now,
        "jti": "7c1f2f4e-0a51-4f7b-bf5b-1c3ed0f0a003",
        "email": "ada@example.com",
    }


def _answer() -> dict[str, Any]:
    """DynamoDB's answer to GetItem as it comes from the socket."""
    document = {"ConsumedCapacity": {"TableName": "k9-reports-bench", "CapacityUnits": 1.0}, "Item": ITEM}
    content = json.dumps(document, separators=(",", ":"))
    headers = {
        "Server": "Server",
        "Date": "Thu, 24 Sep 2026 08:01:11 GMT",
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Length": str(len(content)),
        "Connection": "keep-alive",
        "x-amzn-RequestId": "J8QK2V4L8M0N6P2R4T6V8X0Z2B4D6F8H0J2L4N6P8R0T2V4X6Z8",
        "x-amz-crc32": str(zlib.crc32(content.encode())),
    }
    return {"headers": headers, "content": content}


def _environment(jwks_url: str) -> dict[str, str]:
    return {
        "ENVIRONMENT": "bench",
        "DYNAMODB_USERS_TABLE": "k9-users-bench",
        "DYNAMODB_REPORTS_TABLE": "k9-reports-bench",
        "DYNAMODB_EMBEDDINGS_TABLE": "k9-embeddings-bench",
        "DYNAMODB_LIMITS_TABLE": "k9-limits-bench",
        "SIMILARITY_BUCKET": "k9-similarity-bench",
        "COGNITO_USER_POOL_ID": POOL,
        "COGNITO_CLIENT_IDS": CLIENT_ID,
        "COGNITO_ISSUER": ISSUER,
        "COGNITO_JWKS_URL": jwks_url,
        "ALLOWED_ORIGINS": "https://app.example.com",
        "POWERTOOLS_SERVICE_NAME": "k9-api",
        "POWERTOOLS_METRICS_NAMESPACE": "K9",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLEEXAMPLE00",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIexamplekeyexamplekeyexample",
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLE" * 20,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": "get-report",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    }


def _event(token: str) -> dict[str, Any]:
    """API Gateway's payload format 2.0, as a browser's request through an HTTP API makes it."""
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
    return {
        "version": "2.0",
        "routeKey": "GET /reports/{report_id}",
        "rawPath": PATH,
        "rawQueryString": "",
        "headers": {
            "accept": "application/json",
            "accept-encoding": "gzip, deflate, br",
            "accept-language": "en-GB,en;q=0.7",
            "authorization": f"Bearer {token}",
            "content-length": "0",
            "host": HOST,
            "origin": "https://app.example.com",
            "referer": "https://app.example.com/",
            "user-agent": agent,
            "x-amzn-trace-id": "Root=1-66f1a2b4-2c2d3e4f5a6b7c8d9e0f1a2b",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": {"jwt": {"claims": {"sub": USER_ID, "token_use": "id"}, "scopes": None}},
            "domainName": HOST,
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": "GET",
                "path": PATH,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": agent,
            },
            "requestId": "JKJbYhJyPHcESnA=",
            "routeKey": "GET /reports/{report_id}",
            "stage": "$default",
            "time": "24/Sep/2026:08:01:11 +0000",
            "timeEpoch": 1790236871000,
        },
        "pathParameters": {"report_id": REPORT_ID},
        "isBase64Encoded": False,
    }
