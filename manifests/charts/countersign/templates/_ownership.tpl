{{/*
Objects that another installation left.

Ratify's chart makes Providers, Stores, Verifiers, KeyManagementProviders and the Secret of its certificates as hooks, which have no
owner and stay when it is uninstalled. Helm refuses to take over an object without owner. One that carries this
release's marks already it takes over; but without server-side apply it then leaves a custom resource as it is, since it compares
the new manifest with itself, and still calls the release deployed.
*/}}

{{/* What there is of an object: live, whether it is there; own, whether it carries this release's marks; ownerless, whether
it carries nobody's; hook, whether a hook made it, so that no release has it in its manifest. Takes root and object. */}}
{{- define "countersign.state" -}}
{{- $metadata := .object.metadata }}
{{- $live := lookup .object.apiVersion .object.kind (get $metadata "namespace" | default "") $metadata.name }}
{{- $annotations := dig "metadata" "annotations" dict $live | default dict }}
{{- $own := "" }}
{{- if $live }}{{ $own = include "countersign.isOwn" (dict "root" .root "object" $live) }}{{ end }}
{{- dict "live" (not (empty $live)) "own" (not (empty $own)) "ownerless" (and (not (empty $live)) (not (hasKey $annotations "meta.helm.sh/release-name"))) "hook" (hasKey $annotations "helm.sh/hook") | toJson }}
{{- end }}

{{/* "true" when a value that is wanted is not what there is. Members beside those that are wanted do not count when they are
empty: the API server fills in defaults. */}}
{{- define "countersign.differs" -}}
{{- $wanted := .wanted }}
{{- $found := .found }}
{{- if and (kindIs "map" $wanted) (kindIs "map" $found) }}
{{- range $key, $value := $wanted }}
{{- include "countersign.differs" (dict "wanted" $value "found" (get $found $key)) }}
{{- end }}
{{- range $key, $value := $found }}{{ if and $value (not (hasKey $wanted $key)) }}true{{ end }}{{ end }}
{{- else if and (empty $wanted) (empty $found) }}
{{- else if ne (toJson $wanted) (toJson $found) }}true{{ end }}
{{- end }}

{{/*
Whether the cluster does not have the kind of an object yet, and the Job before the upgrade brings it: Ratify had no
KeyManagementProviders before 1.2. Helm looks at all kinds before any hook runs, but at those of hooks only when they do.
*/}}
{{- define "countersign.comes" -}}
{{- if and (eq .object.kind "KeyManagementProvider") .root.Release.IsUpgrade }}
{{- $definitions := "apiextensions.k8s.io/v1" }}
{{- if and (lookup $definitions "CustomResourceDefinition" "" "stores.config.ratify.deislabs.io") (not (lookup $definitions "CustomResourceDefinition" "" "keymanagementproviders.config.ratify.deislabs.io")) }}
{{- if not .root.Values.upgradeCRDs.enabled }}
{{- fail "the CustomResourceDefinitions are those of Ratify before 1.2, without KeyManagementProvider, and upgradeCRDs.enabled is false: kubectl apply --server-side --force-conflicts -f crds/ (of this chart) first" }}
{{- end }}true
{{- end }}
{{- end }}
{{- end }}

