#!/usr/bin/env bash
# Takes an environment down, unless its tables hold data; `./scripts/destroy.sh --help` lists the options.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

ensure_environment .venv-deploy deploy.txt recent-pip

cd "$K9_ROOT"
PATH="$K9_ROOT/.venv-deploy/bin:$PATH" PYTHONPATH="$K9_ROOT" exec .venv-deploy/bin/python -m scripts.deployment.destroy "$@"
