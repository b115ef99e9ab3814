"""One loader of the SDK's data files for the whole run: a session of its own would read them anew for each test."""

from collections.abc import Iterator
from functools import lru_cache

import pytest
from botocore.loaders import create_loader

from shared.database.sdk_data import OneServiceLoader


@pytest.fixture(scope="session", autouse=True)
def shared_loader() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lru_cache(create_loader))
        patch.setattr("shared.database.client.OneServiceLoader", lru_cache(OneServiceLoader))
        yield
