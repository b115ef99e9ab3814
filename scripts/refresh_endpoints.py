"""Writes our services' excerpt of botocore's list of endpoints. Run it after an upgrade of boto3; a test says when.

PYTHONPATH=src .venv/bin/python scripts/refresh_endpoints.py
"""

import json

from botocore.loaders import Loader

from shared.database.sdk_data import ENDPOINTS, excerpt


def main() -> None:
    endpoints = excerpt(Loader().load_data("endpoints"))
    ENDPOINTS.write_text(json.dumps(endpoints, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
