#!/usr/bin/env bash
# Tests the chart with Helm itself, and the monitoring rules.
#
#   manifests/charts/tests/run-tests.sh              everything
#   manifests/charts/tests/run-tests.sh ARGUMENTS…   pytest with these arguments, such as -k upgrade
#
# Makes a Python environment in manifests/charts/.venv on the first run and whenever requirements.txt has changed (this needs
# pip's package index once). Needs Python 3.12 or later with venv, which is looked for in PYTHON, on the path, and among pyenv's.
# Exits with pytest's status: 0 when every test passed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
charts=$(dirname "$here")
venv="$charts/.venv"
stamp="$venv/.requirements"

is_new_enough() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3; do
        candidate=$(command -v "$candidate") && is_new_enough "$candidate" && { echo "$candidate"; return; }
    done
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
        [ -x "$candidate" ] && is_new_enough "$candidate" && { echo "$candidate"; return; }
    done
    echo "the chart's tests need Python 3.12 or later, for the library that Helm comes in; none was found." >&2
    echo "Install one (pyenv install 3.12, or apt install python3.12-venv) or name one in PYTHON." >&2
    return 1
}

if ! cmp -s "$here/requirements.txt" "$stamp"; then
    python=$(find_python)
    echo "making the Python environment in manifests/charts/.venv"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$stamp"
fi

export PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$@"
