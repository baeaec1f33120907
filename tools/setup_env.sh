#!/usr/bin/env bash
# Makes .venv with Python 3.7 and installs requirements.lock into it.
#
#   tools/setup_env.sh                 does nothing if .venv is up to date
#   tools/setup_env.sh --print-python  prints the Python 3.7 that it would use
#
# Set PYTHON37 to the path of an interpreter to choose it yourself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LOCK=requirements.lock
readonly VENV_PYTHON=.venv/bin/python
# Written last, so that an interrupted set-up is not taken for a finished one.
readonly STAMP=.venv/requirements.lock.cksum

fail() {
  echo "setup: $*" >&2
  exit 1
}

# A pyenv shim can be on the PATH and fail when it is run, and Debian can have
# python3.7 without ensurepip, so a candidate has to prove itself.
works() {
  [ -n "$1" ] && "$1" -c '
import ensurepip, sys, venv
sys.exit(sys.version_info[:2] != (3, 7))' >/dev/null 2>&1
}

find_in_pyenv() {
  local root version candidate
  if command -v pyenv >/dev/null 2>&1; then
    root=$(pyenv root 2>/dev/null || true)
  fi
  root=${root:-${PYENV_ROOT:-${HOME:-}/.pyenv}}
  for version in "$root"/versions/3.7*; do
    candidate=$version/bin/python3.7
    if works "$candidate"; then
      echo "$candidate"
      return
    fi
  done
}

find_in_uv() {
  command -v uv >/dev/null 2>&1 || return 0
  uv python find 3.7 2>/dev/null && return
  echo 'setup: uv fetches Python 3.7' >&2
  uv python install 3.7 >&2 && uv python find 3.7 || true
}

find_python() {
  local candidate
  if [ -n "${PYTHON37:-}" ]; then
    works "$PYTHON37" ||
      fail "PYTHON37=$PYTHON37 is not a Python 3.7 with venv and ensurepip."
    echo "$PYTHON37"
    return
  fi
  candidate=$(command -v python3.7 || true)
  works "$candidate" || candidate=$(find_in_pyenv)
  works "$candidate" || candidate=$(find_in_uv)
  works "$candidate" || fail 'Python 3.7 was not found (tried python3.7,' \
    'pyenv and uv); get it with `pyenv install 3.7` or' \
    '`uv python install 3.7`, or set PYTHON37 to its path.'
  echo "$candidate"
}

lock_checksum() {
  cksum <"$LOCK"
}

pins() {
  grep -Ev '^(#|$)' "$LOCK"
}

# True if .venv already holds every pinned version, however it was made.
holds_all_pins() {
  [ -x "$VENV_PYTHON" ] && works "$VENV_PYTHON" || return 1
  ! pins | grep -Fxv -f <("$VENV_PYTHON" -m pip freeze --all 2>/dev/null) \
    >/dev/null
}

install() {
  local python
  python=$(find_python)
  echo "setup: making .venv with $python"
  rm -rf .venv
  "$python" -m venv .venv
  # The pip that comes with Python 3.7 is too old for some of the wheels, and
  # without wheel a source package would build with unpinned tools.
  # shellcheck disable=SC2046
  "$VENV_PYTHON" -m pip install -qq \
    $(pins | grep -E '^(pip|setuptools|wheel)==')
  echo "setup: installing the $(pins | wc -l) packages of $LOCK, TensorFlow" \
    'among them: a minute or more, without a word until it is done'
  "$VENV_PYTHON" -m pip install -qq -r "$LOCK" ||
    fail "installing $LOCK failed, see pip's message above (TensorFlow 1.15.0" \
      "has packages for x86_64 only; this machine is $(uname -m))."
}

# Puts the project on the path of .venv, so that `tools/NAME.py` can be run as a
# file. The entry is relative to its own folder: a moved clone keeps working.
link_project() {
  local packages
  packages=$("$VENV_PYTHON" -c \
    'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo ../../../.. >"$packages/tpu_detection.pth"
}

if [ "${1:-}" = --print-python ]; then
  find_python
  exit
fi

if [ -x "$VENV_PYTHON" ] && [ -f "$STAMP" ] &&
  [ "$(cat "$STAMP")" = "$(lock_checksum)" ]; then
  exit
fi
[ -w . ] || fail "no permission to write to $PWD, where .venv has to be made."
holds_all_pins || install
link_project
lock_checksum >"$STAMP"
echo 'setup: .venv is ready. Next: `source .venv/bin/activate`, then' \
  'docs/first_dataset.md for your own images, or `make demo`.'
