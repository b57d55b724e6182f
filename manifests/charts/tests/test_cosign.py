"""cosign's signatures: what the values make, what they cannot mean, and what an upgrade leaves."""

import json

import pytest
from conftest import CA, KEY, PUBLIC_KEY
from test_values import refused, spec, vault
from walkthroughs import COSIGN_KEYLESS, COSIGN_KEYS

VERIFIER = {"name": "cosign", "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json,application/vnd.dev.sigstore.bundle.v0.3+json"}
ROOT_NAME = "ratify-cosign-trusted-root"
OWN_ROOT = json.dumps({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": []})
ACTIONS = "https://token.actions.githubusercontent.com"
WHO = {"certificateIdentity": "a@example.com", "certificateOIDCIssuer": "https://issuer.example"}


def cosign(**members):
    """Values with cosign alone."""
    return {"notation": {"enabled": False}, "cosign": members}


def with_keys(**members):
    return {**cosign(**members), "cosignKeys": [PUBLIC_KEY]}


def policies(release):
    found = spec(release, "Verifier", "verifier-cosign")
    assert found.keys() == {*VERIFIER, "parameters"} and VERIFIER.items() <= found.items() and found["parameters"].keys() == {"trustPolicies"}
    return found["parameters"]["trustPolicies"]


def providers(release):
    return {p["metadata"]["name"]: p["spec"] for p in release.find("KeyManagementProvider")}


# ---- what values make


def test_nothing_where_nobody_is_trusted(install):
    release = install({"notationCerts": [CA]})
    assert [v["metadata"]["name"] for v in release.find("Verifier")] == ["verifier-notation"]
    assert "cosignEnabled" not in spec(release, "Store", "store-oras")["parameters"]
    assert providers(release).keys() == {"ratify-notation-inline-cert-0"}


def test_keys(install):
    release = install({**COSIGN_KEYS, "cosignKeys": [PUBLIC_KEY, PUBLIC_KEY]})
    assert [v["metadata"]["name"] for v in release.find("Verifier")] == ["verifier-cosign"]
    keys = [{"provider": f"ratify-cosign-inline-key-{i}"} for i in range(2)]
    assert policies(release) == [{"name": "default", "version": "1.0.0", "scopes": ["*"], "keys": keys, "tLogVerify": False}]
    key = {"type": "inline", "parameters": {"contentType": "key", "value": PUBLIC_KEY}}
    assert providers(release) == {f"ratify-cosign-inline-key-{i}": key for i in range(2)}
    assert spec(release, "Store", "store-oras")["parameters"]["cosignEnabled"] is True
    assert "WARNING" not in release.notes and "no effect" not in release.notes


def test_keys_whose_signatures_are_in_the_log(install):
    release = install(with_keys(scopes=["reg.example/app", "reg.example/team/*", "docker.io/*"]))
    assert policies(release) == [
        {"name": "default", "version": "1.0.0", "scopes": ["reg.example/app", "reg.example/team/*", "docker.io/*"], "keys": [{"provider": "ratify-cosign-inline-key-0"}], "tLogVerify": True, "trustedRoot": ROOT_NAME}
    ]
    assert providers(release)[ROOT_NAME] == {"type": "sigstore", "refreshInterval": "24h", "parameters": {"instance": "public-good"}}


def test_keyless(install):
    release = install(COSIGN_KEYLESS)
    assert policies(release) == [
        {
            "name": "default", "version": "1.0.0", "scopes": ["*"], "tLogVerify": True, "trustedRoot": ROOT_NAME,
            "keyless": {"ctLogVerify": True, "certificateIdentity": "https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main", "certificateOIDCIssuer": ACTIONS},
        }
    ]
    assert providers(release) == {ROOT_NAME: {"type": "sigstore", "refreshInterval": "24h", "parameters": {"instance": "public-good"}}}
    assert "WARNING" not in release.notes


def test_several_identities(install):
    identities = [{**WHO, "extensions": {"buildTrigger": "push"}}, {"certificateIdentityRegExp": ".*@example[.]com", "certificateOIDCIssuer": "https://issuer.example"}]
    (policy,) = policies(install(cosign(keyless={"identities": identities, "ctLogVerify": False})))
    assert policy["keyless"] == {"ctLogVerify": False, "identities": identities}


def test_identities_beside_the_one(install):
    (policy,) = policies(install(cosign(keyless={**WHO, "identities": [{**WHO, "certificateIdentity": "b@example.com"}]})))
    assert policy["keyless"] == {"ctLogVerify": True, **WHO, "identities": [{**WHO, "certificateIdentity": "b@example.com"}]}


def test_keys_of_a_vault(install):
    release = install({**vault(certificates=[], keys=[{"name": "release", "version": "a1"}]), **cosign(tLogVerify=False)})
    assert policies(release) == [{"name": "default", "version": "1.0.0", "scopes": ["*"], "keys": [{"provider": "kmprovider-akv"}], "tLogVerify": False}]
    assert providers(release)["kmprovider-akv"]["parameters"]["keys"] == [{"name": "release", "version": "a1"}]


def test_the_older_key(install):
    release = install(cosign(key=PUBLIC_KEY))
    (policy,) = policies(release)
    # Ratify's chart asks for no log here, whatever tLogVerify says.
    assert policy["keys"] == [{"provider": "ratify-cosign-inline-key"}] and policy["tLogVerify"] is True
    assert providers(release)["ratify-cosign-inline-key"]["parameters"]["value"] == PUBLIC_KEY


def test_the_older_key_beside_others_trusts_nobody_more(install):
    release = install(with_keys(key=PUBLIC_KEY.replace("\n", "\r\n").strip() + "\n"))
    assert "ratify-cosign-inline-key" not in providers(release)
    release = install({**COSIGN_KEYLESS, "cosign": {**COSIGN_KEYLESS["cosign"], "key": PUBLIC_KEY}})
    assert providers(release).keys() == {ROOT_NAME}
    assert "cosign.key: beside cosignKeys" in release.notes
    # Ratify's own tests give the same key twice.
    assert "no effect" not in install(with_keys(key=PUBLIC_KEY)).notes


def test_the_public_log_by_its_name(install):
    for url in ["https://rekor.sigstore.dev", "https://rekor.sigstore.dev/"]:
        (policy,) = policies(install(with_keys(rekorURL=url)))
        assert policy["rekorURL"] == url and policy["trustedRoot"] == ROOT_NAME


@pytest.mark.parametrize(
    "root, parameters",
    [
        ({"json": OWN_ROOT}, {"trustedRoot": OWN_ROOT}),
        ({"tufURL": "https://tuf.internal.example", "tufRoot": '{"signed":{}}'}, {"tufURL": "https://tuf.internal.example", "tufRoot": '{"signed":{}}'}),
    ],
)
def test_an_instance_of_ones_own(install, root, parameters):
    release = install(with_keys(rekorURL="https://rekor.internal.example", trustedRoot=root))
    (policy,) = policies(release)
    assert policy["rekorURL"] == "https://rekor.internal.example" and policy["trustedRoot"] == ROOT_NAME
    assert providers(release)[ROOT_NAME]["parameters"] == parameters


def test_a_mirror(install):
    release = install(cosign(keyless=WHO, trustedRoot={"tufURL": "https://mirror.example"}))
    assert providers(release)[ROOT_NAME]["parameters"] == {"instance": "public-good", "tufURL": "https://mirror.example"}


def test_another_known_instance(install):
    release = install(cosign(keyless=WHO, trustedRoot={"instance": "github", "refreshInterval": "1h"}))
    assert providers(release)[ROOT_NAME] == {"type": "sigstore", "refreshInterval": "1h", "parameters": {"instance": "github"}}


def test_several_trust_policies(install):
    given = [
        {"name": "key", "scopes": ["reg.example/team/*"], "keys": [{"provider": "cosignKeys[0]"}, {"file": "/keys/other.pub"}], "tLogVerify": False, "annotations": {"stage": "release"}, "signatureThreshold": 2},
        {"scopes": ["*"], "keyless": {**WHO, "extensions": {"buildTrigger": "push"}}, "tLogThreshold": 2, "timestampThreshold": 0},
        {"scopes": ["vault.example/*"], "keys": [{"provider": "azurekeyvault", "name": "release", "version": 1}, {"provider": "team/own"}], "trustedRoot": "mine"},
    ]
    release = install({**vault(certificates=[], keys=[{"name": "release"}]), **with_keys(trustPolicies=given)})
    assert policies(release) == [
        {**given[0], "keys": [{"provider": "ratify-cosign-inline-key-0"}, {"file": "/keys/other.pub"}]},
        {**given[1], "name": "trustPolicy-1", "trustedRoot": ROOT_NAME},
        {**given[2], "name": "trustPolicy-2", "keys": [{"provider": "kmprovider-akv", "name": "release", "version": "1"}, {"provider": "team/own"}]},
    ]
    assert providers(release).keys() == {"ratify-cosign-inline-key-0", "kmprovider-akv", ROOT_NAME}


def test_both_kinds(install):
    release = install({"notationCerts": [CA], "cosignKeys": [PUBLIC_KEY]})
    assert {v["metadata"]["name"] for v in release.find("Verifier")} == {"verifier-notation", "verifier-cosign"}
    assert "Every image needs a good signature of both kinds" in " ".join(release.notes.split())


def test_taken_out(install):
    release = install({"notationCerts": [CA], "cosignKeys": [PUBLIC_KEY], "cosign": {"enabled": False}})
    assert [v["metadata"]["name"] for v in release.find("Verifier")] == ["verifier-notation"]
    assert providers(release).keys() == {"ratify-notation-inline-cert-0"}
    assert "cosignKeys: cosign.enabled is false" in release.notes


def test_notes_warn_of_expressions_that_anybody_agrees_with(install):
    for expression in [".*", "^.+$"]:
        assert f'anybody agrees with the expression "{expression}"' in install(cosign(keyless={"certificateIdentityRegExp": expression, "certificateOIDCIssuer": ACTIONS})).notes
    assert "WARNING" not in install(cosign(keyless={"certificateIdentityRegExp": ".*@example[.]com", "certificateOIDCIssuer": ACTIONS})).notes


def test_notes_warn_when_nothing_is_verified(install):
    assert "WARNING: notation.enabled is false, and no value says whose signatures of cosign count" in " ".join(install(cosign()).notes.split())


# ---- what is refused


LINE = PUBLIC_KEY.replace("\n", "")


@pytest.mark.parametrize(
    "values, message",
    [
        ({"cosignKeys": [PUBLIC_KEY]}, r"Set notation\.enabled=false where cosign alone counts"),
        ({**vault(certificates=[], keys=[{"name": "a"}])}, r"Set notation\.enabled=false"),
        (with_keys(keyless=WHO), r"cosignKeys or azurekeyvault\.keys, and cosign\.keyless"),
        ({**vault(certificates=[], keys=[{"name": "a"}]), **cosign(keyless=WHO)}, r"one trust policy has keys or identities, not both"),
        # Keys.
        (with_keys() | {"cosignKeys": ["cosign.pub"]}, r"cosignKeys\[0\] is not PEM.*--set-file"),
        (with_keys() | {"cosignKeys": [PUBLIC_KEY, ""]}, r"cosignKeys\[1\] is not PEM"),
        (with_keys() | {"cosignKeys": [LINE]}, "its line breaks were lost"),
        (with_keys() | {"cosignKeys": [PUBLIC_KEY + PUBLIC_KEY]}, "more than one block"),
        (with_keys() | {"cosignKeys": [KEY]}, "is a private key"),
        (with_keys() | {"cosignKeys": [CA]}, "has another block than PUBLIC KEY"),
        (with_keys() | {"cosignKeys": [PUBLIC_KEY.replace("PUBLIC", "RSA PUBLIC")]}, "has another block than PUBLIC KEY"),
        (with_keys() | {"cosignKeys": [PUBLIC_KEY.replace("M", "?", 1)]}, "not a key in base64"),
        (cosign(key="KEY"), "cosign.key is not PEM"),
        # Scopes.
        *[(with_keys(scopes=[scope]), r"cosign\.scopes\[0\] is .*expected a reference") for scope in ["https://reg example/app", "reg.example/App", "reg.example/*/app", "**", "reg.example/app ", "reg.example/app**"]],
        (with_keys(scopes=["team/*"]), "does not say at which registry"),
        (with_keys(scopes=["reg.example*"]), "does not say at which registry"),
        (with_keys(scopes=["docker.io/nginx*"]), "ends within a name of Docker Hub"),
        (with_keys(scopes=[]), r"cosign\.scopes is empty"),
        (with_keys(scopes=["*", "reg.example/app"]), "stands alone"),
        (with_keys(scopes=["reg.example/app", "reg.example/app"]), "overlaps"),
        (with_keys(scopes=["reg.example/*", "reg.example/app"]), "overlaps"),
        (with_keys(scopes=["reg.example/team/app", "reg.example/team*"]), "overlaps"),
        # Identities.
        (cosign(keyless={"certificateIdentity": "a"}), "certificateOIDCIssuer or certificateOIDCIssuerRegExp must say who vouched"),
        (cosign(keyless={"certificateOIDCIssuer": "https://a"}), "certificateIdentity or certificateIdentityRegExp must say who has signed"),
        (cosign(keyless={**WHO, "certificateIdentityRegExp": ".*"}), "are both set: keep one"),
        (cosign(keyless={**WHO, "certificateOIDCIssuerRegExp": ".*"}), "are both set: keep one"),
        (cosign(keyless={"certificateIdentityRegExp": "(a", "certificateOIDCIssuer": "https://a"}), "missing closing"),
        (cosign(keyless={"identities": [WHO, {"certificateIdentity": "a"}]}), r"keyless\.identities\[1\]: certificateOIDCIssuer or"),
        (cosign(keyless={"identities": [{**WHO, "extension": {}}]}), "extension"),
        (cosign(keyless={"certificateOIDCIssuerExp": ".*"}), r"write cosign\.keyless\.certificateOIDCIssuerRegExp"),
        # Logs and roots.
        (with_keys(rekorURL="https://rekor.internal.example"), r"cosign\.rekorURL is .*trusted_root\.json \(--set-file cosign\.trustedRoot\.json=FILE\)"),
        (with_keys(rekorURL="rekor.sigstore.dev"), "expected a URL"),
        (with_keys(trustedRoot={"json": "trusted_root.json"}), r"cosign\.trustedRoot\.json is not a JSON object"),
        (with_keys(trustedRoot={"json": OWN_ROOT, "tufURL": "https://a"}), "not both"),
        (with_keys(trustedRoot={"tufRoot": "{}"}), "tufRoot needs tufURL"),
        (with_keys(trustedRoot={"refreshInterval": "59s"}), "at least 1m"),
        (with_keys(rekorURL="https://rekor.internal.example", trustedRoot={"tufURL": "https://mirror.example"}), "whose key the public instance's trusted root does not have"),
        (with_keys(trustedRoot={"tufURL": "http://a", "tufRoot": "{}"}), "begins with https"),
        (with_keys(trustedRoot={"instance": "staging"}), "instance"),
        # Several policies.
        (with_keys(scopes=["a/b"], trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "cosignKeys[0]"}]}]), "stands in place of"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "cosignKeys[1]"}]}]), r"trustPolicies\[0\]\.keys\[0\]\.provider is .*there are 1 cosignKeys"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "azurekeyvault"}]}]), r"azurekeyvault\.enabled is false"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "a", "file": "b"}]}]), "a provider or a file, one of them"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"name": "a"}]}]), "a provider or a file, one of them"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "a", "version": "1"}]}]), "a version without the name"),
        (with_keys(trustPolicies=[{"scopes": ["*"]}]), "neither keys nor keyless"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "a"}], "keyless": WHO}]), "it is one or the other"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "a"}]}, {"scopes": ["*"], "keyless": WHO}]), "overlaps"),
        (with_keys(trustPolicies=[{"name": "a", "scopes": ["*"], "keys": [{"provider": "a"}]}, {"name": "a", "scopes": ["b/*"], "keyless": WHO}]), "another policy has that name"),
        (with_keys(trustPolicies=[{"keys": [{"provider": "a"}]}]), "scopes"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "key": "a"}]), "key"),
        (with_keys(trustPolicies=[{"scopes": ["*"], "keys": [{"provider": "a"}], "rekorURL": "https://rekor.internal.example"}]), "whose key the public instance's trusted root does not have"),
        (cosign(enable=True), "enable"),
    ],
)
def test_refused(install, server, values, message):
    refused(install, server, values, message)