{{/*
An object of the release, as one document or more. Takes root and object, without labels and annotations.

- Nobody's: made anew by a hook, with the marks of an owner; from the next upgrade on it is like every other object. The
  hook runs last: an upgrade that fails has not touched what Ratify needs. `keep` lets the object survive a rollback to Ratify.
  Helm deletes no hooks when the release is uninstalled, so a second hook of the same name does.
- This release's, but left by a former one, or made by such a hook: it is an object of the release, and where it holds something
  else than is asked for, a hook makes it anew.
- Somebody else's: Helm refuses it by its name.
*/}}
{{- define "countersign.owned" -}}
{{- $root := .root }}
{{- $object := deepCopy .object }}
{{- $comes := include "countersign.comes" . }}
{{- $state := dict }}
{{- if not $comes }}{{ $state = include "countersign.state" . | fromJson }}{{ end }}
{{- $asHook := or $comes (eq $root.Values.adoption "always") (and (eq $root.Values.adoption "auto") $state.ownerless) }}
{{- $_ := set $object.metadata "labels" (include "countersign.labels" $root | fromYaml) }}
{{- $marks := dict
    "helm.sh/hook" "post-install,post-upgrade"
    "helm.sh/hook-weight" "5"
    "helm.sh/hook-delete-policy" "before-hook-creation"
    "helm.sh/resource-policy" "keep"
    "meta.helm.sh/release-name" $root.Release.Name
    "meta.helm.sh/release-namespace" $root.Release.Namespace }}
{{- $hook := deepCopy $object }}
{{- $_ := set $hook.metadata "annotations" $marks }}
{{- if $asHook }}
{{ toYaml $hook }}
---
{{- include "countersign.removed" (dict "root" $root "object" .object "when" "post-delete") }}
{{- else }}
{{ toYaml $object }}
---
{{- /* The API server merges what it knows by itself; custom resources are what Helm leaves. */}}
{{- if and $state.own (or $state.hook $root.Release.IsInstall) (hasKey $object "spec") }}
{{- $live := lookup $object.apiVersion $object.kind (get $object.metadata "namespace" | default "") $object.metadata.name }}
{{- if include "countersign.differs" (dict "wanted" $object.spec "found" $live.spec) }}
{{- if eq $root.Values.adoption "never" }}
{{- fail (printf "%s %s is left from a former installation and holds something else than is asked for, and adoption is \"never\": delete it (kubectl delete %s %s), or leave adoption at \"auto\"" $object.kind $object.metadata.name (lower $object.kind) $object.metadata.name) }}
{{- end }}
{{ toYaml $hook }}
---
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A hook that removes an object: Helm deletes one of that name before it makes the hook's, and the hook's when that is made. Takes
root, object, and when. Providers go last: their kind may be gone with Gatekeeper, and the first hook that fails is the last one. */}}
{{- define "countersign.removed" -}}
{{- $object := deepCopy .object }}
{{- $_ := set $object.metadata "labels" (include "countersign.labels" .root | fromYaml) }}
{{- $_ := set $object.metadata "annotations" (dict
    "helm.sh/hook" .when
    "helm.sh/hook-weight" (ternary "7" "6" (eq $object.kind "Provider"))
    "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded") }}
{{- $_ := unset $object "data" }}
{{ toYaml $object }}
---
{{- end }}

{{/*
What a chart left of objects that this revision does not have: Ratify's Verifiers of types that do not exist here, its sources of
certificates in the form that it had before 1.2, and of ours what a value took out. Helm does not know of what a
hook made, and does not delete what is marked `keep`. A list of objects, in JSON.
*/}}
{{- define "countersign.leftovers" -}}
{{- $root := . }}
{{- $fullname := include "countersign.fullname" . }}
{{- $custom := "config.ratify.deislabs.io/v1beta1" }}
{{- $inline := printf "^%s-(notation-inline-cert(-[0-9]+)?|cosign-inline-key(-[0-9]+)?|cosign-trusted-root)$" (regexQuoteMeta $fullname) }}
{{- $wanted := concat (include "countersign.allTrusted" . | fromJsonArray) (include "countersign.cosignKeys" . | fromJson | keys) }}
{{- if include "countersign.hasKeyVault" . }}{{ $wanted = append $wanted "kmprovider-akv" }}{{ end }}
{{- if include "countersign.needsCosignRoot" . }}{{ $wanted = append $wanted (include "countersign.cosignRoot" .) }}{{ end }}
{{- $names := list
    (list $custom "Verifier" "" "^verifier-vulnerabilityreport$")
    (list $custom "KeyManagementProvider" "" (printf "^kmprovider-akv$|%s" $inline))
    (list $custom "CertificateStore" .Release.Namespace (printf "^certstore-akv$|%s" $inline)) }}
{{- if not (include "countersign.cosignPolicies" . | fromJsonArray) }}{{ $names = append $names (list $custom "Verifier" "" "^verifier-cosign$") }}{{ end }}
{{- if not .Values.notation.enabled }}{{ $names = append $names (list $custom "Verifier" "" "^verifier-notation$") }}{{ end }}
{{- if not .Values.provider.enableMutation }}{{ $names = append $names (list (include "countersign.providerVersion" .) "Provider" "" "^ratify-mutation-provider$") }}{{ end }}
{{- $found := list }}
{{- range $names }}
{{- $kind := index . 1 }}
{{- $pattern := index . 3 }}
{{- range $live := dig "items" list (lookup (index . 0) $kind (index . 2) "") }}
{{- $name := $live.metadata.name }}
{{- if and (regexMatch $pattern $name) (not (and (eq $kind "KeyManagementProvider") (has $name $wanted))) }}
{{- $annotations := $live.metadata.annotations | default dict }}
{{- $isOwn := include "countersign.isOwn" (dict "root" $root "object" $live) }}
{{- $isForeign := and (hasKey $annotations "meta.helm.sh/release-name") (not $isOwn) }}
{{- if and (not $isForeign) (or (hasKey $annotations "helm.sh/hook") (and $isOwn $root.Release.IsInstall)) }}
{{- $metadata := dict "name" $name }}
{{- with $live.metadata.namespace }}{{ $_ := set $metadata "namespace" . }}{{ end }}
{{- $found = append $found (dict "apiVersion" $live.apiVersion "kind" $kind "metadata" $metadata "spec" $live.spec) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $found | toJson }}
{{- end }}
