#!/usr/bin/env python3
"""Brings an existing database over into K9's tables; `python3 scripts/migrate.py --help` lists the options."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.migration.launching import launch

if __name__ == "__main__":
    launch("scripts.migration.main", sys.argv[1:])
