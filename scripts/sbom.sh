#!/usr/bin/env bash
# Writes what is deployed and what tools are taken, with licences, from the lock files: docs/sbom/ and docs/LICENSES.md.
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

ensure_environment .venv dev.txt
ensure_environment .venv-supply supply.txt
# What is only looked at is compared with licences that are on record; to write, every package has to say its own.
if [[ " $* " != *" --check "* && " $* " != *" --help "* ]]; then
  ensure_environment .venv-store store.txt
  ensure_environment .venv-template template.txt
  ensure_environment .venv-deploy deploy.txt recent-pip
  ensure_environment .venv-schemathesis schemathesis.txt
  ensure_environment .venv-bench bench.txt
  ensure_environment .venv-fuzz fuzz.txt
  ensure_environment .tools/checkov checkov.txt
  ensure_environment .tools/uv uv.txt
fi

cd "$K9_ROOT"
exec .venv-supply/bin/python -m scripts.supply.sbom "$@"
