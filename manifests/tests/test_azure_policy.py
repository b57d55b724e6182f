"""The Azure Policy definitions, and the script that assigns them, with an `az` that writes down what it is asked."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "manifests" / "azure-policy"
ASSIGN = DIRECTORY / "assign.sh"
DEFINITIONS = {"ratify-verification.json": "ratifyverification", "notation-issuer-validation.json": "notation-issuer-validation"}

sys.path.insert(0, str(ROOT / "rego" / "tests"))
import engine  # noqa: E402
import matrix  # noqa: E402


def load(name):
    return json.loads((DIRECTORY / name).read_text())


@pytest.fixture(params=DEFINITIONS)
def name(request):
    return request.param


def test_definitions_are_all_here():
    assert {file.name for file in DIRECTORY.glob("*.json")} == set(DEFINITIONS)


def test_shape(name):
    """What Azure Policy documents for the mode Microsoft.Kubernetes.Data with effects Audit and Deny."""
    found = load(name)
    assert set(found) == {"mode", "parameters", "policyRule"}
    assert found["mode"] == "Microsoft.Kubernetes.Data"
    condition = found["policyRule"]["if"]
    assert condition == {"field": "type", "in": ["Microsoft.ContainerService/managedClusters", "Microsoft.Kubernetes/connectedClusters"]}
    then = found["policyRule"]["then"]
    assert then["effect"] == "[parameters('effect')]"
    details = then["details"]
    # constraintInfo, constraint and constraintTemplate exclude what is used here, or are deprecated.
    assert set(details) == {"templateInfo", "apiGroups", "kinds", "excludedNamespaces", "namespaces", "labelSelector", "values"}
    assert set(details["templateInfo"]) == {"sourceType", "content"}
    assert details["templateInfo"]["sourceType"] == "Base64Encoded"
    assert details["apiGroups"] == ["", "apps", "batch"]
    assert details["kinds"] == ["Pod", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"]


def test_every_parameter_is_declared_and_used(name):
    found = load(name)
    used = set(re.findall(r"\[parameters\('([A-Za-z]+)'\)\]", json.dumps(found["policyRule"])))
    assert used == set(found["parameters"])
    for declaration in found["parameters"].values():
        assert declaration["type"] in {"String", "Array", "Object", "Boolean", "Integer"}
        assert set(declaration["metadata"]) == {"displayName", "description"}
        assert set(declaration) <= {"type", "metadata", "allowedValues", "defaultValue", "schema"}
    effect = found["parameters"]["effect"]
    assert effect["allowedValues"] == ["Deny", "Audit", "Disabled"]
    assert {"kube-system", "gatekeeper-system", "azure-arc", "azure-extensions-usage-system"} <= set(
        found["parameters"]["excludedNamespaces"]["defaultValue"]
    )


def test_values_are_parameters_of_the_template(name):
    found = load(name)
    schema = embedded(name)["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"]
    values = found["policyRule"]["then"]["details"]["values"]
    assert set(values) <= set(schema["properties"])
    defaults = {n: found["parameters"][n]["defaultValue"] for n in values if "defaultValue" in found["parameters"][n]}
    Draft202012Validator(schema).validate(defaults)


def embedded(name):
    content = load(name)["policyRule"]["then"]["details"]["templateInfo"]["content"]
    return yaml.safe_load(base64.b64decode(content, validate=True))


def test_the_template_is_the_library_s_without_comments(name):
    whole, found = engine.document(DEFINITIONS[name]), embedded(name)
    rego = whole["spec"]["targets"][0]["rego"]
    bare = found["spec"]["targets"][0]["rego"]
    assert [line for line in rego.split("\n") if line.strip() and not line.lstrip().startswith("#")] == bare.rstrip("\n").split("\n")
    assert "#" not in re.sub(r"`[^`]*`|\"(\\.|[^\"\\])*\"", "", bare)
    for document in (whole, found):
        assert document["spec"]["targets"][0]["target"] == "admission.k8s.gatekeeper.sh"
    assert found["metadata"] == whole["metadata"]
    assert found["spec"]["crd"] == whole["spec"]["crd"]


def test_the_embedded_template_decides(name):
    """With the definition's own default values: what it must admit and refuse."""
    import regorus

    found, template = load(name), DEFINITIONS[name]
    values = {n: found["parameters"][n].get("defaultValue") for n in found["policyRule"]["then"]["details"]["values"]}
    if "signers" in values:
        values["signers"] = [{"issuer": matrix.SIGNER["Issuer"], "subjectAttributes": {"O": "Example"}}]
    rego = regorus.Engine()
    rego.set_rego_v0(True)
    rego.add_policy("policy.rego", embedded(name)["spec"]["targets"][0]["rego"])
    rego.add_policy("stand_in.rego", engine.STAND_IN % engine.package(template))

    def ask(answer):
        rego.set_input_json(json.dumps(engine.input_document({"answer": answer}, engine.pod(matrix.A), values)))
        return json.loads(rego.eval_rule_as_json(f"data.{engine.package(template)}.violation"))

    good = matrix.FITTING[template]["value"]
    assert ask(engine.answer((matrix.A, good))) == []
    for bad in matrix.BAD_RESULTS.values():
        assert len(ask(engine.answer((matrix.A, bad(good))))) == 1
    for bad in matrix.BAD_ANSWERS.values():
        assert ask(bad(matrix.A, good))