def test_a_refusal_does_not_show_a_private_key(install):
    for values in [with_keys() | {"cosignKeys": [KEY]}, cosign(key=KEY)]:
        with pytest.raises(Exception) as refusal:
            install(values)
        assert KEY.splitlines()[1][:12] not in str(refusal.value)


# ---- upgrades


def test_what_a_value_takes_out_goes(helm, server):
    both = {"notationCerts": [CA], "cosignKeys": [PUBLIC_KEY]}
    helm.install(both)
    assert server.one("Verifier", "verifier-cosign") and server.one("KeyManagementProvider", ROOT_NAME)
    helm.upgrade({"notationCerts": [CA]})
    assert not [v for v in server.find("Verifier") if v["metadata"]["name"] == "verifier-cosign"]
    assert {p["metadata"]["name"] for p in server.find("KeyManagementProvider")} == {"ratify-notation-inline-cert-0"}
    assert "cosignEnabled" not in server.one("Store", "store-oras")["spec"]["parameters"]


def test_ratifys_verifier_and_keys_are_taken_over(helm, server):
    def hook(kind, name, spec):
        server.put({"apiVersion": "config.ratify.deislabs.io/v1beta1", "kind": kind, "metadata": {"name": name, "annotations": {"helm.sh/hook": "pre-install,pre-upgrade"}}, "spec": spec})

    hook("Verifier", "verifier-cosign", {"name": "cosign", "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json", "parameters": {"key": "/usr/local/ratify-certs/cosign/cosign.pub"}})
    hook("KeyManagementProvider", "ratify-cosign-inline-key-0", {"type": "inline", "parameters": {"contentType": "key", "value": "old"}})
    hook("KeyManagementProvider", "ratify-cosign-inline-key-1", {"type": "inline", "parameters": {"contentType": "key", "value": "old"}})
    helm.install(with_keys(tLogVerify=False))
    assert server.one("Verifier", "verifier-cosign")["spec"]["parameters"]["trustPolicies"][0]["keys"] == [{"provider": "ratify-cosign-inline-key-0"}]
    found = {p["metadata"]["name"]: p["spec"]["parameters"]["value"] for p in server.find("KeyManagementProvider")}
    assert found == {"ratify-cosign-inline-key-0": PUBLIC_KEY}
    assert "ratify-cosign-inline-key-1" in helm.notes()
