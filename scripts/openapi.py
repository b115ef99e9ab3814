#!/usr/bin/env python3
"""Writes the OpenAPI document; `.venv/bin/python scripts/openapi.py --help` lists what else it does."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from scripts.description.main import main  # noqa: E402 - the path has to be there first

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