# ---- assign.sh

AZ = f"#!{sys.executable} -S" + """
import json, os, sys
calls = os.environ["AZ_CALLS"]
arguments = sys.argv[1:]
written = [json.load(open(a[1:])) if a.startswith("@") else a for a in arguments]
with open(calls, "a") as file:
    file.write(json.dumps(written) + "\\n")
answers = json.loads(os.environ.get("AZ_ANSWERS", "{}"))
asked = " ".join(arguments)
for start, text in answers.items():
    if asked.startswith(start) and (text != "addon" or "addonProfiles" in asked):
        if text is None:
            sys.exit(3)
        print(text)
        break
"""

SCOPE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c"
ANSWERS = {"aks show --resource-group g --name c --query id": SCOPE, "aks show": "true", "group show": "/subscriptions/s/resourceGroups/g", "policy definition show": "/definition/id"}


@pytest.fixture
def assign(tmp_path):
    """Runs the script; gives its exit status, standard output and error, and what az was asked."""
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    az.write_text(AZ)
    az.chmod(0o755)
    calls = tmp_path / "calls"

    def run(*arguments, answers=ANSWERS, **variables):
        calls.write_text("")
        environment = {k: v for k, v in os.environ.items() if k not in ("GROUP_NAME", "AKS_NAME", "SUBSCRIPTION")}
        environment |= {"PATH": f"{az.parent}:{os.environ['PATH']}", "AZ_CALLS": str(calls), "AZ_ANSWERS": json.dumps(answers), **variables}
        result = subprocess.run([str(ASSIGN), *arguments], capture_output=True, text=True, env=environment)
        return result.returncode, result.stdout, result.stderr, [json.loads(line) for line in calls.read_text().splitlines()]

    return run


def option(call, name):
    return call[call.index(name) + 1]


def only(calls, *start):
    (found,) = [call for call in calls if call[: len(start)] == list(start)]
    return found


def test_defines_and_assigns(assign):
    status, _, error, calls = assign("--resource-group", "g", "--cluster", "c")
    assert status == 0, error
    create = only(calls, "policy", "definition", "create")
    found = load("ratify-verification.json")
    assert option(create, "--rules") == found["policyRule"]
    assert option(create, "--params") == found["parameters"]
    assert option(create, "--mode") == "Microsoft.Kubernetes.Data"
    assert option(create, "--name") == "ratify-default-custom-policy"
    assigned = only(calls, "policy", "assignment", "create")
    assert option(assigned, "--policy") == "/definition/id"
    assert option(assigned, "--scope") == SCOPE
    assert option(assigned, "--params") == {"effect": {"value": "Audit"}}
    assert not [call for call in calls if call[:2] == ["aks", "enable-addons"]]


def test_the_same_again_is_the_same(assign):
    first, second = (assign("--resource-group", "g", "--cluster", "c")[3] for _ in range(2))
    assert first == second


def test_values(assign):
    status, _, error, calls = assign(
        "--scope", "/subscriptions/s", "--effect", "Deny", "--namespace", "a", "--namespace", "b", "--exclude", "infra",
        "--parameter", 'exemptImages=["r.example/*"]', "--parameter", "minimumPassingSignatures=2", "--name", "mine",
        "--subscription", "s",
    )
    assert status == 0, error
    values = option(only(calls, "policy", "assignment", "create"), "--params")
    standard = load("ratify-verification.json")["parameters"]["excludedNamespaces"]["defaultValue"]
    assert values == {
        "effect": {"value": "Deny"},
        "namespaces": {"value": ["a", "b"]},
        "excludedNamespaces": {"value": [*standard, "infra"]},
        "exemptImages": {"value": ["r.example/*"]},
        "minimumPassingSignatures": {"value": 2},
    }
    assert all(option(call, "--name") == "mine" for call in calls)
    assert option(only(calls, "policy", "definition", "create"), "--subscription") == "s"


