#!/usr/bin/env bash
# Checks the manifests: generated files are current, base, constraint and the overlays render with kustomize, and
# what they render to is what we promise (manifests/tests). The set-up for Azure does what it says (manifests/azure/tests).
#
#   manifests/check.sh
#
# Needs python3 (for the chart 3.12 or later, which is looked for), openssl, and kubectl or kustomize. Where neither of these two is installed it says so and checks only
# the rest, except in CI (the variable CI is set), where that is a failure. Exit status: 0 all right, 1 not.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

python3 "$here/generate.py" --check
python3 "$here/monitoring/generate.py" --check
python3 "$here/charts/generate.py" --check
"$here/charts/tests/run-tests.sh"
"$root/rego/run-tests.sh" manifests/azure/tests

if command -v kubectl >/dev/null; then
    render=(kubectl kustomize)
elif command -v kustomize >/dev/null; then
    render=(kustomize build)
elif [ -n "${CI:-}" ]; then
    echo "manifests: neither kubectl nor kustomize is installed" >&2
    exit 1
else
    echo "manifests: NOT RENDERED, neither kubectl nor kustomize is installed" >&2
    exit 0
fi

# A copy, so that certificates made for the check never lie in the work tree.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$here/." "$work/manifests"
rm -rf "$work/manifests/overlays/example/tls"
bash "$work/manifests/make-certs.sh" --out "$work/manifests/overlays/example/tls" >/dev/null

for part in base constraint overlays/example overlays/azure; do
    "${render[@]}" "$work/manifests/$part" >"$work/$(basename "$part").yaml"
    echo "manifests/$part renders: $(grep -c '^kind:' "$work/$(basename "$part").yaml") objects"
done

RENDERED="$work" "$root/rego/run-tests.sh" manifests/tests
