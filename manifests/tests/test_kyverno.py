"""The Kyverno policies: what they send to Countersign's route, and what they make of its answers.

There is no Kyverno here. Their JMESPath is evaluated by a JMESPath library (no function of Kyverno's own is used), variables
are put in as Kyverno puts them in, and conditions are decided as its operators decide.
"""

import copy
import json
import re
from pathlib import Path

import jmespath
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
POLICIES = {file.name: yaml.safe_load(file.read_text()) for file in sorted((ROOT / "manifests" / "kyverno").glob("*.yaml"))}
RULES = {f"{name}: {rule['name']}": rule for name, policy in POLICIES.items() for rule in policy["spec"]["rules"]}
VALIDATING = {name: rule for name, rule in RULES.items() if "validate" in rule}
MUTATING = {name: rule for name, rule in RULES.items() if "mutate" in rule}
SYSTEM_NAMESPACES = {"kube-system", "kube-public", "kube-node-lease", "kyverno", "gatekeeper-system"}

DIGEST = "sha256:" + "a" * 64
POD = {"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "ghcr.io/example/app:v1"}]}}
DEPLOYMENT = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1, "template": {"spec": POD["spec"]}}}


def query(expression, context):
    return jmespath.search(expression, context)


def substitute(node, context):
    """Variables, as Kyverno puts them in: the value itself where the text is one variable and nothing else."""
    if isinstance(node, dict):
        return {key: substitute(value, context) for key, value in node.items()}
    if isinstance(node, list):
        return [substitute(value, context) for value in node]
    if not isinstance(node, str):
        return node
    whole = re.fullmatch(r"\{\{(.*)\}\}", node.strip(), re.DOTALL)
    if whole and "}}" not in whole[1]:
        return query(whole[1].strip(), context)
    return re.sub(r"\{\{(.*?)\}\}", lambda m: str(query(m[1].strip(), context)), node)


def context_of(operation="CREATE", new=POD, old=None, answer=None):
    context = {
        "request": {"operation": operation, "object": new, "namespace": "team-a"},
        "serving": {"data": {"ca": "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n"}},
        "keys": {"data": {"build": "BUILD PEM", "release": "RELEASE PEM"}},
        "countersign": answer,
    }
    if old is not None:
        context["request"]["oldObject"] = old
    return context


def call(rule):
    (found,) = [entry for entry in rule["context"] if entry["name"] == "countersign"]
    return found["apiCall"]


def body(rule, context):
    return {entry["key"]: substitute(entry["value"], context) for entry in call(rule)["data"]}


def applies(rule, context):
    (condition,) = rule["preconditions"]["all"]
    assert condition["operator"] == "Equals"
    return substitute(condition["key"], context) is condition["value"]


def denies(rule, context):
    """NotEquals decides by the key's type, and does not deny for null: the key must be true or false."""
    (condition,) = rule["validate"]["deny"]["conditions"]["any"]
    assert (condition["operator"], condition["value"]) == ("NotEquals", True)
    key = substitute(condition["key"], context)
    assert isinstance(key, bool)
    return key is not True


def patched(rule, context):
    """The object after mutate.foreach; a patch is a replacement of what is there."""
    (foreach,) = rule["mutate"]["foreach"]
    result = copy.deepcopy(context["request"]["object"])
    for element in query(foreach["list"], context):
        for patch in yaml.safe_load(substitute(foreach["patchesJson6902"], {**context, "element": element})):
            assert set(patch) == {"op", "path", "value"} and patch["op"] == "replace"
            *parents, last = [int(p) if p.isdigit() else p for p in patch["path"].lstrip("/").split("/")]
            place = result
            for step in parents:
                place = place[step]
            assert last in place
            place[last] = patch["value"]
    return result


# ---- the route's own description, in docs/kyverno.md


