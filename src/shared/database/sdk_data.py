"""The SDK's data files, as far as this service needs them.

To make a client of one service, botocore lists the folders of all and reads the endpoints of all: 30 of the 50
milliseconds that it takes. `endpoints.json` beside this file is the excerpt for the services in use, made by
`scripts/refresh_endpoints.py` from the pinned botocore; a test holds the two together.
"""

import json
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

SERVICES = ("dynamodb", "s3", "lambda")
ENDPOINTS = Path(__file__).with_name("endpoints.json")


class OneServiceLoader(Loader):
    """botocore's loader, which knows one service and reads the excerpt in place of the list of all endpoints."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def list_available_services(self, type_name: str) -> list[str]:
        return [self._service]

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """The path tells botocore whether the data is its own, which for endpoints decides how they are resolved."""
        if name != "endpoints":
            loaded: tuple[Any, str] = super().load_data_with_path(name)
            return loaded
        return json.loads(ENDPOINTS.read_text(encoding="utf-8")), f"{self.BUILTIN_DATA_PATH}/endpoints"


def excerpt(endpoints: dict[str, Any]) -> dict[str, Any]:
    """botocore's list of endpoints with every partition, and of its services those in use."""
    partitions = [
        {**partition, "services": {service: partition["services"][service] for service in SERVICES}}
        for partition in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}
