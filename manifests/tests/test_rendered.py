"""What the rendered manifests promise."""

import base64
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "gatekeeper-system"
# Kinds without a namespace among what we render.
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "ConstraintTemplate", "Provider", "Assign", "RatifyVerification"}
SYSTEM_NAMESPACES = {"kube-system", "kube-public", "kube-node-lease", "gatekeeper-system"}


def one(objects, kind, name=None):
    found = [o for o in objects if o["kind"] == kind and (name is None or o["metadata"]["name"] == name)]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def pod(objects):
    return one(objects, "Deployment")["spec"]["template"]


def container(objects):
    (only,) = pod(objects)["spec"]["containers"]
    return only


def flags(objects):
    args = container(objects)["args"]
    assert args[0] == "serve"
    return dict(zip(args[1::2], args[2::2]))


def configuration(objects):
    return json.loads(one(objects, "ConfigMap", "ratify-configuration")["data"]["config.json"])


# ---- names that Ratify's users have


def test_names(objects):
    names = {(o["kind"], o["metadata"]["name"]) for o in objects}
    assert names >= {
        ("Deployment", "ratify"),
        ("Service", "ratify"),
        ("ServiceAccount", "ratify-admin"),
        ("ConfigMap", "ratify-configuration"),
        ("PodDisruptionBudget", "ratify"),
        ("NetworkPolicy", "ratify"),
        ("Provider", "ratify-provider"),
        ("Provider", "ratify-mutation-provider"),
        ("ConstraintTemplate", "ratifyverification"),
        ("Assign", "mutate-pod-image"),
        ("Assign", "mutate-workload-image"),
        ("Assign", "mutate-cronjob-image"),
        ("Assign", "mutate-pod-image-init"),
        ("Assign", "mutate-pod-image-ephemeral"),
    }
    assert len(names) == len(objects), "an object is there twice"


def test_namespaces(objects):
    for item in objects:
        expected = None if item["kind"] in CLUSTER_WIDE else NAMESPACE
        assert item["metadata"].get("namespace") == expected, item["kind"]


def test_no_namespace_object(objects):
    assert not [o for o in objects if o["kind"] == "Namespace"]


# ---- who may connect


def test_only_gatekeepers_namespace_reaches_the_provider(objects):
    spec = one(objects, "NetworkPolicy")["spec"]
    assert spec["podSelector"] == one(objects, "Deployment")["spec"]["selector"]
    # Registries, vaults and revocation are where they are: nothing is said about outgoing connections.
    assert spec["policyTypes"] == ["Ingress"] and "egress" not in spec
    ports = {p["name"] for p in container(objects)["ports"]}
    allowed = {port["port"]: rule.get("from") for rule in spec["ingress"] for port in rule["ports"]}
    assert allowed.keys() == ports
    gatekeeper = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}]
    assert allowed == {"https": gatekeeper, "health": None, "metrics": None}


# ---- the pod


def test_pod_is_restricted(objects):
    spec = pod(objects)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] >= 10000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not any(spec.get(field) for field in ["hostNetwork", "hostPID", "hostIPC"])
    context = container(objects)["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["runAsNonRoot"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not context.get("privileged")


def test_volumes_are_read_only_and_no_host_paths(objects):
    spec = pod(objects)["spec"]
    assert all(set(v) & {"configMap", "secret"} for v in spec["volumes"])
    mounts = container(objects)["volumeMounts"]
    assert all(m["readOnly"] for m in mounts)
    assert {m["name"] for m in mounts} == {v["name"] for v in spec["volumes"]}


def test_key_of_gatekeeper_is_not_mounted(objects):
    volumes = {v["name"]: v for v in pod(objects)["spec"]["volumes"]}
    assert [i["key"] for i in volumes["client-ca"]["secret"]["items"]] == ["ca.crt"]
    assert {i["key"] for i in volumes["tls"]["secret"]["items"]} == {"tls.crt", "tls.key"}


def test_ports_agree(objects):
    ports = {p["name"]: p["containerPort"] for p in container(objects)["ports"]}
    assert ports == {"https": 6001, "health": 9099, "metrics": 8888}
    given = flags(objects)
    assert given["--http"] == ":6001"
    assert given["--health-port"] == ":9099"
    assert given["--metrics-port"] == "8888"
    (port,) = one(objects, "Service")["spec"]["ports"]
    assert (port["port"], ports[port["targetPort"]]) == (6001, 6001)
    assert pod(objects)["metadata"]["annotations"]["prometheus.io/port"] == "8888"


def test_probes(objects):
    probed = container(objects)
    for probe, path in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]:
        assert probed[probe]["httpGet"] == {"path": path, "port": "health"}


