"""A small Kubernetes API server, in memory, for Helm to install into.

It is faithful where a chart can go wrong: discovery, kinds that exist only when their CustomResourceDefinition does, objects that
exist already, immutable selectors, the four ways to change an object (replace, merge patch, strategic merge patch,
server-side apply), and the order in which everything arrives (`ApiServer.log`). It runs nothing: a Job has applied its definitions and is
complete as soon as it is there, a Pod has succeeded, a Deployment has its replicas.
"""

import copy
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import protobuf
import yaml

# group/version → kind → (plural, namespaced)
BUILT_IN = {
    "v1": {
        "Namespace": ("namespaces", False),
        "Secret": ("secrets", True),
        "ConfigMap": ("configmaps", True),
        "Service": ("services", True),
        "ServiceAccount": ("serviceaccounts", True),
        "Pod": ("pods", True),
        "Event": ("events", True),
    },
    "apps/v1": {"Deployment": ("deployments", True), "ReplicaSet": ("replicasets", True)},
    "batch/v1": {"Job": ("jobs", True)},
    "policy/v1": {"PodDisruptionBudget": ("poddisruptionbudgets", True)},
    "autoscaling/v2": {"HorizontalPodAutoscaler": ("horizontalpodautoscalers", True)},
    "networking.k8s.io/v1": {"NetworkPolicy": ("networkpolicies", True)},
    "rbac.authorization.k8s.io/v1": {
        "Role": ("roles", True),
        "RoleBinding": ("rolebindings", True),
        "ClusterRole": ("clusterroles", False),
        "ClusterRoleBinding": ("clusterrolebindings", False),
    },
    "apiextensions.k8s.io/v1": {"CustomResourceDefinition": ("customresourcedefinitions", False)},
    "admissionregistration.k8s.io/v1": {
        "ValidatingWebhookConfiguration": ("validatingwebhookconfigurations", False),
        "MutatingWebhookConfiguration": ("mutatingwebhookconfigurations", False),
    },
}

# What a Gatekeeper that is there already has brought.
GATEKEEPER = {
    "externaldata.gatekeeper.sh/v1beta1": {"Provider": ("providers", False)},
    "externaldata.gatekeeper.sh/v1alpha1": {"Provider": ("providers", False)},
    "mutations.gatekeeper.sh/v1": {"Assign": ("assign", False)},
    "mutations.gatekeeper.sh/v1beta1": {"Assign": ("assign", False)},
    "templates.gatekeeper.sh/v1": {"ConstraintTemplate": ("constrainttemplates", False)},
}

PROMETHEUS_OPERATOR = {
    "monitoring.coreos.com/v1": {
        "ServiceMonitor": ("servicemonitors", True),
        "PodMonitor": ("podmonitors", True),
        "PrometheusRule": ("prometheusrules", True),
    }
}

# Lists that a strategic merge patch merges by a key; others are replaced.
MERGE_KEYS = {
    "containers": ["name"],
    "initContainers": ["name"],
    "env": ["name"],
    "volumes": ["name"],
    "volumeMounts": ["mountPath"],
    "ports": ["containerPort", "port"],
    "imagePullSecrets": ["name"],
    "topologySpreadConstraints": ["topologyKey"],
}


