"""Helm, and releases that it made in an API server of the tests' own."""

import asyncio
import base64
import gzip
import json
import re
import subprocess
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import helm_sdkpy
import pytest
import yaml
from apiserver import PROMETHEUS_OPERATOR, ApiServer

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "manifests" / "charts" / "countersign"
NAMESPACE = "gatekeeper-system"

CA = (Path(__file__).parent / "ca.pem").read_text()
# A private key that is nobody's.
KEY = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], check=True, capture_output=True).stdout.decode()
# Its public key, as cosign.pub has one.
PUBLIC_KEY = subprocess.run(["openssl", "pkey", "-pubout"], input=KEY.encode(), check=True, capture_output=True).stdout.decode()


def parse_set(*assignments):
    """Values as `helm --set` makes them of `a.b[0].c=value`: enough for the walkthroughs."""
    values = {}
    for assignment in assignments:
        path, _, text = assignment.partition("=")
        steps = [int(i) if i else name for name, i in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
        value = {"true": True, "false": False, "null": None}.get(text, text)
        if isinstance(value, str) and re.fullmatch(r"0|-?[1-9]\d*", value):
            value = int(value)
        here = values
        for step, following in zip(steps, steps[1:]):
            empty = [] if isinstance(following, int) else {}
            if isinstance(here, list):
                here.extend([None] * (step + 1 - len(here)))
                here[step] = here[step] if here[step] is not None else empty
                here = here[step]
            else:
                here = here.setdefault(step, empty)
        if isinstance(here, list):
            here.extend([None] * (steps[-1] + 1 - len(here)))
        here[steps[-1]] = value
    return values


# Hooks take Helm a second: the tests about them ask for them.
WITHOUT_HOOKS = {"upgradeCRDs": {"enabled": False}}


class Helm:
    """Helm's actions on one API server and namespace."""

    def __init__(self, server, namespace=NAMESPACE):
        self.server, self.namespace = server, namespace
        self.configuration = helm_sdkpy.Configuration(namespace=namespace, kubeconfig=server.kubeconfig)

    def install(self, values=None, release="ratify", chart=CHART, **options):
        return self._run(helm_sdkpy.Install, release, str(chart), {**WITHOUT_HOOKS, **(values or {})}, wait=False, **options)

    def upgrade(self, values=None, release="ratify", chart=CHART, **options):
        return self._run(helm_sdkpy.Upgrade, release, str(chart), {**WITHOUT_HOOKS, **(values or {})}, wait=False, **options)

    def uninstall(self, release="ratify"):
        return self._run(helm_sdkpy.Uninstall, release, wait=False)

    def test(self, release="ratify"):
        return self._run(helm_sdkpy.ReleaseTest, release)

    def lint(self, chart=CHART):
        return self._run(helm_sdkpy.Lint, str(chart))

    def _run(self, action, *arguments, **options):
        return asyncio.run(action(self.configuration).run(*arguments, **options))

    def stored(self, revision=None, release="ratify"):
        """A revision as Helm stored it; the newest when none is named."""
        prefix = f"sh.helm.release.v1.{release}.v"
        revisions = {int(s["metadata"]["name"].removeprefix(prefix)): s for s in self.server.find("Secret") if s["metadata"]["name"].startswith(prefix)}
        secret = revisions[revision or max(revisions)]
        return json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))

    def notes(self):
        return self.stored()["info"].get("notes", "")


@dataclass
class Release:
    server: ApiServer
    helm: Helm
    result: dict

    @cached_property
    def objects(self):
        """What the release consists of: hooks too, since some of ours are one once."""
        texts = [self.result["manifest"]] + [h["manifest"] for h in self.result.get("hooks") or []]
        return [o for text in texts for o in yaml.load_all(text, yaml.CSafeLoader) if o]

    @property
    def notes(self):
        return self.helm.notes()

    def find(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind, name=None):
        found = [o for o in self.find(kind) if name in (None, o["metadata"]["name"])]
        assert len(found) == 1, (kind, name, [o["metadata"]["name"] for o in self.find(kind)])
        return found[0]

    @property
    def pod(self):
        return self.one("Deployment")["spec"]["template"]

    @property
    def container(self):
        (only,) = self.pod["spec"]["containers"]
        return only

    @property
    def flags(self):
        """flag → value (or True) of `serve`."""
        command, *args = self.container["args"]
        assert command == "serve"
        return {name: value if given else True for name, given, value in (a.partition("=") for a in args)}

    @property
    def environment(self):
        return {e["name"]: e.get("value", e.get("valueFrom")) for e in self.container["env"]}


def namespace(server, name):
    server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


@cache
def definitions():
    """The CustomResourceDefinitions in the chart."""
    return [yaml.load(file.read_text(), yaml.CSafeLoader) for file in sorted((CHART / "crds").glob("*.yaml"))]


def prepare(server, name=NAMESPACE):
    """A cluster with the CustomResourceDefinitions, so that Helm need not wait for its own."""
    for definition in definitions():
        server.put(definition)
    namespace(server, name)


@pytest.fixture
def server():
    with ApiServer(PROMETHEUS_OPERATOR) as server:
        prepare(server)
        yield server


@pytest.fixture
def helm(server):
    return Helm(server)


@pytest.fixture
def install(server):
    """Installs the chart: install({...values}) or install("a.b=c", "d=e"). A second installation in the same test begins
    with an empty cluster: two would quarrel about the cluster's names."""

    def run(*values, release="ratify", into=NAMESPACE):
        if server.find("Deployment"):
            server.objects.clear()
            prepare(server, into)
        helm = Helm(server, into)
        given = parse_set(*values) if values and isinstance(values[0], str) else (values[0] if values else {})
        return Release(server, helm, helm.install(given, release))

    return run


@pytest.fixture(scope="session")
def defaults():
    """A release with no values at all, for the tests that only look."""
    with ApiServer(PROMETHEUS_OPERATOR) as server:
        prepare(server)
        helm = Helm(server)
        yield Release(server, helm, helm.install({}))
