"""A chart that makes what a release of Ratify's chart (1.15.0) leaves in a cluster, as far as an upgrade meets it: kinds,
names, selectors, and which of the objects are hooks. Only these facts are here; to try the real chart, name its directory in
RATIFY_CHART."""

import os
from pathlib import Path

import yaml

HOOK = {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": "5"}
SELECTOR = {"app.kubernetes.io/name": "ratify", "app.kubernetes.io/instance": "{{ .Release.Name }}"}
CUSTOM = "config.ratify.deislabs.io/v1beta1"
EXTERNAL = "externaldata.gatekeeper.sh/v1beta1"
RBAC = "rbac.authorization.k8s.io/v1"


def objects():
    plain = lambda version, kind, name, **rest: {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}
    hook = lambda version, kind, name, **rest: {"apiVersion": version, "kind": kind, "metadata": {"name": name, "annotations": HOOK}, **rest}
    subject = [{"kind": "ServiceAccount", "name": "ratify-admin", "namespace": "{{ .Release.Namespace }}"}]
    pod = {
        "serviceAccountName": "ratify-admin",
        "containers": [
            {
                "name": "ratify",
                "image": "registry.example/ratify:v1.4.0",
                "command": ["/app/ratify"],
                "args": ["serve"],
                "env": [{"name": "RATIFY_LOG_LEVEL", "value": "info"}],
                "volumeMounts": [{"name": "ratify-cache", "mountPath": "/.ratify/local_oras_cache"}],
            }
        ],
        "volumes": [{"name": "ratify-cache", "emptyDir": {}}],
    }
    deployment = {"replicas": 1, "selector": {"matchLabels": SELECTOR}, "template": {"metadata": {"labels": SELECTOR}, "spec": pod}}
    assigns = [
        f"mutate-{what}-image{suffix}" for what in ("pod", "workload", "cronjob") for suffix in ("", "-init", "-ephemeral")
    ]
    return [
        plain("v1", "ServiceAccount", "ratify-admin"),
        plain("v1", "ConfigMap", "ratify-configuration", data={"config.json": "{}"}),
        plain("v1", "Service", "ratify", spec={"selector": SELECTOR, "ports": [{"port": 6001, "targetPort": 6001}]}),
        plain("apps/v1", "Deployment", "ratify", spec=deployment),
        plain(RBAC, "ClusterRole", "ratify-manager-cluster-role", rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
        plain(RBAC, "ClusterRoleBinding", "ratify-manager-cluster-rolebinding", subjects=subject, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ratify-manager-cluster-role"}),
        plain(RBAC, "Role", "ratify-manager-role", rules=[]),
        plain(RBAC, "RoleBinding", "ratify-manager-rolebinding", subjects=subject, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ratify-manager-role"}),
        plain(CUSTOM, "Policy", "ratify-policy", spec={"type": "config-policy", "parameters": {"artifactVerificationPolicies": {"default": "all"}}}),
        *[plain("mutations.gatekeeper.sh/v1", "Assign", name, spec={"location": "spec.containers[name:*].image"}) for name in assigns],
        hook(CUSTOM, "Store", "store-oras", spec={"name": "oras"}),
        hook(CUSTOM, "Verifier", "verifier-notation", spec={"name": "notation", "artifactTypes": "application/vnd.cncf.notary.signature"}),
        hook(CUSTOM, "Verifier", "verifier-cosign", spec={"name": "cosign", "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json"}),
        hook(CUSTOM, "KeyManagementProvider", "ratify-notation-inline-cert-0", spec={"type": "inline", "parameters": {"value": ""}}),
        hook(EXTERNAL, "Provider", "ratify-provider", spec={"url": "https://ratify.{{ .Release.Namespace }}:6001/ratify/gatekeeper/v1/verify", "timeout": 5, "caBundle": "Zmlyc3Q="}),
        hook(EXTERNAL, "Provider", "ratify-mutation-provider", spec={"url": "https://ratify.{{ .Release.Namespace }}:6001/ratify/gatekeeper/v1/mutate", "timeout": 2, "caBundle": "Zmlyc3Q="}),
    ]


SECRET = """
{{- if not (lookup "v1" "Secret" .Release.Namespace "ratify-tls") }}
apiVersion: v1
kind: Secret
metadata:
  name: ratify-tls
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": "5"}
data:
  {{- range $name, $value := dict "tls.crt" .Values.provider.tls.crt "tls.key" .Values.provider.tls.key "ca.crt" .Values.provider.tls.caCert }}
  {{- if $value }}
  {{ $name }}: {{ $value | b64enc }}
  {{- end }}
  {{- end }}
{{- end }}
"""


def chart(directory: Path) -> Path:
    """The directory of the chart: the real one where RATIFY_CHART names it."""
    if "RATIFY_CHART" in os.environ:
        return Path(os.environ["RATIFY_CHART"])
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: ratify\nversion: 1.15.0\nappVersion: v1.4.0\n")
    defaults = {"provider": {"tls": {}}, "image": {"repository": "ghcr.io/ratify-project/ratify", "tag": "v1.4.0", "crdRepository": "ghcr.io/ratify-project/ratify-crds"}, "cosign": {"enabled": True}, "upgradeCRDs": {"enabled": True}}
    (directory / "values.yaml").write_text(yaml.safe_dump(defaults))
    (directory / "templates" / "secret.yaml").write_text(SECRET)
    (directory / "templates" / "all.yaml").write_text("---\n".join(yaml.safe_dump(o, width=10_000) for o in objects()))
    return directory
