"""Sets the scene in a process that is measured; imports next to nothing, lest it hide what a contender imports."""

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

SILENT = "k9-silent"
MODULES = {
    "k9": "handlers.reports.get_report",
    SILENT: "handlers.reports.get_report",
    "powertools": "benchmarks.peers.powertools_resolver",
    "fastapi-async": "benchmarks.peers.fastapi_async",
    "fastapi": "benchmarks.peers.fastapi_mangum",
    "floor": "benchmarks.peers.bare_client",
}


class Context:
    """Lambda's context, as far as anyone here looks at it."""

    function_name = "get-report"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:get-report"
    aws_request_id = "5a2b1c3d-0e4f-4a5b-8c6d-7e8f9a0b1c2d"


def set_up(scene_path: str) -> dict[str, Any]:
    """Apply the environment, stub DynamoDB, silence stdout, and return the event."""
    with open(scene_path, encoding="utf-8") as file:
        scene: dict[str, Any] = json.load(file)
    os.environ.update(scene["environment"])
    stub_dynamodb(scene["answer"])
    event: dict[str, Any] = scene["event"]
    return event


def divert_stdout() -> int:
    """Send what is printed to /dev/null, for all contenders alike, and return a descriptor of the true stdout."""
    sys.stdout.flush()
    true_stdout = os.dup(1)
    with open(os.devnull, "w", encoding="utf-8") as null:
        os.dup2(null.fileno(), 1)
    return true_stdout


def load_handler(name: str) -> Any:
    module = import_module(MODULES[name])
    if name == SILENT:
        http = vars(import_module("shared.http"))
        assert "log_request" in http
        http["log_request"] = lambda **_: None
    return module.handler


def stub_dynamodb(answer: dict[str, Any]) -> None:
    """Have every botocore client that is made from now on get this answer, where the socket would be.

    All before and after it runs as ever: endpoint rules, serializer, signature, retries, parser. BUILTIN_HANDLERS is
    what every new session registers; moto takes the same way in.
    """
    from botocore.awsrequest import AWSResponse
    from botocore.handlers import BUILTIN_HANDLERS

    raw = _Raw(answer["content"].encode())

    def respond(request: Any, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 200, answer["headers"], raw)

    BUILTIN_HANDLERS.append(("before-send.dynamodb.GetItem", respond))


class _Raw:
    """As much of urllib3's response as botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content
