{{/*
Names. They are those of Ratify's chart, so that `helm upgrade` of a Ratify release finds its own objects: the
Deployment's selector cannot be changed, the Providers' URL names the Service, federated credentials name the ServiceAccount.
*/}}
{{- define "countersign.name" -}}
{{- default "ratify" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default "ratify" .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "countersign.selectorLabels" -}}
app.kubernetes.io/name: {{ include "countersign.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "countersign.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "countersign.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: countersign
{{- end }}

{{- define "countersign.serviceAccountName" -}}
{{- if or .Values.azureWorkloadIdentity.clientId .Values.serviceAccount.create }}
{{- default (include "countersign.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "countersign.gatekeeperNamespace" -}}
{{- default "gatekeeper-system" .Values.gatekeeper.namespace }}
{{- end }}

{{- define "countersign.tlsSecretName" -}}
{{- printf "%s-tls" (include "countersign.fullname" .) }}
{{- end }}

{{- define "countersign.cacheKeySecretName" -}}
{{- default (printf "%s-cache-key" (include "countersign.fullname" .)) .Values.provider.cache.redis.keySecret.name }}
{{- end }}

{{/*
The image. Values that come from a Ratify release (--reuse-values brings even its defaults) name Ratify's own image, which would
start and then do something else: those names mean ours.
*/}}
{{- define "countersign.isRatifyImage" -}}
{{- if regexMatch "(^|/)(deislabs|ratify-project|notaryproject)/ratify(-dev)?$" (toString .Values.image.repository) }}true{{ end }}
{{- end }}

{{- define "countersign.image" -}}
{{- if include "countersign.isRatifyImage" . -}}
countersign:{{ .Chart.AppVersion }}
{{- else if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* Gatekeeper's API versions. */}}
{{- define "countersign.isNewGatekeeper" -}}
{{- if semverCompare ">= 3.11.0-0" .Values.gatekeeper.version }}true{{ end }}
{{- end }}

{{- define "countersign.providerVersion" -}}
externaldata.gatekeeper.sh/{{ if include "countersign.isNewGatekeeper" . }}v1beta1{{ else }}v1alpha1{{ end }}
{{- end }}

{{- define "countersign.assignVersion" -}}
mutations.gatekeeper.sh/{{ if include "countersign.isNewGatekeeper" . }}v1{{ else }}v1beta1{{ end }}
{{- end }}

{{/* Whether there is a Key Vault, in either spelling. */}}
{{- define "countersign.hasKeyVault" -}}
{{- if or .Values.azurekeyvault.enabled .Values.akvCertConfig.enabled }}true{{ end }}
{{- end }}

{{/* Whether it has certificates, or keys: `of` says which. Takes root and of. */}}
{{- define "countersign.vaultHas" -}}
{{- if include "countersign.hasKeyVault" .root }}{{ if get (include "countersign.vaultObjects" .root | fromJson) .of }}true{{ end }}{{ end }}
{{- end }}

{{/* Whether the program makes and renews its serving certificate. Said by the value; otherwise where none is given or there. */}}
{{- define "countersign.rotates" -}}
{{- $said := .Values.featureFlags.RATIFY_CERT_ROTATION }}
{{- if kindIs "bool" $said }}
{{- if $said }}true{{ end }}
{{- else if not .Values.provider.tls.crt }}
{{- $present := lookup "v1" "Secret" .Release.Namespace (include "countersign.tlsSecretName" .) }}
{{- /* One that a hook made is Ratify's; of whoever else made one nobody knows. */}}
{{- if or (not $present) (include "countersign.isOwn" (dict "root" . "object" $present)) (hasKey (dig "metadata" "annotations" dict $present | default dict) "helm.sh/hook") }}true{{ end }}
{{- end }}
{{- end }}

{{/*
Whether a NetworkPolicy keeps others out. Said by the value; otherwise where it cannot keep out those who must get in: the Deployments of
Gatekeeper (and Kyverno) are there, have no host network, and their namespace has the label that selects it.
*/}}
{{- define "countersign.networkPolicy" -}}
{{- $said := .Values.networkPolicy.enabled }}
{{- if kindIs "bool" $said }}
{{- if $said }}true{{ end }}
{{- else }}
{{- $callers := list (list (include "countersign.gatekeeperNamespace" .) "^gatekeeper-(controller-manager|audit)") }}
{{- if .Values.kyverno.enabled }}{{ $callers = append $callers (list .Values.kyverno.namespace "^kyverno-") }}{{ end }}
{{- $all := true }}
{{- range $caller := $callers }}
{{- $namespace := index $caller 0 }}
{{- $found := 0 }}
{{- range dig "items" list (lookup "apps/v1" "Deployment" $namespace "") }}
{{- if regexMatch (index $caller 1) .metadata.name }}
{{- $found = add1 $found }}
{{- if dig "spec" "template" "spec" "hostNetwork" false . }}{{ $all = false }}{{ end }}
{{- end }}
{{- end }}
{{- if not $found }}{{ $all = false }}{{ end }}
{{- if ne $namespace (dig "metadata" "labels" "kubernetes.io/metadata.name" "" (lookup "v1" "Namespace" "" $namespace)) }}{{ $all = false }}{{ end }}
{{- end }}
{{- if $all }}true{{ end }}
{{- end }}
{{- end }}

{{/* Whether verdicts are shared in Redis. */}}
{{- define "countersign.usesRedis" -}}
{{- if and .Values.provider.cache.enabled (eq (lower .Values.provider.cache.type) "redis") }}true{{ end }}
{{- end }}

{{/* Whether an object that is there belongs to this release. */}}
{{- define "countersign.isOwn" -}}
{{- $annotations := .object.metadata.annotations | default dict }}
{{- $labels := .object.metadata.labels | default dict }}
{{- if and (eq (index $labels "app.kubernetes.io/managed-by" | default "") "Helm") (eq (index $annotations "meta.helm.sh/release-name" | default "") .root.Release.Name) (eq (index $annotations "meta.helm.sh/release-namespace" | default "") .root.Release.Namespace) }}true{{ end }}
{{- end }}

{{/* Namespaces that are never mutated: without them a cluster could not start from nothing. */}}
{{- define "countersign.exemptNamespaces" -}}
{{- $all := list "kube-system" "kube-public" "kube-node-lease" "dapr-system" (include "countersign.gatekeeperNamespace" .) .Release.Namespace }}
{{- range .Values.provider.mutationExcludedNamespaces }}{{ $all = append $all . }}{{ end }}
{{- $all | uniq | toJson }}
{{- end }}

{{/* Seconds that Gatekeeper gives a Provider: one less than the webhook has, for at the webhook's own timeout it admits. */}}
{{- define "countersign.timeout" -}}
{{- max 1 (sub (int .) 1) }}
{{- end }}

{{/*
Seconds of the Provider that verifies, of a webhook that has so many. Kinds of constraints ask one after the other, and what is not
answered yet is asked again: two of them and a second for the policy have to fit (docs/limits.md).
*/}}
{{- define "countersign.validationTimeout" -}}
{{- max 1 (div (sub (int .) 1) 2) }}
{{- end }}

{{/* Milliseconds until the answer: less than the Provider has, and with a webhook of 2 s less than its whole second. */}}
{{- define "countersign.validationDeadline" -}}
{{- min (sub (mul 1000 (include "countersign.validationTimeout" . | int)) 100) (sub (mul 500 (max 1 (sub (int .) 1))) 100) }}
{{- end }}

{{/* The name of the KeyManagementProvider that a trust store's reference means. */}}
{{- define "countersign.trusted" -}}
{{- $root := .root }}
{{- $reference := lower .reference }}
{{- if eq $reference "azurekeyvault" }}
{{- if not (include "countersign.hasKeyVault" $root) }}
{{- fail (printf "notation.trustPolicies: trust store %q refers to the Key Vault, but azurekeyvault.enabled is false" .store) }}
{{- else if not (include "countersign.vaultHas" (dict "root" $root "of" "certificates")) }}
{{- fail (printf "notation.trustPolicies: trust store %q refers to the Key Vault, but azurekeyvault.certificates is empty" .store) }}
{{- end -}}
kmprovider-akv
{{- else if regexMatch "^notationcerts\\[[0-9]+\\]$" $reference }}
{{- $index := regexFind "[0-9]+" $reference | int }}
{{- if ge $index (len $root.Values.notationCerts) }}
{{- fail (printf "notation.trustPolicies: trust store %q refers to notationCerts[%d], but there are %d" .store $index (len $root.Values.notationCerts)) }}
{{- end -}}
{{ include "countersign.fullname" $root }}-notation-inline-cert-{{ $index }}
{{- else }}
{{- fail (printf "notation.trustPolicies: trust store %q: expected TYPE:notationCerts[N] or TYPE:azurekeyvault" .store) }}
{{- end }}
{{- end }}

{{/* Every KeyManagementProvider with certificates, for statements that name no trust store. */}}
{{- define "countersign.allTrusted" -}}
{{- $fullname := include "countersign.fullname" . }}
{{- $all := list }}
{{- if include "countersign.vaultHas" (dict "root" . "of" "certificates") }}{{ $all = append $all "kmprovider-akv" }}{{ end }}
{{- if .Values.notationCert }}{{ $all = append $all (printf "%s-notation-inline-cert" $fullname) }}{{ end }}
{{- range $index, $_ := .Values.notationCerts }}{{ $all = append $all (printf "%s-notation-inline-cert-%d" $fullname $index) }}{{ end }}
{{- $all | toJson }}
{{- end }}

{{/*
`helm upgrade --reuse-values` puts the values of the former chart, Ratify's, in the place of this chart's defaults. Every template
therefore begins by filling in what is missing (files/defaults.yaml is a copy of values.yaml, which templates cannot read).
*/}}
{{- define "countersign.defaults" -}}
{{- if not (hasKey .Values "adoption") }}
{{- include "countersign.fill" (dict "into" .Values.AsMap "from" (.Files.Get "files/defaults.yaml" | fromYaml)) }}
{{- end }}
{{- end }}

{{- define "countersign.fill" -}}
{{- range $key, $value := .from }}
{{- if not (hasKey $.into $key) }}
{{- $_ := set $.into $key $value }}
{{- else if and (kindIs "map" $value) (kindIs "map" (index $.into $key)) }}
{{- include "countersign.fill" (dict "into" (index $.into $key) "from" $value) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What namespaces with the restricted Pod Security Standard ask of pods and containers. */}}
{{- define "countersign.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# Makes mounted keys readable for the group, and for nobody else.
fsGroup: 65532
{{- if .Values.enableRuntimeDefaultSeccompProfile }}
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end }}

{{- define "countersign.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: ["ALL"]
{{- end }}
