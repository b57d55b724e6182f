"""From Ratify to Countersign with one `helm upgrade`, and back."""

import base64

import pytest
import yaml
from apiserver import ApiServer
from conftest import CA, KEY, NAMESPACE, Helm, parse_set, prepare
from former_release import chart

VALUES = {
    **parse_set("featureFlags.RATIFY_CERT_ROTATION=true"),
    "notationCerts": [CA],
}

# The names that clients, credentials and policies of a Ratify user refer to.
KEPT = {
    ("Deployment", "ratify"),
    ("Service", "ratify"),
    ("ServiceAccount", "ratify-admin"),
    ("ConfigMap", "ratify-configuration"),
    ("Provider", "ratify-provider"),
    ("Provider", "ratify-mutation-provider"),
    ("Store", "store-oras"),
    ("Verifier", "verifier-notation"),
    ("Policy", "ratify-policy"),
    ("KeyManagementProvider", "ratify-notation-inline-cert-0"),
    ("Secret", "ratify-tls"),
    ("ClusterRole", "ratify-manager-cluster-role"),
    ("Role", "ratify-manager-role"),
}
ADOPTED = {("Provider", "ratify-provider"), ("Provider", "ratify-mutation-provider"), ("Store", "store-oras"), ("Verifier", "verifier-notation"), ("KeyManagementProvider", "ratify-notation-inline-cert-0")}


@pytest.fixture(scope="module")
def ratify(tmp_path_factory):
    """The chart of Ratify."""
    return chart(tmp_path_factory.mktemp("former") / "ratify")


@pytest.fixture(scope="module")
def with_ratify(ratify):
    """A cluster in which it was installed with VALUES."""
    with ApiServer() as server:
        prepare(server)
        Helm(server).install(VALUES, chart=ratify)
        yield server


@pytest.fixture
def server(with_ratify):
    with with_ratify.copy() as server:
        yield server


@pytest.fixture
def helm(server):
    return Helm(server)


@pytest.fixture
def empty():
    """A cluster without it."""
    with ApiServer() as server:
        prepare(server)
        yield server


def names(server):
    return {(o["kind"], o["metadata"]["name"]) for o in server.all()}


def manifest(release):
    return {(o["kind"], o["metadata"]["name"]) for o in yaml.safe_load_all(release["manifest"]) if o}


def image(server):
    (container,) = server.one("Deployment", "ratify")["spec"]["template"]["spec"]["containers"]
    return container["image"]


@pytest.fixture(scope="module")
def after_the_switch(with_ratify):
    """A Ratify release that was upgraded to Countersign with the same values. Ratify has filled its Secret meanwhile."""
    with with_ratify.copy() as server:
        server.objects["", "secrets", NAMESPACE, "ratify-tls"]["data"] = {"ca.crt": "bGl2ZQ==", "ca.key": "a2V5", "tls.crt": "Y3J0", "tls.key": "a2V5"}
        for name in ["ratify-provider", "ratify-mutation-provider"]:
            server.objects["externaldata.gatekeeper.sh", "providers", None, name]["spec"]["caBundle"] = "bGl2ZQ=="
        Helm(server).upgrade(VALUES)
        yield server


@pytest.fixture
def switched(after_the_switch):
    with after_the_switch.copy() as server:
        server.log = list(after_the_switch.log)
        yield Helm(server)