def documented_members():
    text = (ROOT / "docs" / "kyverno.md").read_text()
    section = text[text.index("### Request") : text.index("### Answer")]
    table = section[section.index("| member | type, default") :]
    rows = {}
    for line in table.splitlines()[2:]:
        if not line.startswith("|"):
            break
        name, kind = [cell.strip() for cell in line.strip("|").split("|")[:2]]
        rows[name.strip("`")] = kind
    return rows


@pytest.mark.parametrize("name", RULES)
def test_the_body_is_what_the_route_documents(name):
    documented = documented_members()
    assert {"resource", "namespace", "mutateDigest", "verifyDigest", "attestors", "imageReferences"} <= set(documented)
    sent = body(RULES[name], context_of())
    assert set(sent) <= set(documented)
    for member, value in sent.items():
        kind = documented[member]
        expected = dict if kind.startswith("object") else list if kind.startswith("array") else bool if kind.startswith("Boolean") else str
        assert isinstance(value, expected), (member, kind)
    assert sent["resource"] == POD
    assert sent["namespace"] == "team-a"
    json.dumps(sent)


@pytest.mark.parametrize("name", RULES)
def test_the_call(name):
    found = call(RULES[name])
    assert found["method"] == "POST"
    assert "default" not in found, "an answer that does not come must be an error"
    assert "jmesPath" not in found and "urlPath" not in found
    service = found["service"]
    assert set(service) == {"url", "caBundle"}, "Kyverno adds its own token; a header of ours would take its place"
    assert service["url"] == "https://ratify.gatekeeper-system:6002/kyverno/v1/verify"
    assert substitute(service["caBundle"], context_of()).startswith("-----BEGIN CERTIFICATE-----")
    names = [entry["name"] for entry in RULES[name]["context"]]
    assert names[-1] == "countersign", "what the call needs comes before it"
    assert names.index("serving") < names.index("countersign")


@pytest.mark.parametrize("name", POLICIES)
def test_policies(name):
    policy = POLICIES[name]
    assert (policy["apiVersion"], policy["kind"]) == ("kyverno.io/v1", "ClusterPolicy")
    assert policy["metadata"]["annotations"]["pod-policies.kyverno.io/autogen-controllers"] == "none"
    assert policy["metadata"]["annotations"]["policies.kyverno.io/minversion"] == "1.13.0"
    spec = policy["spec"]
    assert spec["background"] is True
    enforced = any(rule.get("validate", {}).get("failureAction") == "Enforce" for rule in spec["rules"])
    assert spec["webhookConfiguration"]["failurePolicy"] == ("Fail" if enforced else "Ignore")
    assert enforced == (name != "audit.yaml")
    for rule in spec["rules"]:
        (matched,) = rule["match"]["any"]
        assert matched["resources"]["operations"] == ["CREATE", "UPDATE"]
        kinds = {kind.split("/")[-1] for kind in matched["resources"]["kinds"]}
        assert kinds == {"Pod", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}
        (excluded,) = rule["exclude"]["any"]
        assert set(excluded["resources"]["namespaces"]) == SYSTEM_NAMESPACES


def test_what_is_pinned_is_then_verified():
    for name in ["verify-images.yaml", "attestors.yaml"]:
        mutate, validate = POLICIES[name]["spec"]["rules"]
        first, second = body(mutate, context_of()), body(validate, context_of())
        assert first.pop("mutateDigest") is True
        assert second.pop("verifyDigest") is True
        assert first == second


def test_attestors():
    rule = RULES["attestors.yaml: verify-images"]
    sent = body(rule, context_of())
    assert sent["imageReferences"] == ["ghcr.io/example/*"]
    assert sent["attestors"] == [
        {"count": 1, "entries": [{"certificates": {"cert": "BUILD PEM"}}, {"certificates": {"cert": "RELEASE PEM"}}]}
    ]


# ---- verdicts

