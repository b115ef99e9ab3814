"""Coverage that looks away while others' code runs: measuring the SDK and the emulator takes as long as they do."""

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from botocore.client import ClientCreator
from botocore.parsers import ResponseParser
from botocore.regions import EndpointRulesetResolver
from botocore.signers import RequestSigner
from botocore.validate import ParamValidationDecorator
from moto.core.botocore_stubber import BotocoreStubber

_OTHERS: tuple[tuple[type, str], ...] = (
    (BotocoreStubber, "__call__"),
    (ClientCreator, "create_client"),
    (EndpointRulesetResolver, "construct_endpoint"),
    (ParamValidationDecorator, "serialize_to_request"),
    (RequestSigner, "sign"),
    (ResponseParser, "parse"),
)
"""Where the SDK does its work, and calls nothing of ours meanwhile."""


@pytest.fixture(scope="session", autouse=True)
def others_unmeasured() -> Iterator[None]:
    """Hooks of ours that the SDK calls elsewhere are measured as before."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in _OTHERS:
            patch.setattr(owner, name, _unmeasured(getattr(owner, name)))
        yield


def _unmeasured(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        # Taken away and given back within one frame: Coverage.py's tracer counts the frames that it saw begin and end.
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*args, **options)
        finally:
            sys.settrace(tracer)

    return call
