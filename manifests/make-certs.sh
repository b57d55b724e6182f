#!/usr/bin/env bash
# Makes what Gatekeeper and the provider need to trust each other: a CA, the provider's serving certificate signed by it,
# and a kustomize component that turns them into the Secret ratify-tls and the Providers' caBundle.
#
#   manifests/make-certs.sh --out DIR [--service NAME] [--namespace NAME] [--days DAYS]
#
#   --out        where to: ca.crt, ca.key, tls.crt, tls.key, kustomization.yaml. An overlay names DIR under components:
#   --service    name of the Service, default ratify
#   --namespace  its namespace, default gatekeeper-system
#   --days       life of the serving certificate, default 365; that of the CA is ten years
#
# Run it again at any time: what is still good for 30 days stays as it is, byte for byte; a serving certificate that is
# not, or that is for other names, is made anew under the same CA, so that caBundle stays the same. The CA's key stays in
# DIR: no cluster needs it. Needs openssl 1.1.1 or later. Exit status: 0 done, 1 failed, 2 wrong usage.
set -euo pipefail

usage() { sed -n '2,15s/^# \{0,1\}//p' "$0"; }
wrong() { echo "make-certs: $1" >&2; usage >&2; exit 2; }

out='' service=ratify namespace=gatekeeper-system days=365
while [ $# -gt 0 ]; do
    case "$1" in
        -h|--help) usage; exit 0 ;;
        --out|--service|--namespace|--days)
            [ $# -ge 2 ] && [ -n "$2" ] || wrong "$1 needs a value"
            case "$1" in --out) out=$2 ;; --service) service=$2 ;; --namespace) namespace=$2 ;; --days) days=$2 ;; esac
            shift 2 ;;
        *) wrong "unknown option $1" ;;
    esac
done
[ -n "$out" ] || wrong "--out is missing"
[[ "$service" =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || wrong "$service is not the name of a Service"
[[ "$namespace" =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || wrong "$namespace is not the name of a namespace"
[[ "$days" =~ ^[1-9][0-9]{0,4}$ ]] || wrong "$days is not a number of days"
command -v openssl >/dev/null || { echo "make-certs: openssl is not installed" >&2; exit 1; }

umask 077
mkdir -p "$out"
cd "$out"
work=$(mktemp -d ./.make-certs.XXXXXX)
trap 'rm -rf "$work"' EXIT

# Output of openssl only where it fails.
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; echo "make-certs: $1 $2 failed" >&2; exit 1; }; }
new_key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
holds_key() { [ "$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null)" = "$(openssl pkey -in "$2" -pubout 2>/dev/null)" ]; }
month=$((30 * 24 * 3600))
margin=$month
[ $((days * 24 * 3600)) -gt $((2 * month)) ] || margin=$((days * 24 * 3600 / 2))
serial() { openssl rand -hex 15; }

names="DNS:$service.$namespace,DNS:$service.$namespace.svc,DNS:$service.$namespace.svc.cluster.local"

if [ -s ca.crt ] && [ -s ca.key ] && holds_key ca.crt ca.key && openssl x509 -in ca.crt -noout -checkend $month >/dev/null; then
    echo "the CA stays as it is"
else
    new_key "$work/ca.key"
    cat >"$work/ca.cnf" <<CNF
[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
O = Countersign
CN = $service.$namespace serving CA
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
    quietly openssl req -x509 -new -sha256 -config "$work/ca.cnf" -key "$work/ca.key" -days 3650 -set_serial "0x01$(serial)" -out "$work/ca.crt"
    mv "$work/ca.key" ca.key
    mv "$work/ca.crt" ca.crt
    rm -f tls.crt tls.key
    echo "made a CA"
fi

is_current() {
    [ -s tls.crt ] && [ -s tls.key ] && holds_key tls.crt tls.key &&
        openssl verify -CAfile ca.crt -purpose sslserver tls.crt >/dev/null 2>&1 &&
        openssl x509 -in tls.crt -noout -checkend "$margin" >/dev/null &&
        [ "$(openssl x509 -in tls.crt -noout -ext subjectAltName | sed -n '2s/ //gp')" = "$names" ]
}
if is_current; then
    echo "the serving certificate stays as it is"
else
    new_key "$work/tls.key"
    cat >"$work/tls.cnf" <<CNF
[req]
distinguished_name = name
prompt = no
[name]
CN = $service.$namespace
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = $names
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
CNF
    quietly openssl req -new -sha256 -config "$work/tls.cnf" -key "$work/tls.key" -out "$work/tls.csr"
    quietly openssl x509 -req -sha256 -in "$work/tls.csr" -CA ca.crt -CAkey ca.key -set_serial "0x01$(serial)" -days "$days" \
        -extfile "$work/tls.cnf" -extensions server -out "$work/tls.crt"
    mv "$work/tls.key" tls.key
    mv "$work/tls.crt" tls.crt
    echo "made a serving certificate for $names"
fi

bundle=$(openssl base64 -A -in ca.crt)
cat >"$work/kustomization.yaml" <<YAML
# Made by manifests/make-certs.sh, which can be run again. The files beside it hold private keys: do not commit them.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
secretGenerator:
  - name: $service-tls
    namespace: $namespace
    type: kubernetes.io/tls
    files:
      - tls.crt
      - tls.key
    options:
      disableNameSuffixHash: true
patches:
  - target:
      group: externaldata.gatekeeper.sh
      kind: Provider
    patch: |
      - op: add
        path: /spec/caBundle
        value: $bundle
YAML
cmp -s "$work/kustomization.yaml" kustomization.yaml || mv "$work/kustomization.yaml" kustomization.yaml
echo "$out: good until $(openssl x509 -in tls.crt -noout -enddate | sed 's/notAfter=//')"
