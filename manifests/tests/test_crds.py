"""The custom resource definitions: the rules of Kubernetes for structural schemas, and which resources they let in."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

MANIFESTS = Path(__file__).resolve().parents[1]
GROUP = "config.ratify.deislabs.io"
OPEN = "x-kubernetes-preserve-unknown-fields"


def load(path):
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


CRDS = {crd["spec"]["names"]["kind"]: crd for path in sorted((MANIFESTS / "crds").glob("*.yaml")) for crd in load(path)}
SAMPLES = [(path.name, sample) for path in sorted((MANIFESTS / "samples").glob("*.yaml")) for sample in load(path)]
VERSIONS = [(kind, version) for kind, crd in CRDS.items() for version in crd["spec"]["versions"]]


def schema_of(kind, version):
    (found,) = [v for v in CRDS[kind]["spec"]["versions"] if v["name"] == version]
    return found["schema"]["openAPIV3Schema"]


def json_schema(schema):
    """An OpenAPI schema of Kubernetes in the words of JSON Schema: nullable becomes a type."""
    if isinstance(schema, list):
        return [json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: json_schema(value) for key, value in schema.items() if key not in ("nullable", OPEN)}
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        result["type"] = [schema["type"], "null"]
    return result


def pruned(value, schema):
    """What the API server stores of a value."""
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        result = {}
        for key, member in value.items():
            if key in properties:
                result[key] = pruned(member, properties[key])
            elif others is not None:
                result[key] = pruned(member, others)
            elif schema.get(OPEN):
                result[key] = member
        return result
    if isinstance(value, list):
        return [pruned(item, schema.get("items", {})) for item in value]
    return value


def complaints(resource):
    version = resource["apiVersion"].split("/")[1]
    schema = json_schema(schema_of(resource["kind"], version))
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(resource)]


def walk(schema, path=()):
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, (*path, name))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(schema[key], (*path, key))


def test_kinds():
    kinds = ["Store", "Verifier", "Policy", "KeyManagementProvider"]
    assert set(CRDS) == {*kinds, *(f"Namespaced{kind}" for kind in kinds), "CertificateStore"}
    for kind, crd in CRDS.items():
        names = crd["spec"]["names"]
        plural = {"Policy": "policies", "NamespacedPolicy": "namespacedpolicies"}.get(kind, kind.lower() + "s")
        assert names["plural"] == plural and names["singular"] == kind.lower() and names["listKind"] == f"{kind}List"
        assert crd["metadata"]["name"] == f"{plural}.{GROUP}" and crd["spec"]["group"] == GROUP
        is_namespaced = kind.startswith("Namespaced") or kind == "CertificateStore"
        assert crd["spec"]["scope"] == ("Namespaced" if is_namespaced else "Cluster")


def test_versions():
    """v1beta1 is stored; v1alpha1 is served for the four kinds that had it."""
    for kind, crd in CRDS.items():
        versions = {v["name"]: v for v in crd["spec"]["versions"]}
        older = {"v1alpha1"} if kind in {"Store", "Verifier", "Policy", "CertificateStore"} else set()
        assert set(versions) == {"v1beta1", *older}
        assert [v["name"] for v in versions.values() if v["storage"]] == ["v1beta1"]
        assert all(v["served"] and v["subresources"] == {"status": {}} for v in versions.values())
        assert all(versions[name]["deprecated"] for name in older)


def test_printer_columns():
    for kind, crd in CRDS.items():
        (columns,) = [v["additionalPrinterColumns"] for v in crd["spec"]["versions"] if v["storage"]]
        paths = {c["name"]: c["jsonPath"] for c in columns}
        expected = {"IsSuccess": ".status.issuccess", "Error": ".status.brieferror"}
        if kind.endswith(("KeyManagementProvider", "CertificateStore")):
            expected["LastFetchedTime"] = ".status.lastfetchedtime"
        assert paths == expected


@pytest.mark.parametrize("kind,version", VERSIONS, ids=[f"{k}-{v['name']}" for k, v in VERSIONS])
def test_schema_is_structural(kind, version):
    """Kubernetes documentation, "Specifying a structural schema"."""
    root = version["schema"]["openAPIV3Schema"]
    jsonschema.Draft7Validator.check_schema(json_schema(root))
    known = {
        "type", "description", "properties", "required", "items", "additionalProperties", "nullable", "enum", "default",
        "minLength", "minimum", "maximum", "format", OPEN,
    }
    for path, schema in walk(root):
        assert set(schema) <= known, path
        assert schema.get("type") or schema.get(OPEN), f"{path} has no type"
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert schema.get("type") != "array" or "items" in schema, path
        assert not schema.get("nullable") or None in schema.get("enum", [None]), f"{path}: null is no member of enum"
        assert set(schema.get("required", [])) <= set(schema.get("properties", {})), path
        assert not schema.get(OPEN) or path[:2] in {("spec", "parameters"), ("spec", "source"), ("status", "properties")}, path
        assert path == () or path == ("metadata",) or path[-1] in ("items",) or "description" in schema or path[-1] == "additionalProperties", path


@pytest.mark.parametrize("name,sample", SAMPLES, ids=[f"{n}-{s['kind']}-{s['metadata']['name']}" for n, s in SAMPLES])
def test_samples_are_accepted_whole(name, sample):
    assert complaints(sample) == []
    version = sample["apiVersion"].split("/")[1]
    spec = schema_of(sample["kind"], version)["properties"]["spec"]
    assert pruned(sample["spec"], spec) == sample["spec"]


COSIGN = {"name": "cosign", "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json"}
PUBLIC_REKOR = "https://rekor.sigstore.dev"

# The parameters of cosign in the shapes that Ratify's samples, walkthroughs and chart give them.
RATIFYS_COSIGN = {
    "a provider's keys": {"trustPolicies": [{"name": "default", "scopes": ["*"], "keys": [{"provider": "ratify-cosign-inline-key-0"}], "tLogVerify": False}]},
    "a namespace's keys": {"trustPolicies": [{"name": "default", "scopes": ["*"], "keys": [{"provider": "default/ratify-cosign-inline-key-0"}], "tLogVerify": False}]},
    "a vault's keys": {"trustPolicies": [{"name": "default", "version": "1.0.0", "scopes": ["*"], "keys": [{"provider": "kmprovider-akv"}], "tLogVerify": False}]},
    "one key of a vault": {"trustPolicies": [{"name": "default", "scopes": ["reg.example/*"], "keys": [{"provider": "kmprovider-akv", "name": "release", "version": "0" * 32}]}]},
    "a file": {"trustPolicies": [{"name": "default", "scopes": ["*"], "keys": [{"file": "/usr/local/ratify-certs/cosign/cosign.pub"}]}]},
    "keyless": {"trustPolicies": [{"name": "default", "scopes": ["*"], "keyless": {"certificateIdentity": "dev@example.com", "certificateOIDCIssuer": "https://github.com/login/oauth"}}]},
    # What its chart writes where values are empty.
    "nulls": {
        "trustPolicies": [
            {
                "name": "default", "version": "1.0.0", "scopes": ["*"], "keys": None, "tLogVerify": True, "rekorURL": None,
                "keyless": {"ctLogVerify": True, "certificateIdentity": None, "certificateIdentityRegExp": ".*@example.com", "certificateOIDCIssuer": "https://github.com/login/oauth", "certificateOIDCIssuerRegExp": None},
            }
        ]
    },
    "older, a key": {"key": "/usr/local/ratify-certs/cosign/cosign.pub"},
    "older, a log": {"rekorURL": PUBLIC_REKOR},
    "older, both": {"key": "/usr/local/ratify-certs/cosign/cosign.pub", "rekorURL": PUBLIC_REKOR},
}


@pytest.mark.parametrize("kind", ["Verifier", "NamespacedVerifier"])
@pytest.mark.parametrize("name", RATIFYS_COSIGN)
def test_ratifys_cosign_verifiers_are_accepted_whole(name, kind):
    resource = {"apiVersion": f"{GROUP}/v1beta1", "kind": kind, "metadata": {"name": "verifier-cosign"}, "spec": {**COSIGN, "parameters": RATIFYS_COSIGN[name]}}
    assert complaints(resource) == []
    assert pruned(resource["spec"], schema_of(kind, "v1beta1")["properties"]["spec"]) == resource["spec"]


def sample(kind):
    return copy.deepcopy(next(s for _, s in SAMPLES if s["kind"] == kind))


def with_trust_policy(**members):
    """A cosign Verifier with one trust policy that is good but for these members; ... leaves one out."""
    policy = {"name": "a", "scopes": ["*"], "keys": [{"provider": "release"}], **members}
    return with_parameter("Verifier", "trustPolicies", [{name: value for name, value in policy.items() if value is not ...}])


def with_parameter(kind, name, value):
    result = sample(kind)
    result["spec"]["parameters"][name] = value
    return result


@pytest.mark.parametrize("value", [True, False, ["10.20.0.0/16"]])
def test_private_addresses_are_allowed_as_a_whole_or_by_blocks(value):
    for resource in (
        with_parameter("Store", "allowPrivateAddresses", value),
        with_parameter("Verifier", "revocation", {"allowPrivateAddresses": value, "maximumAge": 3600000}),
    ):
        assert complaints(resource) == []
        version = resource["apiVersion"].split("/")[1]
        spec = schema_of(resource["kind"], version)["properties"]["spec"]
        assert pruned(resource["spec"], spec) == resource["spec"]


@pytest.mark.parametrize(
    "resource,word",
    [
        (with_parameter("Store", "useHttp", "yes"), "boolean"),
        (with_parameter("Store", "ttl", -1), "minimum"),
        (with_parameter("Store", "authProvider", "k8Secrets"), "object"),
        (with_parameter("Verifier", "trustPolicyDoc", {"version": 1.0}), "string"),
        (with_parameter("Verifier", "trustPolicyDoc", {"trustPolicies": [{"name": "a"}]}), "required"),
        (
            with_parameter(
                "Verifier",
                "trustPolicyDoc",
                {"trustPolicies": [{"name": "a", "registryScopes": ["*"], "signatureVerification": {"level": "lax"}}]},
            ),
            "lax",
        ),
        (with_parameter("Verifier", "revocation", {"maximumAge": 999}), "minimum"),
        (with_parameter("Verifier", "trustPolicies", {"name": "a"}), "array"),
        (with_parameter("Verifier", "key", True), "string"),
        (with_trust_policy(name=...), "required"),
        (with_trust_policy(name=""), ""),
        (with_trust_policy(scopes=...), "required"),
        (with_trust_policy(scopes="*"), "array"),
        (with_trust_policy(version="2.0.0"), "2.0.0"),
        (with_trust_policy(version=1.0), "string"),
        (with_trust_policy(keys=["release"]), "object"),
        (with_trust_policy(keys=[{"provider": ["release"]}]), "string"),
        (with_trust_policy(keyless="a@example.com"), "object"),
        (with_trust_policy(keyless={"certificateIdentity": ["a@example.com"]}), "string"),
        (with_trust_policy(keyless={"identities": {"certificateIdentity": "a@example.com"}}), "array"),
        (with_trust_policy(keyless={"extensions": {"buildTrigger": ["push"]}}), "string"),
        (with_trust_policy(keyless={"ctLogVerify": "false"}), "boolean"),
        (with_trust_policy(tLogVerify="false"), "boolean"),
        (with_trust_policy(annotations={"stage": 1}), "string"),
        (with_trust_policy(signatureThreshold=0), "minimum"),
        (with_trust_policy(tLogThreshold=0), "minimum"),
        (with_trust_policy(timestampThreshold=11), "maximum"),
        (with_parameter("Policy", "artifactVerificationPolicies", {"default": "some"}), "some"),
        (with_parameter("Policy", "signedBy", "manifests"), "manifests"),
        (with_parameter("KeyManagementProvider", "certificates", "name"), "array"),
        (with_parameter("CertificateStore", "certificates", [{"name": "a"}]), "string"),
        ({**sample("Verifier"), "spec": {"name": "notation"}}, "artifactTypes"),
        ({**sample("Store"), "spec": {}}, "name"),
        ({**sample("Store"), "status": {"error": "no"}}, "issuccess"),
    ],
)
def test_what_is_wrong_is_refused(resource, word):
    found = complaints(resource)
    assert any(word in complaint for complaint in found), found


def test_misspelt_members_are_kept_to_be_named():
    """Pruned, they would have no effect and nobody would hear of it."""
    store = with_parameter("Store", "useHTTP", True)
    spec = schema_of("Store", "v1beta1")["properties"]["spec"]
    assert pruned(store["spec"], spec)["parameters"]["useHTTP"] is True
    store["spec"]["nonsense"] = 1
    assert "nonsense" not in pruned(store["spec"], spec)
