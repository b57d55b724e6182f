#!/usr/bin/env bash
# Creates the Azure Policy definition that has clusters verify images, and assigns it to a scope. Both are created or brought
# up to date, so it can be run again at any time, with another effect for example.
#
#   manifests/azure-policy/assign.sh --resource-group GROUP [--cluster AKS] [options]
#   manifests/azure-policy/assign.sh --scope SCOPE [options]
#   manifests/azure-policy/assign.sh … --dry-run       prints every az command, runs none
#   manifests/azure-policy/assign.sh … --remove        removes assignment and definition
#
# Where:
#   --resource-group NAME     assign to this group [GROUP_NAME]
#   --cluster NAME            assign to this AKS cluster of the group alone [AKS_NAME]; looks whether the add-on is on
#   --enable-addon            turn the Azure Policy add-on of --cluster on
#   --scope ID                assign to this scope: a subscription's, group's, cluster's or management group's id
#   --subscription ID         of the definition and the group [SUBSCRIPTION] default: the one az uses now
#   --management-group NAME   the definition goes to this management group, for assignments to several subscriptions
#
# What:
#   --definition FILE         default: ratify-verification.json beside this script; or notation-issuer-validation.json
#   --effect EFFECT           Audit, Deny or Disabled; default Audit
#   --namespace NAME          look only at this namespace; may be repeated
#   --exclude NAME            leave this namespace alone, besides those of the definition; may be repeated
#   --parameter NAME=JSON     any other parameter of the definition, such as exemptImages='["registry.example/*"]' or
#                             signers='[{"issuer": "CN=CA,O=Example,C=US"}]'; may be repeated
#   --name NAME               of the definition and the assignment; default: ratify-default-custom-policy, or
#                             ratify-signer-custom-policy for notation-issuer-validation.json
#
# Needs az 2.50 or later, logged in (az login) with the right to write policies (Resource Policy Contributor), and python3.
# Exit status: 0 done, 1 failed, 2 wrong usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { sed -n '2,/^set -euo/s/^# \{0,1\}//p' "$0" | sed '$d'; }
wrong() { echo "assign: $1; --help lists the options" >&2; exit 2; }
failed() { echo "assign: $1" >&2; exit 1; }
say() { echo "assign: $1" >&2; }

group=${GROUP_NAME:-} cluster=${AKS_NAME:-} subscription=${SUBSCRIPTION:-} scope='' management_group=''
definition='' effect=Audit name='' dry='' remove='' addon=''
namespaces=() excluded=() parameters=()

while [ $# -gt 0 ]; do
    case "$1" in
        -h|--help) usage; exit 0 ;;
        --dry-run) dry=yes; shift; continue ;;
        --remove) remove=yes; shift; continue ;;
        --enable-addon) addon=yes; shift; continue ;;
        --*) ;;
        *) wrong "unknown argument $1" ;;
    esac
    { [ $# -ge 2 ] && [ -n "$2" ]; } || wrong "$1 is not an option, or needs a value"
    case "$1" in
        --resource-group) group=$2 ;;
        --cluster) cluster=$2 ;;
        --scope) scope=$2 ;;
        --subscription) subscription=$2 ;;
        --management-group) management_group=$2 ;;
        --definition) definition=$2 ;;
        --effect) effect=$2 ;;
        --namespace) namespaces+=("$2") ;;
        --exclude) excluded+=("$2") ;;
        --parameter) parameters+=("$2") ;;
        --name) name=$2 ;;
        *) wrong "unknown option $1" ;;
    esac
    shift 2
done

case "$effect" in Audit|Deny|Disabled) ;; *) wrong "--effect is Audit, Deny or Disabled, not $effect" ;; esac
if [ -n "$scope" ]; then
    [[ "$scope" == /* ]] || wrong "--scope is an id that begins with /, not $scope"
    { [ -z "$group" ] && [ -z "$cluster" ]; } || wrong "--scope says it all: leave --resource-group and --cluster out"
else
    [ -n "$group" ] || wrong "--resource-group or --scope is missing"
fi
[ -z "$addon" ] || [ -n "$cluster" ] || wrong "--enable-addon needs --cluster"
[ -z "$management_group" ] || [ -z "$subscription" ] || [ -n "$group" ] ||
    wrong "--management-group and --subscription both say where the definition goes"
case "$definition" in
    '') definition=$here/ratify-verification.json ;;
    */*) ;;
    *) [ -e "$definition" ] || definition=$here/$definition ;;
esac
[ -r "$definition" ] || wrong "$definition cannot be read"
if [ -z "$name" ]; then
    name=ratify-default-custom-policy
    [ "$(basename "$definition")" != notation-issuer-validation.json ] || name=ratify-signer-custom-policy
