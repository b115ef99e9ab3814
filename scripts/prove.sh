#!/usr/bin/env bash
# Runs the proof suites and prints a table: suite, cases, faults that fired, violations. `./scripts/prove.sh --help` lists them.
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"
# shellcheck source=scripts/lib/engines.sh
source "$K9_ROOT/scripts/lib/engines.sh"

# runs_fuzz ARGUMENT...: whether these ask for that suite, by name or by naming none.
runs_fuzz() {
  local is_another_named=
  while [[ $# -gt 0 ]]; do
    case $1 in
      fuzz) return 0 ;;
      -h | --help) return 1 ;;
      --seed | --jobs) shift ;;
      -*) ;;
      *) is_another_named=yes ;;
    esac
    if [[ $# -gt 0 ]]; then shift; fi
  done
  [[ -z $is_another_named ]]
}

ensure_environment .venv dev.txt
ensure_environment .venv-store store.txt
if runs_fuzz "$@"; then ensure_environment .venv-fuzz fuzz.txt; fi
ensure_engines

cd "$K9_ROOT"
exec .venv/bin/python -m tests.proof "$@"
