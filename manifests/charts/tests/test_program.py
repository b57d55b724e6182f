"""The program itself, started as the chart's Deployment starts it, on the objects that the chart made.

    COUNTERSIGN=.build/debug/countersign manifests/charts/tests/run-tests.sh test_program.py

Volumes become directories, ports become free ones, and the API server is the tests' own; everything else of the command line and of
the environment is the Deployment's. Without COUNTERSIGN these tests are skipped: `make test-rego` builds no program.
"""

import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CA, NAMESPACE, ROOT, parse_set
from walkthroughs import KEY_VAULT, OLDER_SPELLING, RATIFYS, TRUSTED_SIGNING

PROGRAM = os.environ.get("COUNTERSIGN")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="COUNTERSIGN does not name the program")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, check, seconds=30):
    """The first true answer of a check."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        last = check()
        if last:
            return last
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s, last {last!r}")


class Program:
    def __init__(self, release, directory):
        self.release, self.directory, self.server = release, directory, release.server
        self.ports = {name: free_port() for name in ["--http", "--health-port", "--metrics-port", "--kyverno"]}
        volumes = {v["name"]: v for v in release.pod["spec"]["volumes"]}
        places = {m["mountPath"]: self.mount(volumes[m["name"]]) for m in release.container["volumeMounts"]}
        self.arguments = [self.argument(a, places) for a in release.container["args"]]
        environment = {e["name"]: e.get("value") for e in release.container["env"]}
        environment["RATIFY_NAMESPACE"] = NAMESPACE
        environment["DOCKER_CONFIG"] = str(directory)
        (directory / "kubeconfig").write_text(self.server.kubeconfig)
        (directory / "token").write_text("token")
        # What the workload identity webhook adds to a pod with its label.
        identity = {"AZURE_TENANT_ID": "tenant", "AZURE_FEDERATED_TOKEN_FILE": str(directory / "token"), "AZURE_AUTHORITY_HOST": "https://127.0.0.1:9/"}
        self.environment = {**os.environ, **{k: v for k, v in environment.items() if v}, **identity, "KUBECONFIG": str(directory / "kubeconfig"), "HOME": str(directory)}

    def mount(self, volume):
        place = self.directory / volume["name"]
        place.mkdir()
        source = volume.get("configMap") or volume.get("secret")
        kind, name = ("ConfigMap", source["name"]) if "configMap" in volume else ("Secret", source["secretName"])
        found = self.server.find(kind, name)
        assert found or source.get("optional"), f"{kind} {name} is not there: the pod would not start"
        data = (found[0].get("data") if found else None) or {}
        items = source.get("items") or [{"key": k, "path": k} for k in data]
        for item in items:
            value = data[item["key"]]
            (place / item["path"]).write_bytes(value.encode() if kind == "ConfigMap" else base64.b64decode(value))
        return place

    def argument(self, text, places):
        flag, _, value = text.partition("=")
        if flag in self.ports:
            return f"{flag}=127.0.0.1:{self.ports[flag]}"
        for path, place in places.items():
            value = re.sub(rf"^{re.escape(path)}(?=/|$)", str(place), value)
        return f"{flag}={value}" if value else flag

    def get(self, flag, path):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.ports[flag]}{path}", timeout=5).read().decode()
        except urllib.error.HTTPError as error:
            self.last = error.read().decode()
        except OSError as error:
            self.last = str(error)
        return None

    @contextmanager
    def running(self):
        with open(self.directory / "log", "wb") as log:
            process = subprocess.Popen([ROOT / PROGRAM, *self.arguments], env=self.environment, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()

    @property
    def log(self):
        return (self.directory / "log").read_text()

    def is_ready(self):
        return self.get("--health-port", "/readyz") is not None

    def await_ready(self):
        try:
            eventually("ready", self.is_ready)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.last}\n{self.log}") from None


def serving_certificate(port, authority):
    """The certificate that a client which trusts only this authority sees."""
    context = ssl.create_default_context(cadata=authority)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        with context.wrap_socket(connection, server_hostname=f"ratify.{NAMESPACE}") as session:
            return session.getpeercert()


SETS = {"defaults": {}, "key vault": KEY_VAULT, "trusted signing": TRUSTED_SIGNING, "older spelling": OLDER_SPELLING, "ratify's": RATIFYS}


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_it_comes_up(install, server, tmp_path, values):
    authority(server, tmp_path)
    program = Program(install(values), tmp_path)
    with program.running():
        program.await_ready()
        assert "countersign_build_info" in program.get("--metrics-port", "/metrics")


def authority(server, directory):
    """Gatekeeper's Secret, as it makes it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "gk.key", "-out", "gk.crt", "-days", "30", "-subj", "/CN=gatekeeper-ca", "-addext", "basicConstraints=critical,CA:TRUE"], cwd=directory, check=True, capture_output=True)
    data = {"ca.crt": base64.b64encode((directory / "gk.crt").read_bytes()).decode()}
    server.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gatekeeper-webhook-server-cert", "namespace": NAMESPACE}, "type": "Opaque", "data": data})


