# shellcheck shell=bash
# Sourced after environment.sh: the strict DynamoDB engine of the contract tests, a binary from the npm registry.

ensure_engines() {
  local folder="$K9_ROOT/.tools" lock="$K9_ROOT/requirements/engines/package-lock.json"
  if cmp -s "$lock" "$folder/.installed"; then
    return
  fi
  command -v npm >/dev/null || _fail "the contract tests need npm (Node.js 18 or newer), which is not on the PATH."
  echo "Installing requirements/engines into .tools ..." >&2
  mkdir -p "$folder"
  cp "$K9_ROOT"/requirements/engines/package*.json "$folder/"
  npm ci --prefix "$folder" --no-audit --no-fund --silent >&2 ||
    _fail "the engines could not be installed (see above). They exist for Linux on x86-64 alone."
  cp "$lock" "$folder/.installed"
}
