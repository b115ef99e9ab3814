#!/usr/bin/env bash
# Measures beside peers, after installing them into .venv-bench. The first argument says what, the others go on to it:
#   request_path (the default)   GET /reports/{report_id} beside the same route in other frameworks
#   similarity                   search, filters, loading, storing and the matrix beside faiss, usearch and scikit-learn
#   artifacts                    sizes of what is deployed, and each function's cold start from it
#   migrate                      how fast migrate.py writes, beside put_item and batch_writer; `migrate memory`: what it holds
#   limits                       one tenant's p99 beside another that asks for ten times its limit
#   capacity                     what every route consumes of DynamoDB, S3 and Lambda, against a DynamoDB on this machine
set -euo pipefail

# shellcheck source=scripts/lib/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/environment.sh"

case "${1:-}" in
  request_path | similarity | artifacts | migrate | capacity | limits)
    what=$1
    shift
    ;;
  *) what=request_path ;;
esac

cd "$K9_ROOT"
if [[ $what == capacity || $what == migrate || $what == limits ]]; then
  # shellcheck source=scripts/lib/engines.sh
  source "$K9_ROOT/scripts/lib/engines.sh"
  ensure_environment .venv dev.txt
  ensure_environment .venv-store store.txt
  ensure_engines
  PYTHONPATH="$K9_ROOT:$K9_ROOT/src" exec .venv/bin/python -m "benchmarks.$what" "$@"
fi

if [[ $what == artifacts ]]; then
  ensure_environment .venv dev.txt
  ensure_environment .venv-store store.txt
  ensure_environment .venv-deploy deploy.txt recent-pip
  PYTHONPATH="$K9_ROOT:$K9_ROOT/src" exec .venv/bin/python -m benchmarks.artifacts "$@"
fi

ensure_environment .venv-bench bench.txt
exec .venv-bench/bin/python -m "benchmarks.$what" "$@"