class Refused(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason = code, reason


def merge_patch(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge(target, patch):
    """Strategic merge patch, for the lists in MERGE_KEYS."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {k: v for k, v in result.items() if k in retained}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list) and key in MERGE_KEYS and all(isinstance(v, dict) for v in value):
            result[key] = merge_list(result.get(key) or [], value, MERGE_KEYS[key])
        else:
            result[key] = strategic_merge(result.get(key), value)
    return result


def merge_list(target, patch, keys):
    name = lambda item: next((item[k] for k in keys if k in item), None)
    if any(item.get("$patch") == "replace" for item in patch):
        return [i for i in patch if "$patch" not in i]
    result = list(target)
    for item in patch:
        index = next((i for i, old in enumerate(result) if name(old) == name(item)), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic_merge({}, item))
        else:
            result[index] = strategic_merge(result[index], item)
    return result


def without(target, former, applied):
    """Server-side apply: what the manager applied before and no longer applies goes away."""
    if not (isinstance(target, dict) and isinstance(former, dict)):
        return target
    result = dict(target)
    for key, value in former.items():
        if key not in result:
            continue
        if key not in (applied or {}):
            rest = without(result[key], value, {}) if isinstance(value, dict) and value else None
            if rest:
                result[key] = rest
            else:
                del result[key]
        elif isinstance(value, dict):
            result[key] = without(result[key], value, applied[key] if isinstance(applied[key], dict) else {})
    return result


class ApiServer:
    """`with ApiServer() as server:` … `server.kubeconfig`."""

    def __init__(self, *more_kinds):
        self.kinds = {}
        for table in (BUILT_IN, GATEKEEPER, *more_kinds):
            for group_version, kinds in copy.deepcopy(table).items():
                self.kinds.setdefault(group_version, {}).update(kinds)
        self.objects = {}  # (group, plural, namespace, name) → object
        self.applied = {}  # the same → what Helm applied last
        self.log = []  # (verb, kind, namespace, name)
        self.requests = []  # (user agent, method, path, query)
        self.events = []
        self.version = 1000
        self.lock = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are two writes; without this each answer would wait for the client's delayed ACK.
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do(self):
                server.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

        class Server(ThreadingHTTPServer):
            # Helm opens many connections at once, and a busy machine takes its time to accept them.
            request_queue_size = 128

        self.http = Server(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closed = True
        self.http.shutdown()
        self.http.server_close()

    closed = False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def kubeconfig(self):
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": {"server": self.url}}],
                "users": [{"name": "test", "user": {}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "current-context": "test",
            }
        )

    # ---- for tests

    def copy(self):
        """Another server (not started) that has the same in it."""
        other = ApiServer()
        with self.lock:
            other.kinds, other.objects, other.applied = copy.deepcopy((self.kinds, self.objects, self.applied))
            other.version = self.version
        return other

    def put(self, item):
        """Puts an object there as somebody else would have."""
        plural, namespaced = self.kinds[item["apiVersion"]][item["kind"]]
        group = item["apiVersion"].rpartition("/")[0]
        with self.lock:
            return self.create(group, item["apiVersion"], item["kind"], plural, item["metadata"].get("namespace") if namespaced else None, item)

    def find(self, kind, name=None):
        return [o for o in self.all() if o["kind"] == kind and (name is None or o["metadata"]["name"] == name)]

    def one(self, kind, name):
        found = self.find(kind, name)
        assert len(found) == 1, (kind, name, sorted({(o["kind"], o["metadata"]["name"]) for o in self.all()}))
        return found[0]

    def all(self):
        with self.lock:
            return [copy.deepcopy(o) for o in self.objects.values()]

    # ---- requests

    def handle(self, request):
        parts = urlsplit(request.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length) if length else b""
        self.requests.append((request.headers.get("User-Agent") or "", request.command, parts.path, query))
        try:
            if request.command == "GET" and query.get("watch") in ("true", "1"):
                return self.watch(request, parts.path, query)
            with self.lock:
                code, answer = self.route(request.command, parts.path, query, body, request.headers.get("Content-Type") or "")
                data = json.dumps(answer).encode()
        except Refused as refused:
            code = refused.code
            data = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(refused), "reason": refused.reason, "code": code}).encode()
        request.send_response(code)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def route(self, method, path, query, body, content_type):
        if path == "/version":
            return 200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return 200, self.groups()
        if path.startswith("/openapi/v3"):
            return 200, self.openapi(path.removeprefix("/openapi/v3").strip("/"))
        found = re.fullmatch(r"/(?:api|apis/([^/]+))/([^/]+)(?:/namespaces/([^/]+))?(?:/([^/]+)(?:/([^/]+)(?:/status)?)?)?", path)
        # /api/v1/namespaces/NAME is the Namespace itself.
        alone = re.fullmatch(r"/api/v1/namespaces(?:/([^/]+))?", path)
        if alone:
            group, version, namespace, plural, name = "", "v1", None, "namespaces", alone.group(1)
        elif found:
            group, version, namespace, plural, name = found.groups()
        else:
            raise Refused(404, "NotFound", f"the server could not find the requested resource: {path}")
        group = group or ""
        group_version = f"{group}/{version}" if group else version
        if plural is None:
            return 200, self.resources(group_version)
        kind = next((k for k, (p, _) in self.kinds.get(group_version, {}).items() if p == plural), None)
        if kind is None:
            raise Refused(404, "NotFound", f"the server could not find the requested resource: {path}")
        name = unquote(name) if name else None
        sent = None
        if body.startswith(protobuf.MAGIC):
            # Of what arrives in this encoding only releases matter; the options of a deletion do not.
            sent = protobuf.secret(body) if method != "DELETE" else None
        elif body:
            sent = json.loads(body) if body.startswith(b"{") else yaml.safe_load(body)
        if method == "GET":
            return (200, self.get(group, plural, namespace, name)) if name else (200, self.list(group, group_version, kind, plural, namespace, query))
        if method == "POST":
            return 201, self.create(group, group_version, kind, plural, namespace, sent)
        if method == "DELETE":
            return 200, self.delete(group, plural, kind, namespace, name)
        if method == "PATCH" and "apply-patch" in content_type and (group, plural, namespace, name) not in self.objects:
            return 201, self.create(group, group_version, kind, plural, namespace, sent)
        return 200, self.change(method, content_type, group, plural, kind, namespace, name, sent)

    def groups(self):
        by_group = {}
        for group_version in self.kinds:
            group, _, version = group_version.rpartition("/")
            if group:
                by_group.setdefault(group, []).append({"groupVersion": group_version, "version": version})
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [{"name": g, "versions": v, "preferredVersion": v[0]} for g, v in by_group.items()],
        }

    def openapi(self, place):
        """Just enough for a client to see that fields are validated here and not by the client."""
        places = {("apis/" if "/" in v else "api/") + v: v for v in self.kinds}
        if not place:
            return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}"} for p in places}}
        group, _, version = places[place].rpartition("/")
        operation = lambda kind: {
            "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
            "responses": {},
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        }
        paths = {f"/{place}/{plural}/{{name}}": {"patch": operation(kind)} for kind, (plural, _) in self.kinds[places[place]].items()}
        return {"openapi": "3.0.0", "info": {"title": "test", "version": "v1"}, "paths": paths}

    def resources(self, group_version):
        if group_version not in self.kinds:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        return {
            "kind": "APIResourceList",
            "groupVersion": group_version,
            "resources": [
                {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": verbs}
                for kind, (plural, namespaced) in self.kinds[group_version].items()
            ],
        }

    def get(self, group, plural, namespace, name):
        try:
            return self.objects[group, plural, namespace, name]
        except KeyError:
            raise Refused(404, "NotFound", f'{plural} "{name}" not found') from None

    def list(self, group, group_version, kind, plural, namespace, query):
        items = [o for (g, p, n, _), o in self.objects.items() if (g, p) == (group, plural) and namespace in (None, n)]
        for term in filter(None, query.get("labelSelector", "").split(",")):
            key, _, value = term.partition("=")
            items = [o for o in items if (o["metadata"].get("labels") or {}).get(key) == value.lstrip("=")]
        for term in filter(None, query.get("fieldSelector", "").split(",")):
            key, _, value = term.partition("=")
            items = [o for o in items if key != "metadata.name" or o["metadata"]["name"] == value]
        return {"kind": f"{kind}List", "apiVersion": group_version, "metadata": {"resourceVersion": str(self.version)}, "items": items}

    def stamp(self, verb, kind, group, plural, item):
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((verb, kind, item["metadata"].get("namespace"), item["metadata"]["name"]))
        event = {"create": "ADDED", "change": "MODIFIED", "delete": "DELETED"}[verb]
        self.events.append((self.version, group, plural, event, copy.deepcopy(item)))

    def create(self, group, group_version, kind, plural, namespace, sent):
        item = copy.deepcopy(sent)
        metadata = item.setdefault("metadata", {})
        if (item.get("apiVersion"), item.get("kind")) != (group_version, kind):
            raise Refused(400, "BadRequest", f"the object is not a {kind} of {group_version}")
        if self.kinds[group_version][kind][1]:
            if not namespace:
                raise Refused(400, "BadRequest", "an empty namespace may not be set during creation")
            if metadata.setdefault("namespace", namespace) != namespace:
                raise Refused(400, "BadRequest", f"the namespace of the object ({metadata['namespace']}) is not that of the request ({namespace})")
            if ("", "namespaces", None, namespace) not in self.objects:
                raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        key = (group, plural, namespace, metadata["name"])
        if key in self.objects:
            raise Refused(409, "AlreadyExists", f'{plural} "{metadata["name"]}" already exists')
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp="2026-01-01T00:00:00Z", generation=1)
        if kind == "Secret" and "stringData" in item:
            raise Refused(400, "BadRequest", "stringData is not supported here")
        if kind == "Secret":
            item.setdefault("type", "Opaque")
        if kind == "Job":
            self.apply_definitions(item, namespace)
            item["status"] = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}
        if kind == "Pod":
            item["status"] = {"phase": "Succeeded"}
        if kind == "Deployment":
            self.roll_out(item)
        if kind == "CustomResourceDefinition":
            item["status"] = {"conditions": [{"type": t, "status": "True"} for t in ("NamesAccepted", "Established")]}
            spec = item["spec"]
            for version in spec["versions"]:
                served = self.kinds.setdefault(f"{spec['group']}/{version['name']}", {})
                served[spec["names"]["kind"]] = (spec["names"]["plural"], spec["scope"] == "Namespaced")
        self.objects[key] = item
        self.applied[key] = copy.deepcopy(sent)
        self.stamp("create", kind, group, plural, item)
        return item

    def apply_definitions(self, job, namespace):
        """What `countersign crds apply` does, as far as definitions are missing."""
        for volume in job["spec"]["template"]["spec"].get("volumes") or []:
            held = self.objects.get(("", "configmaps", namespace, (volume.get("configMap") or {}).get("name")))
            for text in (held or {}).get("data", {}).values():
                definition = yaml.safe_load(text)
                if definition["kind"] == "CustomResourceDefinition" and not self.find("CustomResourceDefinition", definition["metadata"]["name"]):
                    self.put(definition)

    def roll_out(self, deployment):
        """As many Pods as wanted are ready at once."""
        replicas = deployment["spec"].get("replicas", 1)
        deployment["status"] = {
            "observedGeneration": deployment["metadata"].get("generation", 1),
            **{name: replicas for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")},
            "conditions": [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        }

    def delete(self, group, plural, kind, namespace, name):
        item = self.get(group, plural, namespace, name)
        del self.objects[group, plural, namespace, name]
        self.applied.pop((group, plural, namespace, name), None)
        self.stamp("delete", kind, group, plural, item)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def change(self, method, content_type, group, plural, kind, namespace, name, sent):
        old = self.get(group, plural, namespace, name)
        key = (group, plural, namespace, name)
        if method == "PUT":
            new = copy.deepcopy(sent)
        elif "strategic-merge" in content_type:
            new = strategic_merge(old, sent)
        elif "merge-patch" in content_type:
            new = merge_patch(old, sent)
        elif "apply-patch" in content_type:
            new = merge_patch(without(old, self.applied.get(key) or {}, sent), sent)
            self.applied[key] = copy.deepcopy(sent)
        else:
            raise Refused(415, "UnsupportedMediaType", content_type)
        for field in ["uid", "creationTimestamp", "name", "namespace"]:
            if field in old["metadata"]:
                new["metadata"][field] = old["metadata"][field]
        if kind == "Deployment" and new["spec"]["selector"] != old["spec"]["selector"]:
            raise Refused(422, "Invalid", f'Deployment.apps "{name}" is invalid: spec.selector: field is immutable')
        if kind in ("RoleBinding", "ClusterRoleBinding") and new["roleRef"] != old["roleRef"]:
            raise Refused(422, "Invalid", f'{kind} "{name}" is invalid: roleRef: cannot change roleRef')
        if kind == "Secret":
            new.setdefault("type", "Opaque")
        if kind == "Secret" and new["type"] != old["type"]:
            raise Refused(422, "Invalid", f'Secret "{name}" is invalid: type: field is immutable')
        if kind == "Deployment":
            self.roll_out(new)
        if strip(new) == strip(old):
            return old
        self.objects[key] = new
        self.stamp("change", kind, group, plural, new)
        return new

    def watch(self, request, path, query):
        """Events after a resource version (or what is there, then those after it) until the client has gone."""
        plural = path.rstrip("/").split("/")[-1]
        since = int(query.get("resourceVersion") or 0)
        end = time.monotonic() + min(float(query.get("timeoutSeconds") or 20), 20)
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True

        def send(event, item):
            request.wfile.write(json.dumps({"type": event, "object": item}).encode() + b"\n")
            request.wfile.flush()

        try:
            if query.get("sendInitialEvents") == "true":
                with self.lock:
                    present, since = [o for k, o in self.objects.items() if k[1] == plural], self.version
                for item in present:
                    send("ADDED", item)
                send("BOOKMARK", {"metadata": {"resourceVersion": str(since), "annotations": {"k8s.io/initial-events-end": "true"}}})
            while time.monotonic() < end and not self.closed:
                with self.lock:
                    news = [e for e in self.events if e[0] > since and e[2] == plural]
                for since, _, _, event, item in news:
                    send(event, item)
                time.sleep(0.02)
        except OSError:
            pass


def strip(item):
    metadata = {k: v for k, v in item["metadata"].items() if k not in ("resourceVersion", "managedFields", "generation")}
    return {**item, "metadata": metadata}
