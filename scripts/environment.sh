# Shared by the scripts beside it: a virtual environment in .venv, and Debian packages where needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install PACKAGE…: only what is not there yet.
apt_install() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing with apt-get: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# environment EXTRA: .venv with edgestream and an extra, made again when what is wanted changed. Packages
# are those pinned in deploy/requirements (scripts/lock), each checked against its hash.
environment() {
  if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "Python 3.11 or later is needed (PYTHON=… chooses one); found: $("$PYTHON" --version 2>&1 || echo none)"
    exit 1
  fi
  if [ ! -x .venv/bin/python ]; then
    say "making a virtual environment in .venv"
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    "$PYTHON" -m venv .venv
  fi
  local wanted pinned=deploy/requirements/$1.txt
  wanted="$1 $(cat pyproject.toml "$pinned" | sha256sum | cut -d' ' -f1)"
  if [ "$(cat .venv/edgestream-installed 2>/dev/null)" != "$wanted" ]; then
    say "installing edgestream[$1] into .venv"
    .venv/bin/python -m pip install -q --no-input --require-hashes -r "$pinned"
    .venv/bin/python -m pip install -q --no-input --no-deps --no-build-isolation -e .
    echo "$wanted" >.venv/edgestream-installed
  fi
}
