{{/*
What cannot be right, said before anything is changed. Included by the Deployment.

Ratify's values without a meaning here are accepted (NOTES.txt names them). Refused are those whose loss would admit what
Ratify refused, or leave registries unreadable.
*/}}
{{- define "countersign.check" -}}
{{- include "countersign.checkNames" . }}
{{- $tls := .Values.provider.tls }}
{{- if ne (empty $tls.crt) (empty $tls.key) }}
{{- fail "provider.tls: crt and key belong together; one of them is missing" }}
{{- end }}
{{- if and $tls.crt (not $tls.caCert) (not $tls.cabundle) }}
{{- fail "provider.tls: with crt, caCert (PEM) or cabundle (base64 of PEM) must say which CA Gatekeeper trusts" }}
{{- end }}
{{- if and $tls.crt .Values.featureFlags.RATIFY_CERT_ROTATION (not (and $tls.caCert $tls.caKey)) }}
{{- fail "provider.tls: to rotate a certificate of yours, caCert and caKey are needed too; without them leave crt and key out, or set featureFlags.RATIFY_CERT_ROTATION=false" }}
{{- end }}
{{- if and .Values.notationCert .Values.notationCerts }}
{{- fail "notationCert is the older form of notationCerts; give one of them" }}
{{- end }}
{{- $identities := list }}
{{- range $name := list "azureWorkloadIdentityEnabled" "azureManagedIdentityEnabled" "k8secretsEnabled" }}
{{- if index $.Values.oras.authProviders $name }}{{ $identities = append $identities $name }}{{ end }}
{{- end }}
{{- if gt (len $identities) 1 }}
{{- fail (printf "oras.authProviders: only one can be enabled, and there are %s" (join " and " $identities)) }}
{{- end }}
{{- if and .Values.oras.authProviders.azureWorkloadIdentityEnabled (not .Values.azureWorkloadIdentity.clientId) }}
{{- fail "oras.authProviders.azureWorkloadIdentityEnabled needs azureWorkloadIdentity.clientId" }}
{{- end }}
{{- range $name := list "awsEcrBasicEnabled" "alibabacloudAcrBasicEnabled" }}
{{- if index $.Values.oras.authProviders $name }}
{{- fail (printf "oras.authProviders.%s is not supported: without it the registry cannot be read, and everything in it is refused. Give credentials with dockerConfig, registryCredsSecret or k8secretsEnabled" $name) }}
{{- end }}
{{- end }}
{{- range $name := list "vulnerabilityreport" "sbom" }}
{{- if dig $name "enabled" false $.Values.AsMap }}
{{- fail (printf "%s.enabled: this verifier does not exist here, and images that it refused would be admitted. Set it to false to go without that check" $name) }}
{{- end }}
{{- end }}
{{- if ne (lower .Values.instrumentation.metricsType) "prometheus" }}
{{- fail (printf "instrumentation.metricsType is %q: only prometheus is supported" .Values.instrumentation.metricsType) }}
{{- end }}
{{- if include "countersign.usesRedis" . }}
{{- if not .Values.provider.cache.redis.endpoint }}
{{- fail "provider.cache.type=redis needs provider.cache.redis.endpoint (HOST:PORT)" }}
{{- end }}
{{- if and .Values.provider.cache.redis.user (not .Values.provider.cache.redis.passwordSecret.name) }}
{{- fail "provider.cache.redis.user needs provider.cache.redis.passwordSecret" }}
{{- end }}
{{- end }}
{{- if not (or .Values.gatekeeper.clientAuthoritySecret .Values.provider.clientAuth.caCerts .Values.provider.clientAuth.anonymous) }}
{{- fail "Nobody says whose client certificates are good: give gatekeeper.clientAuthoritySecret or provider.clientAuth.caCerts, or serve everybody with provider.clientAuth.anonymous=true" }}
{{- end }}
{{- if and .Values.provider.clientAuth.names (not (or .Values.gatekeeper.clientAuthoritySecret .Values.provider.clientAuth.caCerts)) }}
{{- fail "provider.clientAuth.names: nobody vouches for the names: give gatekeeper.clientAuthoritySecret or provider.clientAuth.caCerts" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" }}
{{- end }}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled }}
{{- fail "monitoring: serviceMonitor or podMonitor, not both: every series would be there twice" }}
{{- end }}
{{- if include "countersign.hasKeyVault" . }}
{{- $_ := required "azurekeyvault.vaultURI is needed when azurekeyvault.enabled" (default .Values.akvCertConfig.vaultURI .Values.azurekeyvault.vaultURI) }}
{{- $_ := required "azurekeyvault.tenantId is needed when azurekeyvault.enabled" (coalesce .Values.azurekeyvault.tenantId .Values.azurekeyvault.tenantID .Values.akvCertConfig.tenantId) }}
{{- $_ := required "azurekeyvault.enabled needs azureWorkloadIdentity.clientId" .Values.azureWorkloadIdentity.clientId }}
{{- end }}
{{- include "countersign.checkContent" . }}
{{- include "countersign.checkCosign" . }}
{{- end }}

