# shellcheck shell=bash
# Sourced by the scripts beside it: makes the project's virtual environments and keeps them in step with requirements/.
# Everything it says goes to stderr, so that a script's stdout is its own.

K9_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The pip of lock files with pinned extras, which 23.2, the one of Python 3.11, refuses.
_RECENT_PIP="pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"

# ensure_environment FOLDER REQUIREMENTS [recent-pip]: a virtual environment with exactly the locked packages of a file.
ensure_environment() {
  local folder="$K9_ROOT/$1" requirements="$K9_ROOT/requirements/$2" stamp="$K9_ROOT/$1/.installed"
  # The stamp is a copy of what was installed, written last: an interrupted installation is repeated.
  if _runs "$folder/bin/python" && cmp -s "$requirements" "$stamp"; then
    return
  fi
  _runs "$folder/bin/python" || _create_environment "$folder"
  echo "Installing requirements/$2 into $1 ..." >&2
  if [[ ${3:-} == recent-pip && -z ${UV:-} ]]; then _renew_pip "$folder"; fi
  if ! _install "$folder/bin/python" "$requirements"; then
    _fail "requirements/$2 could not be installed (see above). The first start needs a network or a package mirror;" \
      "once it is there, start again: what was installed is kept."
  fi
  cp "$requirements" "$stamp"
}

# _install PYTHON REQUIREMENTS: with pip, or with the uv that UV names, which is several times as fast.
_install() {
  if [[ -n ${UV:-} ]]; then
    "$UV" pip install --quiet --python "$1" --require-hashes --requirement "$2" >&2
  else
    "$1" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$2" >&2
  fi
}

_renew_pip() {
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement /dev/stdin \
    <<<"$_RECENT_PIP" >&2 ||
    _fail "pip could not be renewed in ${1##*/} (see above). The first start needs a network or a package mirror."
}

_create_environment() {
  local python
  python=$(_find_python) || exit 1
  echo "Making ${1##*/} with $("$python" --version) ..." >&2
  if ! "$python" -m venv --clear "$1" >&2; then
    _fail "$python cannot make a virtual environment. On Debian and Ubuntu, install the package python3-venv."
  fi
}

_find_python() {
  if [[ -n ${PYTHON:-} ]]; then
    _runs "$PYTHON" || _fail "PYTHON is $PYTHON ($(_version "$PYTHON")): K9 API needs Python 3.11 or newer."
    echo "$PYTHON"
    return
  fi
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if _runs "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  _fail "K9 API needs Python 3.11 or newer; python3 here is $(_version python3)." \
    "Install one, or name it: PYTHON=/path/to/python3.13 $0"
}

_runs() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

_version() {
  if command -v "$1" >/dev/null; then "$1" --version 2>&1; else echo "not there"; fi
}

_fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}