def test_files_that_flags_name_are_mounted(objects):
    mounts = [m["mountPath"] for m in container(objects)["volumeMounts"]]
    given = flags(objects)
    for flag in ["-c", "--ca-cert-file"]:
        assert str(Path(given[flag]).parent) in mounts
    assert given["--cert-dir"] in mounts
    for plugin in configuration(objects)["keyManagementProvider"]["plugins"]:
        assert set(plugin["paths"]) <= set(mounts)


def test_selectors_agree(objects):
    labels = pod(objects)["metadata"]["labels"].items()
    deployment = one(objects, "Deployment")["spec"]
    selectors = [
        deployment["selector"]["matchLabels"],
        one(objects, "Service")["spec"]["selector"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *[c["labelSelector"]["matchLabels"] for c in pod(objects)["spec"]["topologySpreadConstraints"]],
    ]
    for selector in selectors:
        assert selector == selectors[0]
        assert selector.items() <= labels


def test_stays_available(objects):
    deployment = one(objects, "Deployment")["spec"]
    budget = one(objects, "PodDisruptionBudget")["spec"]
    assert deployment["replicas"] > budget["minAvailable"] >= 1
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert pod(objects)["spec"]["priorityClassName"] == "system-cluster-critical"
    assert container(objects)["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container(objects)["resources"]["limits"]


def test_no_rights(objects):
    assert one(objects, "ClusterRole")["rules"] == []
    account = one(objects, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    (subject,) = one(objects, "ClusterRoleBinding")["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["metadata"]["name"], NAMESPACE)
    assert pod(objects)["spec"]["serviceAccountName"] == account["metadata"]["name"]


# ---- Gatekeeper's side


def test_providers_point_at_the_service(objects):
    service = one(objects, "Service")
    address = f"https://{service['metadata']['name']}.{NAMESPACE}:6001/ratify/gatekeeper/v1/"
    assert one(objects, "Provider", "ratify-provider")["spec"]["url"] == address + "verify"
    assert one(objects, "Provider", "ratify-mutation-provider")["spec"]["url"] == address + "mutate"
    for name in ["ratify-provider", "ratify-mutation-provider"]:
        assert one(objects, "Provider", name)["apiVersion"] == "externaldata.gatekeeper.sh/v1beta1"


def test_deadlines_nest(rendered):
    # Our deadline < the Provider's timeout, and two of these and a second for the policy within the webhook's: otherwise a
    # webhook that ignores failures admits.
    for name, webhook in [("base", 3), ("example", 5)]:
        executor = configuration(rendered[name])["executor"]
        verify = one(rendered[name], "Provider", "ratify-provider")["spec"]["timeout"]
        mutate = one(rendered[name], "Provider", "ratify-mutation-provider")["spec"]["timeout"]
        assert executor["verificationRequestTimeout"] < verify * 1000
        assert 2 * verify + 1 <= webhook
        assert executor["mutationRequestTimeout"] < mutate * 1000


def default_schema():
    """The parameters of the default template, out of the files that it is made of."""
    parts = json.loads((ROOT / "rego/ratifyverification/template.json").read_text())["parts"]
    properties = {}
    for part in parts:
        properties.update(json.loads((ROOT / f"rego/lib/{part}.json").read_text()))
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": properties}


def test_template(objects):
    template = one(objects, "ConstraintTemplate")
    (target,) = template["spec"]["targets"]
    assert target["target"] == "admission.k8s.gatekeeper.sh"
    assert target["rego"].startswith("package ratifyverification\n")
    crd = template["spec"]["crd"]["spec"]
    assert crd["names"]["kind"] == "RatifyVerification"
    assert crd["validation"]["openAPIV3Schema"] == default_schema()


def test_schema_is_structural(objects):
    """Every node has a type, as CustomResourceDefinitions require."""

    def walk(node):
        assert node.get("type") in {"object", "array", "string", "boolean", "integer"}, node
        for child in node.get("properties", {}).values():
            walk(child)
        for field in ["items", "additionalProperties"]:
            if field in node:
                walk(node[field])

    walk(one(objects, "ConstraintTemplate")["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"])


def test_every_parameter_is_read_and_documented():
    documented = (ROOT / "docs/policies.md").read_text()
    for file in [*ROOT.glob("rego/lib/*.json"), *ROOT.glob("rego/*/parameters.json")]:
        rego = (file.with_suffix(".rego") if file.parent.name == "lib" else file.with_name("policy.rego")).read_text()
        for name in json.loads(file.read_text()):
            ways = [f'parameter("{name}", ', f'has_one_of(certificate, "{name}")']  # by name, or by the list's name
            assert any(way in rego for way in ways), (file, name)
            assert f"`{name}`" in documented, (file, name)


def test_mutation(objects):
    assigned = [o for o in objects if o["kind"] == "Assign"]
    places = {a["spec"]["location"] for a in assigned}
    for prefix in ["spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"]:
        for field in ["containers", "initContainers"]:
            assert f"{prefix}.{field}[name:*].image" in places
    assert "spec.ephemeralContainers[name:*].image" in places
    for item in assigned:
        spec = item["spec"]
        assert SYSTEM_NAMESPACES <= set(spec["match"]["excludedNamespaces"])
        external = spec["parameters"]["assign"]["externalData"]
        assert external == {"provider": "ratify-mutation-provider", "dataSource": "ValueAtLocation", "failurePolicy": "Fail"}
        applied = {(g, k) for a in spec["applyTo"] for g in a["groups"] for k in a["kinds"]}
        matched = {(g, k) for m in spec["match"]["kinds"] for g in m["apiGroups"] for k in m["kinds"]}
        assert applied == matched


def test_constraint(constraint):
    assert (constraint["kind"], constraint["metadata"]["name"]) == ("RatifyVerification", "ratify-constraint")
    match = constraint["spec"]["match"]
    assert SYSTEM_NAMESPACES <= set(match["excludedNamespaces"])
    assert constraint["spec"]["enforcementAction"] == "deny"
    matched = {(g, k) for m in match["kinds"] for g in m["apiGroups"] for k in m["kinds"]}
    assert matched >= {("", "Pod"), ("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "Job"), ("batch", "CronJob")}


def test_constraint_parameters_are_in_the_schema(constraint):
    schema = default_schema()
    assert set(constraint["spec"].get("parameters") or {}) <= set(schema["properties"])


# ---- the example overlay


def test_example_is_complete(example):
    there = {(o["kind"], o["metadata"]["name"]) for o in example}
    spec = pod(example)["spec"]
    for volume in spec["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in there
        elif volume["secret"]["secretName"] == "ratify-tls":
            assert ("Secret", "ratify-tls") in there
    assert container(example)["image"].startswith("registry.example.com/countersign")


def test_example_trusts_the_ca_of_its_serving_certificate(example, tmp_path):
    secret = one(example, "Secret", "ratify-tls")
    assert secret["type"] == "kubernetes.io/tls"
    assert set(secret["data"]) == {"tls.crt", "tls.key"}, "the CA's key stays outside"
    bundles = {o["spec"]["caBundle"] for o in example if o["kind"] == "Provider"}
    assert len(bundles) == 1
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(bundles.pop(), validate=True))
    (tmp_path / "tls.crt").write_bytes(base64.b64decode(secret["data"]["tls.crt"]))
    subprocess.run(
        ["openssl", "verify", "-CAfile", "ca.crt", "-purpose", "sslserver", "-verify_hostname", f"ratify.{NAMESPACE}", "tls.crt"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )


def test_base_has_no_ca_of_anybody(rendered):
    assert all(o["spec"]["caBundle"] == "" for o in rendered["base"] if o["kind"] == "Provider")
    assert not [o for o in rendered["base"] if o["kind"] == "Secret"]