{{/* Names that Ratify's documentation of some releases had beside those of its chart: there they had no effect. */}}
{{- define "countersign.checkNames" -}}
{{- range $wrong, $right := dict "image.crdrepository" "image.crdRepository (which has no effect here)" "provider.cacheSizeMb" "provider.cache.cacheSizeMb" "provider.ttl" "provider.cache.ttl" "provider.name" "provider.cache.name (which has no effect here)" }}
{{- $steps := splitList "." $wrong }}
{{- if hasKey (index $.Values (first $steps)) (last $steps) }}
{{- fail (printf "%s is not a value, in Ratify's chart neither: write %s" $wrong $right) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Values that have no effect here, a line each. */}}
{{- define "countersign.withoutEffect" -}}
{{- $values := .Values.AsMap }}
{{- if include "countersign.isRatifyImage" . }}
- image.repository, image.tag: they name Ratify's image; {{ include "countersign.image" . }} runs
{{- end }}
{{- include "countersign.cosignWithoutEffect" . }}
{{- if dig "policy" "useRego" false $values }}
- policy.useRego: policies are not in Rego; the Rego of Ratify's chart means `all`, which is policy.artifactVerificationPolicies' default
{{- end }}
{{- if or (eq (lower .Values.provider.cache.type) "dapr") (.Values.provider.cache.name) }}
- provider.cache.type=dapr, provider.cache.name: verdicts are remembered in each replica; to share them set provider.cache.type=redis
{{- end }}
{{- range $name, $on := omit .Values.featureFlags "RATIFY_CERT_ROTATION" }}
{{- if $on }}
- featureFlags.{{ $name }}
{{- end }}
{{- end }}
{{- if or (dig "alibabacloudAcrConfig" "defaultInstanceId" "" $values) (dig "alibabacloudAcrConfig" "acrInstancesConfig" list $values) }}
- alibabacloudAcrConfig
{{- end }}
{{- $override := .Values.oras.authProviders.awsApiOverride | default dict }}
{{- if or $override.enabled $override.endpoint $override.partition $override.region }}
- oras.authProviders.awsApiOverride
{{- end }}
{{- range $name := list "vulnerabilityreport" "sbom" }}
{{- range $option, $value := omit (index $values $name | default dict) "enabled" }}
{{- if $value }}
- {{ $name }}.{{ $option }}
{{- end }}
{{- end }}
{{- end }}
{{- range $number, $policy := .Values.notation.trustPolicies }}
{{- range $name := list "verificatonLevel" "verificationLevel" }}
{{- $level := index $policy $name }}
{{- if and $level (ne $level ($policy.level | default "strict")) }}
- notation.trustPolicies[{{ $number }}].{{ $name }}: in Ratify's chart neither; the level is {{ $policy.level | default "strict" }}, which notation.trustPolicies[{{ $number }}].level says
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.crds.securityContext }}
- crds.securityContext: the Job runs with the least there is
{{- end }}
{{- if .Values.image.crdRepository }}
- image.crdRepository
{{- end }}
{{- end }}