fi
case "$scope" in
    /providers/Microsoft.Management/managementGroups/*)
        [ "${#name}" -le 24 ] || wrong "assignments to a management group have names of 24 characters at most: give --name instead of $name" ;;
esac
[[ "$name" =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]] || wrong "$name is not a name: letters, digits, dots and dashes, 64 at most"

# The three files that az takes: the rule, its parameters' declarations, and the values of the assignment, which are checked
# against the declarations here so that a wrong one is found before anything is written.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
python3 - "$definition" "$work" "$effect" \
    "${#namespaces[@]}" ${namespaces[@]+"${namespaces[@]}"} \
    "${#excluded[@]}" ${excluded[@]+"${excluded[@]}"} \
    ${parameters[@]+"${parameters[@]}"} <<'PYTHON' || status=$?
import json
import sys
from pathlib import Path


def wrong(text):
    print(f"assign: {text}; --help lists the options", file=sys.stderr)
    sys.exit(2)


file, work, effect, *rest = sys.argv[1:]


def take(rest):
    number = int(rest[0])
    return rest[1 : 1 + number], rest[1 + number :]


namespaces, rest = take(rest)
excluded, given = take(rest)
try:
    definition = json.loads(Path(file).read_text(encoding="utf-8"))
    declared, rule = definition["parameters"], definition["policyRule"]
except (ValueError, KeyError, TypeError) as error:
    wrong(f"{file} is not a policy definition with parameters and policyRule: {error}")

values = {"effect": effect}
if namespaces:
    values["namespaces"] = namespaces
if excluded:
    values["excludedNamespaces"] = [*declared["excludedNamespaces"]["defaultValue"], *excluded]
types = {"Array": list, "Object": dict, "String": str, "Boolean": bool, "Integer": int}
for one in given:
    name, equals, text = one.partition("=")
    if not equals:
        wrong(f"--parameter is NAME=JSON, not {one}")
    if name not in declared:
        wrong(f"the definition has no parameter {name}: it has {', '.join(declared)}")
    if name in values:
        wrong(f"{name} is given twice")
    try:
        values[name] = json.loads(text)
    except ValueError as error:
        wrong(f"the value of {name} is not JSON ({error}): {text}")
for name, value in values.items():
    kind = declared[name]["type"]
    if not isinstance(value, types[kind]) or (kind == "Integer" and isinstance(value, bool)):
        wrong(f"the value of {name} is not of type {kind}: {json.dumps(value)}")
    if value not in declared[name].get("allowedValues", [value]):
        wrong(f"{name} is one of {', '.join(declared[name]['allowedValues'])}, not {value}")
for name, declaration in declared.items():
    if "defaultValue" not in declaration and name not in values:
        wrong(f"--parameter {name}=… is missing: {declaration['metadata']['description']}")

for name, content in {
    "rule": rule,
    "declarations": declared,
    "values": {name: {"value": value} for name, value in values.items()},
}.items():
    (Path(work) / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
PYTHON
if [ "$status" -ne 0 ] && [ -z "$remove" ]; then exit "$status"; fi

show() { printf '%q ' az "$@"; echo; }
# Changes something: in a dry run it is only shown.
change() {
    if [ -n "$dry" ]; then show "$@"; else az "$@" --output none || failed "az ${*:1:3} failed"; fi
}

where=()
if [ -n "$management_group" ]; then where=(--management-group "$management_group")
elif [ -n "$subscription" ]; then where=(--subscription "$subscription"); fi
of_group=()
[ -z "$subscription" ] || of_group=(--subscription "$subscription")

if [ -z "$scope" ]; then
    if [ -n "$dry" ]; then
        scope="/subscriptions/${subscription:-SUBSCRIPTION}/resourceGroups/$group"
        [ -z "$cluster" ] || scope="$scope/providers/Microsoft.ContainerService/managedClusters/$cluster"
    elif [ -n "$cluster" ]; then
        scope=$(az aks show --resource-group "$group" --name "$cluster" ${of_group[@]+"${of_group[@]}"} --query id --output tsv) ||
            failed "there is no cluster $cluster in $group, or you may not read it"
    else
        scope=$(az group show --name "$group" ${of_group[@]+"${of_group[@]}"} --query id --output tsv) ||
            failed "there is no resource group $group, or you may not read it"
    fi
    [ -n "$scope" ] || failed "az gave no id of ${cluster:-$group}"
fi

if [ -n "$remove" ]; then
    change policy assignment delete --name "$name" --scope "$scope"
    change policy definition delete --name "$name" ${where[@]+"${where[@]}"}
    say "removed $name from $scope; the add-on takes some 15 minutes to remove template and constraint from the clusters"
    exit 0
fi

if [ -n "$cluster" ]; then
    on=''
    [ -n "$dry" ] || on=$(az aks show --resource-group "$group" --name "$cluster" ${of_group[@]+"${of_group[@]}"} \
        --query addonProfiles.azurepolicy.enabled --output tsv) || failed "the add-ons of $cluster cannot be read"
    if [ -n "$addon" ] && [ "$on" != true ]; then
        change aks enable-addons --addons azure-policy --resource-group "$group" --name "$cluster" ${of_group[@]+"${of_group[@]}"}
    elif [ -z "$dry" ] && [ "$on" != true ]; then
        say "the Azure Policy add-on of $cluster is off: nothing is enforced until it is on (--enable-addon)"
    fi
fi

# Both commands write what is given, whether it is there already or not.
change policy definition create --name "$name" --mode Microsoft.Kubernetes.Data \
    --display-name "Images must have verified signatures ($(basename "$definition" .json))" \
    --description "Kubernetes objects are admitted only when the signatures of all their images are verified." \
    --metadata category=Kubernetes version=1.0.0 \
    --rules "@$work/rule.json" --params "@$work/declarations.json" ${where[@]+"${where[@]}"}
if [ -n "$dry" ]; then
    id="DEFINITION-ID"
else
    id=$(az policy definition show --name "$name" ${where[@]+"${where[@]}"} --query id --output tsv) || failed "the definition $name cannot be read back"
    [ -n "$id" ] || failed "az gave no id of the definition $name"
fi
change policy assignment create --name "$name" --policy "$id" --scope "$scope" --params "@$work/values.json" \
    --display-name "Images must have verified signatures: $effect"

if [ -n "$dry" ]; then
    say "values of the assignment: $(cat "$work/values.json")"
else
    say "assigned $name to $scope with effect $effect; the add-on asks for changes every 15 minutes, first results take longer"
    say "then: kubectl get constrainttemplates, and az policy state summarize --policy-assignment $name --resource ${scope}"
fi
