#!/usr/bin/env python3
"""Writes one user's data, or a whole environment's, as NDJSON; `python3 scripts/export.py --help` lists the options."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.migration.launching import launch

if __name__ == "__main__":
    launch("scripts.migration.export_main", sys.argv[1:])
