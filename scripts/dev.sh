#!/usr/bin/env bash
# Runs K9 API on this machine; `./scripts/dev.sh --help` lists the options.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

ensure_environment .venv dev.txt
ensure_environment .venv-store store.txt
if [[ " $* " == *" --sam "* ]]; then ensure_environment .venv-deploy deploy.txt recent-pip; fi

cd "$K9_ROOT"
# glibc gives each of the server's threads a heap of its own, up to eight for a processor, and none of them shrinks.
export MALLOC_ARENA_MAX=2
PYTHONPATH="$K9_ROOT/src:$K9_ROOT" exec .venv/bin/python -m scripts.local.dev "$@"