@pytest.mark.parametrize("server_side", ["false", "true"], ids=["client-side", "server-side"])
def test_one_upgrade_keeps_the_names(helm, server, server_side):
    helm.upgrade(VALUES, server_side_apply=server_side)
    assert names(server) >= KEPT
    assert image(server) == "countersign:0.1.0-dev"
    (container,) = server.one("Deployment", "ratify")["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "countersign", "Ratify's container is gone"
    assert {r["resources"][0] for r in server.one("ClusterRole", "ratify-manager-cluster-role")["rules"]}.isdisjoint({"secrets"}), "every Secret of the cluster could be read"
    assert not [o for o in server.find("Assign") if o["metadata"]["name"] in ("mutate-workload-image-ephemeral", "mutate-cronjob-image-ephemeral")]


def test_what_ratify_rotated_stays(switched):
    server = switched.server
    assert server.one("Secret", "ratify-tls")["data"]["ca.crt"] == "bGl2ZQ=="
    assert ("delete", "Secret", NAMESPACE, "ratify-tls") not in server.log
    for name in ["ratify-provider", "ratify-mutation-provider"]:
        assert server.one("Provider", name)["spec"]["caBundle"] == "bGl2ZQ=="
        assert server.one("Provider", name)["spec"]["url"].startswith(f"https://ratify.{NAMESPACE}:6001/ratify/gatekeeper/v1/")


def test_objects_without_owner_are_made_anew_once(switched):
    server = switched.server
    made = {(kind, name) for verb, kind, _, name in server.log if verb == "create"}
    assert ADOPTED <= made
    server.log.clear()
    switched.upgrade(VALUES)
    touched = {(kind, name) for verb, kind, _, name in server.log if kind != "Secret"}
    assert touched.isdisjoint(ADOPTED), "nothing is deleted, or even changed, when nothing has changed"


def test_an_upgrade_that_fails_has_not_touched_what_ratify_needs(switched):
    """With --atomic the hooks run when the new Pods are ready: everything else comes before."""
    last = max(i for i, entry in enumerate(switched.server.log) if entry[1] == "Deployment")
    touched = [i for i, (verb, kind, _, name) in enumerate(switched.server.log) if verb == "delete" and ((kind, name) in ADOPTED or kind == "Verifier")]
    assert touched and min(touched) > last


@pytest.mark.parametrize("upgrades_before", [0, 1])
def test_values_reach_adopted_objects_in_later_upgrades(switched, upgrades_before):
    """The very next upgrade too, whose former manifest does not have what a hook made; and the one after that."""
    server = switched.server
    for _ in range(upgrades_before):
        switched.upgrade(VALUES)
    other = {**VALUES, "oras": {"useHttp": True}, "provider": {"timeout": {"validationTimeoutSeconds": 3}}}
    switched.upgrade(other)
    assert server.one("Store", "store-oras")["spec"]["parameters"]["useHttp"] is True
    assert server.one("Provider", "ratify-provider")["spec"]["timeout"] == 1
    switched.upgrade(VALUES)
    assert server.one("Store", "store-oras")["spec"]["parameters"]["useHttp"] is False
    assert names(server) >= KEPT


def test_what_later_values_take_out_goes_although_a_hook_made_it(switched):
    server = switched.server
    switched.upgrade({**VALUES, "notation": {"enabled": False}, "provider": {"enableMutation": False}, "notationCerts": []})
    gone = {("Provider", "ratify-mutation-provider"), ("Verifier", "verifier-notation"), ("KeyManagementProvider", "ratify-notation-inline-cert-0")}
    assert names(server).isdisjoint(gone), "a Verifier that is left goes on deciding"
    assert names(server) >= KEPT - gone


def test_rollback_to_ratify(switched):
    """`helm rollback` deletes what only the present revision's manifest has, and runs none of Ratify's hooks. (The library
    that Helm comes in here cannot roll back, so what it would do is read from the revisions.)"""
    ours, theirs = switched.stored(2), switched.stored(1)
    deleted = manifest(ours) - manifest(theirs)
    assert deleted.isdisjoint(KEPT), "without its custom resources and Providers Ratify would refuse everything"


def test_rollback_to_ratify_after_more_upgrades(switched, ratify):
    server = switched.server
    switched.upgrade(VALUES)
    switched.upgrade({**VALUES, "adoption": "always"})
    switched.upgrade(VALUES, chart=ratify)
    assert image(server).endswith("ratify:v1.4.0")
    assert names(server) >= KEPT


def left(server):
    """What there is besides the definitions, the namespace, and Gatekeeper's."""
    return sorted(n for n in names(server) if n[0] not in ("CustomResourceDefinition", "Namespace"))


OTHER = {**VALUES, "oras": {"useHttp": True}}


@pytest.mark.parametrize("upgrades", [[], [VALUES], [OTHER], [OTHER, VALUES], [{**VALUES, "adoption": "always"}], [{**VALUES, "provider": {"enableMutation": False}}]], ids=["at once", "one more", "other values", "two more", "adoption=always", "without mutation"])
def test_uninstalling_leaves_only_the_definitions(switched, upgrades):
    for values in upgrades:
        switched.upgrade(values)
    switched.uninstall()
    assert left(switched.server) == []


def test_uninstalling_an_installation_leaves_only_the_definitions(empty):
    helm = Helm(empty)
    helm.install({**VALUES, "upgradeCRDs": {"enabled": True}})
    helm.uninstall()
    assert left(empty) == []


def test_somebody_elses_secret_survives(empty):
    helm = Helm(empty)
    empty.put({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "ratify-tls", "namespace": NAMESPACE}, "data": {"tls.crt": "Y3J0", "tls.key": "a2V5", "ca.crt": "Y2E="}})
    helm.install(VALUES | {"featureFlags": {}})
    helm.uninstall()
    assert left(empty) == [("Secret", "ratify-tls")]