def test_gatekeeper_can_trust_it(install, server, tmp_path):
    """Rotation fills Secret and caBundle; with that caBundle the TLS handshake succeeds for the name in the Provider's URL."""
    authority(server, tmp_path)
    release = install({"notationCerts": [CA]})
    placeholder = server.one("Provider", "ratify-provider")["spec"]["caBundle"]
    program = Program(release, tmp_path)
    with program.running():
        program.await_ready()
        bundle = eventually("caBundle", lambda: (b := server.one("Provider", "ratify-provider")["spec"]["caBundle"]) != placeholder and b)
        assert server.one("Provider", "ratify-mutation-provider")["spec"]["caBundle"] == bundle
        secret = server.one("Secret", "ratify-tls")
        assert {"ca.crt", "ca.key", "tls.crt", "tls.key"} <= secret["data"].keys()
        pem = base64.b64decode(bundle).decode()
        assert eventually("handshake", lambda: serving_certificate(program.ports["--http"], pem))
        # An upgrade leaves what the program wrote.
        release.helm.upgrade({"notationCerts": [CA], "replicaCount": 3})
        assert server.one("Provider", "ratify-provider")["spec"]["caBundle"] == bundle
        assert server.one("Secret", "ratify-tls")["data"] == secret["data"]


def asked(server):
    """(verb, group, resource, namespace, name) of everything that the program asked of the API server."""
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    for agent, method, path, query in server.requests:
        if not agent.startswith("countersign"):
            continue
        found = re.fullmatch(r"/(?:api|apis/([^/]+))/[^/]+(?:/namespaces/([^/]+))?/([^/]+)(?:/([^/]+)(/status)?)?", path)
        group, namespace, resource, name, status = found.groups()
        selected = re.fullmatch(r"metadata\.name=(.+)", query.get("fieldSelector", ""))
        verb = verbs.get(method) or ("watch" if "watch" in query else "get" if name else "list")
        yield verb, group or "", resource + (status or ""), namespace, name or (selected and selected[1])


def is_allowed(release, verb, group, resource, namespace, name):
    """Kubernetes' RBAC: a rule with resourceNames allows list and watch only with a selector of that name."""
    roles = release.find("ClusterRole") + [r for r in release.find("Role") if r["metadata"]["namespace"] == namespace]
    return any(
        verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"] and ("resourceNames" not in rule or name in rule["resourceNames"])
        for role in roles
        if role["metadata"]["name"] != "ratify-crds"
        for rule in role["rules"]
    )


def test_its_rights_are_enough(install, server, tmp_path):
    authority(server, tmp_path)
    release = install({"notationCerts": [CA], "oras": {"authProviders": {"k8secretsEnabled": True}}})
    program = Program(release, tmp_path)
    with program.running():
        program.await_ready()
        eventually("status", lambda: all(server.one(k, n).get("status") for k, n in [("Store", "store-oras"), ("Verifier", "verifier-notation")]))
        eventually("rotation", lambda: server.one("Secret", "ratify-tls").get("data"))
    requests = set(asked(server))
    assert {"list", "watch", "patch", "update"} <= {verb for verb, *_ in requests}
    assert [r for r in sorted(requests, key=str) if not is_allowed(release, *r)] == []


def test_resources_get_their_status(install, server, tmp_path):
    authority(server, tmp_path)
    program = Program(install({"notationCerts": [CA]}), tmp_path)
    with program.running():
        for kind, name in [("Store", "store-oras"), ("Verifier", "verifier-notation"), ("Policy", "ratify-policy"), ("KeyManagementProvider", "ratify-notation-inline-cert-0")]:
            status = eventually(f"status of {kind}", lambda: server.one(kind, name).get("status"))
            assert status["issuccess"] is True, status


def test_changed_values_are_taken_over_while_it_runs(install, server, tmp_path):
    authority(server, tmp_path)
    release = install({"notationCerts": [CA]})
    program = Program(release, tmp_path)
    generation = lambda: int(re.search(r"^countersign_configuration_generation (\d+)", program.get("--metrics-port", "/metrics") or "", re.M)[1])
    with program.running():
        program.await_ready()
        before = generation()
        release.helm.upgrade({**parse_set("policy.artifactVerificationPolicies.default=any"), "notationCerts": [CA]})
        eventually("a new generation", lambda: generation() > before)
        assert program.is_ready()
