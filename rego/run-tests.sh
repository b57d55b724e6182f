#!/usr/bin/env bash
# Runs the tests of the policy on a real Rego engine.
#
#   rego/run-tests.sh                     rego/tests
#   rego/run-tests.sh ARGUMENTS…          pytest with these arguments, such as -k exempt, from the project's root
#   rego/run-tests.sh bench [--quick]     what the policy costs on Gatekeeper's engine: rego/tests/bench.py
#
# Makes a Python environment in rego/.venv on the first run and whenever one of the lists of requirements has changed (this needs
# pip's package index once); later runs need no network. Needs python3 3.9 or later with venv, glibc 2.34 or later. Exits with
# pytest's status: 0 when every test passed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
venv="$here/.venv"
stamp="$venv/.requirements"

if ! cat "$here/requirements.txt" "$here/requirements-opa.txt" | cmp -s - "$stamp"; then
    echo "making the Python environment in rego/.venv"
    python3 -m venv --clear "$venv"
    install=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    "${install[@]}" --requirement "$here/requirements.txt"
    "${install[@]}" --target "$venv/opa" --ignore-requires-python --only-binary :all: --no-deps --requirement "$here/requirements-opa.txt"
    cat "$here/requirements.txt" "$here/requirements-opa.txt" >"$stamp"
fi

cd "$root"
# A path among the arguments says what to run; options alone are about the policy's tests.
paths=(rego/tests)
for argument in "$@"; do
    [ ! -e "${argument%%::*}" ] || paths=()
done
export PYTHONDONTWRITEBYTECODE=1
[ "${1:-}" != bench ] || exec "$venv/bin/python" rego/tests/bench.py "${@:2}"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider ${paths[@]+"${paths[@]}"} "$@"
