#!/usr/bin/env bash
# Runs the main routes of a deployed stage: ./scripts/smoke.sh URL TOKEN (`-`: the token comes from standard input)
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

# Python's own library is enough: this runs where nothing is installed.
python=$(_find_python)

cd "$K9_ROOT"
PYTHONPATH="$K9_ROOT" exec "$python" -m scripts.deployment.smoke "$@"
