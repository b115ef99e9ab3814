#!/usr/bin/env bash
# Runs the proof suites and prints a table: suite, cases, faults that fired, violations. `./scripts/prove.sh --help` lists them.
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"
# shellcheck source=scripts/lib/engines.sh
source "$K9_ROOT/scripts/lib/engines.sh"

ensure_environment .venv dev.txt
ensure_environment .venv-store store.txt
ensure_environment .venv-supply supply.txt
ensure_environment .venv-fuzz fuzz.txt
ensure_engines

cd "$K9_ROOT"
exec .venv/bin/python -m tests.proof "$@"
