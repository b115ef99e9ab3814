#!/usr/bin/env bash
# Measures the request path beside its peers, after installing them into .venv-bench. Arguments go to request_path.py.
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/environment.sh"

ensure_environment .venv-bench bench.txt

cd "$K9_ROOT"
exec .venv-bench/bin/python -m benchmarks.request_path "$@"