ANSWERS = [
    ({"verified": True, "message": ""}, False),
    ({"verified": False, "message": "failed to verify image"}, True),
    ({"message": "failed"}, True),
    ({}, True),
    ({"verified": None}, True),
    ({"verified": "true"}, True),
    ({"verified": 1}, True),
    ({"verified": [True]}, True),
    ({"Verified": True}, True),
    (None, True),
    ([True], True),
    ("true", True),
    (True, True),
]


@pytest.mark.parametrize("name", VALIDATING)
@pytest.mark.parametrize("answer, denied", ANSWERS)
def test_only_verified_admits(name, answer, denied):
    assert denies(VALIDATING[name], context_of(answer=answer)) is denied


@pytest.mark.parametrize("name", VALIDATING)
def test_the_answer_is_the_message(name):
    rule = VALIDATING[name]
    answer = {"verified": False, "message": 'failed to verify image a: no signature is associated with "a", make sure the artifact was signed successfully'}
    assert substitute(rule["validate"]["message"], context_of(answer=answer)) == answer["message"]


@pytest.mark.parametrize("name", VALIDATING)
def test_updates_cannot_hide_behind_the_old_object(name):
    """Kyverno evaluates the old object with the answer about the new one, and admits what is refused in both."""
    assert VALIDATING[name]["validate"]["allowExistingViolations"] is False


def changed(document, path, value):
    result = copy.deepcopy(document)
    place = result
    for step in path[:-1]:
        place = place.setdefault(step, {}) if isinstance(step, str) else place[step]
    place[path[-1]] = value
    return result


NEW_IMAGE = "ghcr.io/example/app:v2"
UPDATES = {
    # name: (old, new, looked at)
    "label": (POD, changed(POD, ["metadata", "labels"], {"a": "b"}), False),
    "finalizer": (changed(POD, ["metadata", "finalizers"], ["f"]), POD, False),
    "image": (POD, changed(POD, ["spec", "containers", 0, "image"], NEW_IMAGE), True),
    "ephemeral container": (POD, changed(POD, ["spec", "ephemeralContainers"], [{"name": "e", "image": NEW_IMAGE}]), True),
    "scale": (DEPLOYMENT, changed(DEPLOYMENT, ["spec", "replicas"], 2), False),
    "image of a template": (DEPLOYMENT, changed(DEPLOYMENT, ["spec", "template", "spec", "containers", 0, "image"], NEW_IMAGE), True),
    "init container of a template": (DEPLOYMENT, changed(DEPLOYMENT, ["spec", "template", "spec", "initContainers"], [{"image": NEW_IMAGE}]), True),
    "cron job": (
        {"spec": {"jobTemplate": {"spec": {"template": {"spec": POD["spec"]}}}}},
        {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": NEW_IMAGE}]}}}}}},
        True,
    ),
    "no old object": (None, POD, True),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("update", UPDATES)
def test_updates_that_bring_images_are_looked_at(name, update):
    old, new, expected = UPDATES[update]
    assert applies(RULES[name], context_of("UPDATE", new, old)) is expected


@pytest.mark.parametrize("name", RULES)
def test_every_creation_and_every_scan_is_looked_at(name):
    """A background scan sets the operation to CREATE and has no old object."""
    assert applies(RULES[name], context_of("CREATE", POD)) is True
    assert applies(RULES[name], context_of("CREATE", DEPLOYMENT)) is True


@pytest.mark.parametrize("name", MUTATING)
def test_patches(name):
    pinned = f"ghcr.io/example/app:v1@{DIGEST}"
    answer = {"verified": True, "patches": [{"op": "replace", "path": "/spec/containers/0/image", "value": pinned}]}
    result = patched(MUTATING[name], context_of(answer=answer))
    assert result["spec"]["containers"][0] == {"name": "c", "image": pinned}
    deep = {"verified": True, "patches": [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": pinned}]}
    assert patched(MUTATING[name], context_of(new=DEPLOYMENT, answer=deep))["spec"]["template"]["spec"]["containers"][0]["image"] == pinned
    assert patched(MUTATING[name], context_of(answer={"verified": False, "patches": []})) == POD
