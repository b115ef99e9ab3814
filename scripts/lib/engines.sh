# shellcheck shell=bash
# Sourced after environment.sh: the servers that tests start. From the npm registry a strict DynamoDB engine, a binary, and
# one that speaks CouchDB's protocol, and what the documentation's apps are made of; PostgreSQL, a browser, and what the
# documentation's code runs in, as the system has them.

ensure_engines() {
  local folder="$K9_ROOT/.tools" lock="$K9_ROOT/requirements/engines/package-lock.json"
  if cmp -s "$lock" "$folder/.installed"; then
    return
  fi
  command -v npm >/dev/null || _fail "the tests need npm (Node.js 18 or newer), which is not on the PATH."
  echo "Installing requirements/engines into .tools ..." >&2
  mkdir -p "$folder"
  cp "$K9_ROOT"/requirements/engines/package*.json "$folder/"
  npm ci --prefix "$folder" --no-audit --no-fund --silent >&2 ||
    _fail "the engines could not be installed (see above). They exist for Linux on x86-64 alone."
  cp "$lock" "$folder/.installed"
}

ensure_postgresql() {
  if command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; then
    return
  fi
  _install_packages "the tests of the migration need PostgreSQL (initdb and pg_ctl)" postgresql
}

ensure_chromium() {
  if [[ -n ${CHROMIUM:-} ]]; then
    [[ -x $CHROMIUM ]] || _fail "CHROMIUM is $CHROMIUM, which is no program."
    return
  fi
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return; fi
  done
  _install_packages "the tests of the documentation page need Chromium (or CHROMIUM=... that names one)" chromium
}

# ensure_programs PROGRAM...: by the packages of the same names.
ensure_programs() {
  local missing=() program
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  if [[ ${#missing[@]} -gt 0 ]]; then
    _install_packages "the tests of the documentation need ${missing[*]}" "${missing[@]}"
  fi
}

# _install_packages WHY PACKAGE...: as Debian has them, for whoever may install them.
_install_packages() {
  local why=$1
  shift
  if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    _fail "$why: on Debian, apt-get install $*."
  fi
  echo "Installing $* ..." >&2
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >&2
  then
    _fail "$* could not be installed (see above)."
  fi
}