def test_certificates_that_were_given_go_too(empty, ratify):
    helm = Helm(empty)
    tls = {"crt": CA, "key": KEY, "caCert": CA, "caKey": KEY, "cabundle": base64.b64encode(CA.encode()).decode()}
    helm.install({"notationCerts": [CA], "provider": {"tls": tls}}, chart=ratify)
    helm.upgrade({"notationCerts": [CA], "provider": {"tls": tls}})
    helm.uninstall()
    assert left(empty) == []


# ---- installing over what a former installation left


@pytest.fixture(params=["ratify's", "ours"])
def leftovers(request, server):
    """A cluster in which Ratify was, or Countersign for one revision, and was uninstalled: hooks stay."""
    helm = Helm(server)
    helm.uninstall()
    for item in server.all():
        if item["kind"] in ("Provider", "Store", "Verifier", "KeyManagementProvider", "Secret") and request.param == "ours":
            plural, namespaced = server.kinds[item["apiVersion"]][item["kind"]]
            here = server.objects[item["apiVersion"].rpartition("/")[0], plural, item["metadata"].get("namespace"), item["metadata"]["name"]]
            here["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
            here["metadata"]["annotations"] = {"helm.sh/hook": "post-install,post-upgrade", "helm.sh/resource-policy": "keep", "meta.helm.sh/release-name": "ratify", "meta.helm.sh/release-namespace": NAMESPACE}
    assert {("Provider", "ratify-provider"), ("Store", "store-oras"), ("Verifier", "verifier-notation"), ("Secret", "ratify-tls")} <= names(server)
    return helm


SCOPE = {"notationCerts": [CA, CA], "oras": {"useHttp": True}, "notation": {"trustPolicies": [{"name": "other", "registryScopes": ["reg.example/app"], "trustStores": ["ca:notationCerts[1]"]}]}}


@pytest.mark.parametrize("server_side", [False, True], ids=["client-side", "server-side"])
def test_an_installation_with_other_values_is_what_is_in_force(leftovers, server_side):
    server = leftovers.server
    leftovers.install(SCOPE, server_side_apply=server_side)
    parameters = server.one("Verifier", "verifier-notation")["spec"]["parameters"]
    assert parameters["trustPolicyDoc"]["trustPolicies"][0]["registryScopes"] == ["reg.example/app"]
    assert parameters["verificationCertStores"] == {"ca": {"cert-0": ["ratify-notation-inline-cert-1"]}}
    assert server.one("Store", "store-oras")["spec"]["parameters"]["useHttp"] is True
    assert server.one("KeyManagementProvider", "ratify-notation-inline-cert-0")["spec"]["parameters"]["value"] == CA
    assert server.one("Provider", "ratify-provider")["spec"]["timeout"] == 2
    assert [v["metadata"]["name"] for v in server.find("Verifier")] == ["verifier-notation"]
    leftovers.uninstall()
    assert left(server) == []


def test_what_is_left_and_not_wanted_goes_and_is_named(leftovers):
    server = leftovers.server
    leftovers.install({"notation": {"enabled": False}, "provider": {"enableMutation": False}})
    assert names(server).isdisjoint({("Verifier", "verifier-notation"), ("Verifier", "verifier-cosign"), ("Provider", "ratify-mutation-provider"), ("KeyManagementProvider", "ratify-notation-inline-cert-0")})
    removed = " ".join(leftovers.notes().split())
    for text in ["Verifier verifier-notation", "Provider ratify-mutation-provider", "KeyManagementProvider ratify-notation-inline-cert-0"]:
        assert text in removed
    assert "kubectl delete" not in removed


def test_without_adoption_what_is_left_is_refused_by_name(leftovers):
    leftovers.server.log.clear()
    with pytest.raises(Exception, match="(store-oras|ratify-provider|verifier-notation|ratify-mutation-provider|ratify-notation-inline-cert-0).*(cannot be imported|left from a former installation)"):
        leftovers.install({**SCOPE, "adoption": "never"})
    assert not [entry for entry in leftovers.server.log if entry[1] in ("Store", "Verifier", "Provider", "Deployment")]


def test_without_adoption_what_is_not_wanted_is_named(helm, server):
    helm.uninstall()
    for name in ["ratify-provider", "ratify-mutation-provider"]:
        del server.objects["externaldata.gatekeeper.sh", "providers", None, name]
    del server.objects["config.ratify.deislabs.io", "stores", None, "store-oras"]
    helm.install({"adoption": "never", "notation": {"enabled": False}, "notationCerts": []})
    assert "still counted" in helm.notes() and "Verifier verifier-notation" in helm.notes()


@pytest.fixture
def before_1_2(empty, ratify):
    """A cluster with Ratify 1.1: without KeyManagementProviders."""
    helm = Helm(empty)
    helm.install(VALUES, chart=ratify)
    for key in [k for k in empty.objects if "keymanagementprovider" in k[1] or (k[1] == "customresourcedefinitions" and "keymanagementprovider" in k[3])]:
        del empty.objects[key]
    for group_version in empty.kinds:
        for kind in ["KeyManagementProvider", "NamespacedKeyManagementProvider"]:
            empty.kinds[group_version].pop(kind, None)
    return helm


def test_an_upgrade_from_before_1_2_brings_the_kind_that_it_needs(before_1_2):
    server = before_1_2.server
    before_1_2.upgrade({**VALUES, "upgradeCRDs": {"enabled": True}})
    assert server.one("KeyManagementProvider", "ratify-notation-inline-cert-0")["spec"]["parameters"]["value"] == CA
    before_1_2.upgrade({**VALUES, "upgradeCRDs": {"enabled": True}})
    assert names(server) >= KEPT
    before_1_2.uninstall()
    assert left(server) == []


def test_without_the_job_an_upgrade_from_before_1_2_says_what_to_do(before_1_2):
    before_1_2.server.log.clear()
    with pytest.raises(Exception, match="kubectl apply --server-side --force-conflicts -f crds/"):
        before_1_2.upgrade(VALUES)
    assert before_1_2.server.log == []


def test_sources_of_certificates_before_1_2_go(helm, server):
    """Ratify 1.0 and 1.1 had CertificateStores, as hooks."""
    for name in ["certstore-akv", "ratify-notation-inline-cert-0"]:
        server.put({"apiVersion": "config.ratify.deislabs.io/v1beta1", "kind": "CertificateStore", "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {"helm.sh/hook": "pre-install,pre-upgrade"}}, "spec": {"provider": "inline", "parameters": {}}})
    mine = {"apiVersion": "config.ratify.deislabs.io/v1beta1", "kind": "CertificateStore", "metadata": {"name": "mine", "namespace": NAMESPACE}, "spec": {"provider": "inline", "parameters": {}}}
    server.put(mine)
    helm.upgrade(VALUES)
    assert [s["metadata"]["name"] for s in server.find("CertificateStore")] == ["mine"]


def test_reused_values_do_not_bring_ratifys_image(helm, server):
    helm.upgrade({}, reuse_values=True)
    assert image(server) == "countersign:0.1.0-dev"
    assert "image.repository, image.tag" in helm.notes()


def test_verifiers_that_no_value_asks_for_go(switched):
    """No value says whose signatures of cosign count, so a Verifier that trusts nobody would have every image refused."""
    assert [v["metadata"]["name"] for v in switched.server.find("Verifier")] == ["verifier-notation"]
    assert "kubectl delete" not in switched.notes(), "advice to delete what the upgrade removes itself"


def test_a_verifier_that_somebody_else_made_stays_and_is_named(helm, server):
    item = server.one("Verifier", "verifier-cosign")
    del server.objects["config.ratify.deislabs.io", "verifiers", None, "verifier-cosign"]["metadata"]["annotations"]
    helm.upgrade(VALUES)
    assert server.one("Verifier", "verifier-cosign")["spec"] == item["spec"]
    assert "kubectl delete verifier verifier-cosign" in helm.notes()


def test_certificates_that_were_given_to_ratify(empty, ratify):
    helm, server = Helm(empty), empty
    tls = {"crt": CA + CA, "key": KEY, "caCert": CA, "caKey": KEY, "cabundle": base64.b64encode(CA.encode()).decode()}
    values = {"notationCerts": [CA], "provider": {"tls": tls}}
    helm.install(values, chart=ratify)
    helm.upgrade(values)
    secret = server.one("Secret", "ratify-tls")
    assert base64.b64decode(secret["data"]["tls.crt"]).decode() == CA + CA
    assert server.one("Provider", "ratify-provider")["spec"]["caBundle"] == tls["cabundle"]
    (container,) = server.one("Deployment", "ratify")["spec"]["template"]["spec"]["containers"]
    assert {"name": "RATIFY_CERT_ROTATION", "value": "false"} in container["env"]


def test_other_release_names_keep_ratifys_rule(empty):
    helm, server = Helm(empty), empty
    helm.install(VALUES, release="signatures")
    assert server.one("Deployment", "signatures-ratify")
    assert server.one("Provider", "ratify-provider")["spec"]["url"] == f"https://signatures-ratify.{NAMESPACE}:6001/ratify/gatekeeper/v1/verify"


def test_somebody_elses_object_is_not_taken(empty):
    helm, server = Helm(empty), empty
    server.put({"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "Provider", "metadata": {"name": "ratify-provider", "labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": NAMESPACE}}, "spec": {}})
    with pytest.raises(Exception, match="ratify-provider.*cannot be imported"):
        helm.install(VALUES)


def test_objects_of_kubectl_apply_are_taken_over(empty):
    helm, server = Helm(empty), empty
    server.put({"apiVersion": "config.ratify.deislabs.io/v1beta1", "kind": "Store", "metadata": {"name": "store-oras"}, "spec": {"name": "oras"}})
    helm.install(VALUES)
    assert server.one("Store", "store-oras")["metadata"]["annotations"]["meta.helm.sh/release-name"] == "ratify"


def test_adoption_can_be_forbidden(empty):
    helm, server = Helm(empty), empty
    server.put(yaml.safe_load("{apiVersion: config.ratify.deislabs.io/v1beta1, kind: Store, metadata: {name: store-oras}, spec: {name: oras}}"))
    with pytest.raises(Exception, match="store-oras.*cannot be imported"):
        helm.install({**VALUES, "adoption": "never"})
