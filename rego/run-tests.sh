#!/usr/bin/env bash
# Runs the tests of the policy and of the manifests on a real Rego engine.
#
#   rego/run-tests.sh [pytest arguments]
#
# Makes a Python environment in rego/.venv on the first run and whenever requirements.txt has changed (this needs pip's
# package index once); later runs need no network. Needs python3 3.9 or later with venv, and kubectl or kustomize for the
# manifests' tests. Exits with pytest's status: 0 when every test passed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
venv="$here/.venv"
stamp="$venv/.requirements"

if ! cmp -s "$here/requirements.txt" "$stamp"; then
    echo "making the Python environment in rego/.venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$stamp"
fi

cd "$root"
exec "$venv/bin/python" -m pytest -p no:cacheprovider rego/tests manifests/tests "$@"
