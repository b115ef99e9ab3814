"""The tables and the bucket in moto, as every test finds them: made once through its API, then copied for each test.

Making them by requests takes longer than most tests do what they are about. moto answers one request at a time: its
reads put keys into the dicts that its queries go through, so that threads would now and then break each other's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache, wraps
from threading import RLock
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from tests.support.environment import AWS_IDENTITY, function_environment
from tests.support.tables import create_tables


@contextmanager
def emulated_aws() -> Iterator[None]:
    """AWS in this process, with empty tables of the template and an empty bucket, and nothing else."""
    tables, buckets = _empty()
    with moto_in_turns():
        _tables().update(deepcopy(tables))
        _buckets().update(deepcopy(buckets))
        yield


@contextmanager
def moto_in_turns() -> Iterator[None]:
    """moto's AWS in this process, where threads wait for each other's requests."""
    answer, turn = BotocoreStubber.__call__, RLock()

    @wraps(answer)
    def answer_in_turn(*args: Any, **options: Any) -> Any:
        with turn:
            return answer(*args, **options)

    with mock_aws(), patch.object(BotocoreStubber, "__call__", answer_in_turn):
        yield


@lru_cache(maxsize=1)
def _empty() -> tuple[dict[str, Any], dict[str, Any]]:
    with mock_aws():
        create_tables(boto3.client("dynamodb"))
        boto3.client("s3").create_bucket(Bucket=function_environment()["SIMILARITY_BUCKET"])
        return dict(_tables()), dict(_buckets())


def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = dynamodb_backends[DEFAULT_ACCOUNT_ID][AWS_IDENTITY["AWS_DEFAULT_REGION"]].tables
    return tables


def _buckets() -> dict[str, Any]:
    buckets: dict[str, Any] = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets
    return buckets
