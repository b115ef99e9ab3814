#!/usr/bin/env bash
# Asks the registries for known advisories against every locked package. 0: none; 1: some; 3: they could not be asked.
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

ensure_environment .venv-supply supply.txt
command -v npm >/dev/null || _fail "npm's packages are looked up by npm (Node.js 18 or newer), which is not on the PATH."

cd "$K9_ROOT"
exec .venv-supply/bin/python -m scripts.supply.audit "$@"