def test_signers(assign):
    signers = [{"issuer": "CN=CA,O=Example", "subjectAttributes": {"O": "Example"}}]
    status, _, error, calls = assign(
        "--resource-group", "g", "--definition", "notation-issuer-validation.json", "--parameter", f"signers={json.dumps(signers)}"
    )
    assert status == 0, error
    assert option(only(calls, "policy", "assignment", "create"), "--params")["signers"] == {"value": signers}
    assert option(only(calls, "policy", "assignment", "create"), "--name") == "ratify-signer-custom-policy"
    assert option(only(calls, "policy", "assignment", "create"), "--scope") == "/subscriptions/s/resourceGroups/g"


def test_addon(assign):
    off = {**ANSWERS, "aks show": "false"}
    status, _, error, calls = assign("--resource-group", "g", "--cluster", "c", answers=off)
    assert status == 0 and "add-on of c is off" in error
    assert not [call for call in calls if call[:2] == ["aks", "enable-addons"]]
    _, _, _, calls = assign("--resource-group", "g", "--cluster", "c", "--enable-addon", answers=off)
    assert option(only(calls, "aks", "enable-addons"), "--addons") == "azure-policy"
    _, _, _, calls = assign("--resource-group", "g", "--cluster", "c", "--enable-addon")
    assert not [call for call in calls if call[:2] == ["aks", "enable-addons"]], "it is on already"


def test_dry_run(assign):
    status, output, error, calls = assign("--resource-group", "g", "--cluster", "c", "--enable-addon", "--dry-run")
    assert status == 0 and calls == []
    assert [line.split()[:4] for line in output.splitlines()] == [
        ["az", "aks", "enable-addons", "--addons"],
        ["az", "policy", "definition", "create"],
        ["az", "policy", "assignment", "create"],
    ]
    assert '"effect": {"value": "Audit"}' in error


def test_remove(assign):
    status, _, error, calls = assign("--resource-group", "g", "--cluster", "c", "--remove")
    assert status == 0, error
    assert only(calls, "policy", "assignment", "delete")
    assert only(calls, "policy", "definition", "delete")
    assert calls.index(only(calls, "policy", "assignment", "delete")) < calls.index(only(calls, "policy", "definition", "delete"))


def test_help(assign):
    status, output, _, calls = assign("--help")
    assert status == 0 and calls == []
    for flag in re.findall(r"^        (--[a-z-]+)\)", ASSIGN.read_text(), re.MULTILINE):
        assert flag in output


@pytest.mark.parametrize(
    "arguments, text",
    [
        ([], "--resource-group or --scope is missing"),
        (["--scope", "g"], "begins with /"),
        (["--scope", "/s", "--cluster", "c"], "says it all"),
        (["--resource-group", "g", "--effect", "deny"], "--effect is Audit, Deny or Disabled"),
        (["--resource-group", "g", "--enable-addon"], "--enable-addon needs --cluster"),
        (["--resource-group", "g", "--name", "a b"], "is not a name"),
        (["--scope", "/providers/Microsoft.Management/managementGroups/m"], "24 characters at most"),
        (["--resource-group", "g", "--definition", "none.json"], "cannot be read"),
        (["--resource-group", "g", "--definition", "notation-issuer-validation.json"], "--parameter signers=… is missing"),
        (["--resource-group", "g", "--parameter", "exemptImages"], "--parameter is NAME=JSON"),
        (["--resource-group", "g", "--parameter", "exemptImage=[]"], "no parameter exemptImage"),
        (["--resource-group", "g", "--parameter", "exemptImages=r.example/*"], "is not JSON"),
        (["--resource-group", "g", "--parameter", 'exemptImages="r.example/*"'], "not of type Array"),
        (["--resource-group", "g", "--parameter", "minimumPassingSignatures=true"], "not of type Integer"),
        (["--resource-group", "g", "--parameter", 'effect="Deny"'], "effect is given twice"),
        (["--resource-group"], "needs a value"),
        (["--what", "x"], "unknown option --what"),
        (["what"], "unknown argument what"),
    ],
)
def test_wrong_usage_changes_nothing(arguments, text, assign):
    status, _, error, calls = assign(*arguments)
    assert (status, calls) == (2, [])
    assert text in error


@pytest.mark.parametrize(
    "answers, text",
    [
        ({**ANSWERS, "aks show --resource-group g --name c --query id": None}, "there is no cluster c in g"),
        ({**ANSWERS, "policy definition create": None}, "az policy definition create failed"),
        ({**ANSWERS, "policy definition show": ""}, "az gave no id of the definition"),
        ({**ANSWERS, "policy assignment create": None}, "az policy assignment create failed"),
    ],
)
def test_failures_are_told(answers, text, assign):
    status, _, error, calls = assign("--resource-group", "g", "--cluster", "c", answers=answers)
    assert status == 1
    assert text in error
    if "assignment" not in text:
        assert not [call for call in calls if call[:3] == ["policy", "assignment", "create"]]


def test_scripts_are_clean():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    subprocess.run([str(shellcheck), str(ASSIGN)], check=True)
