#!/usr/bin/env bash
# Runs the tests, after installing what they need. Arguments go to pytest: ./scripts/test.sh tests/unit -k cursor
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"
# shellcheck source=scripts/lib/engines.sh
source "$K9_ROOT/scripts/lib/engines.sh"

ensure_environment .venv dev.txt
ensure_environment .venv-store store.txt
ensure_environment .venv-template template.txt
ensure_engines
ensure_postgresql
ensure_chromium
ensure_programs curl jq

cd "$K9_ROOT"
if [[ $# -gt 0 ]]; then
  exec .venv/bin/python -m pytest "$@"
fi
# Many tests wait for a process or a clock: three at once keep two processors busy, if the longest come first (the order
# of folders in pyproject.toml). They must collect the tests in one order, sets of parameters too.
export PYTHONHASHSEED=0
exec .venv/bin/python -m pytest --cov --cov-report=term --numprocesses 3 --dist loadfile --no-loadscope-reorder
