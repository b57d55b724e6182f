{{/*
cosign's signatures: whose count, and what of it cannot be right. Ratify's values give one trust policy; cosign.trustPolicies gives several.
*/}}

{{/* Whether cosign.keyless says who must have signed. */}}
{{- define "countersign.isKeyless" -}}
{{- range $name, $value := omit .Values.cosign.keyless "ctLogVerify" "certificateOIDCIssuerExp" }}{{ if $value }}true{{ end }}{{ end }}
{{- end }}

{{/* Public keys that need a KeyManagementProvider, PEM by its name; in JSON. As in Ratify's chart cosign.key counts only where nothing else does. */}}
{{- define "countersign.cosignKeys" -}}
{{- $fullname := include "countersign.fullname" . }}
{{- $keys := dict }}
{{- if .Values.cosign.enabled }}
{{- range $index, $pem := .Values.cosignKeys }}
{{- $_ := set $keys (printf "%s-cosign-inline-key-%d" $fullname $index) $pem }}
{{- end }}
{{- if and .Values.cosign.key (include "countersign.countsCosignKey" .) }}
{{- $_ := set $keys (printf "%s-cosign-inline-key" $fullname) .Values.cosign.key }}
{{- end }}
{{- end }}
{{- $keys | toJson }}
{{- end }}

{{- define "countersign.countsCosignKey" -}}
{{- if not (or .Values.cosignKeys .Values.cosign.trustPolicies (include "countersign.isKeyless" .) (include "countersign.vaultHas" (dict "root" . "of" "keys"))) }}true{{ end }}
{{- end }}

{{- define "countersign.cosignRoot" -}}
{{ include "countersign.fullname" . }}-cosign-trusted-root
{{- end }}

{{/* The KeyManagementProvider that a key's provider means. */}}
{{- define "countersign.cosignProvider" -}}
{{- $reference := lower .provider }}
{{- if eq $reference "azurekeyvault" }}
{{- if not (include "countersign.vaultHas" (dict "root" .root "of" "keys")) }}
{{- fail (printf "%s.provider is %q, but azurekeyvault.enabled is false or azurekeyvault.keys is empty" .place .provider) }}
{{- end -}}
kmprovider-akv
{{- else if regexMatch "^cosignkeys\\[[0-9]+\\]$" $reference }}
{{- $index := regexFind "[0-9]+" $reference | int }}
{{- if ge $index (len .root.Values.cosignKeys) }}
{{- fail (printf "%s.provider is %q, but there are %d cosignKeys" .place .provider (len .root.Values.cosignKeys)) }}
{{- end -}}
{{ include "countersign.fullname" .root }}-cosign-inline-key-{{ $index }}
{{- else }}{{ .provider }}{{ end }}
{{- end }}

{{/* The trust policies of the Verifier; none where nobody is trusted. In JSON. */}}
{{- define "countersign.cosignPolicies" -}}
{{- $root := . }}
{{- $cosign := .Values.cosign }}
{{- $policies := list }}
{{- if not $cosign.enabled }}
{{- else if $cosign.trustPolicies }}
{{- range $number, $given := $cosign.trustPolicies }}
{{- $policy := deepCopy $given }}
{{- $_ := set $policy "name" ($policy.name | default (printf "trustPolicy-%d" $number)) }}
{{- $keys := list }}
{{- range $index, $key := $policy.keys }}
{{- $entry := dict }}
{{- range $name, $value := $key }}{{ with include "countersign.text" $value }}{{ $_ := set $entry $name . }}{{ end }}{{ end }}
{{- with $entry.provider }}{{ $_ := set $entry "provider" (include "countersign.cosignProvider" (dict "root" $root "provider" . "place" (printf "cosign.trustPolicies[%d].keys[%d]" $number $index))) }}{{ end }}
{{- $keys = append $keys $entry }}
{{- end }}
{{- $_ := set $policy "keys" $keys }}
{{- $policies = append $policies $policy }}
{{- end }}
{{- else }}
{{- $keys := list }}
{{- range $name := include "countersign.cosignKeys" . | fromJson | keys | sortAlpha }}{{ $keys = append $keys (dict "provider" $name) }}{{ end }}
{{- if include "countersign.vaultHas" (dict "root" . "of" "keys") }}{{ $keys = append $keys (dict "provider" "kmprovider-akv") }}{{ end }}
{{- $policy := dict "name" "default" "version" "1.0.0" "scopes" $cosign.scopes "keys" $keys "tLogVerify" $cosign.tLogVerify "rekorURL" $cosign.rekorURL }}
{{- if include "countersign.isKeyless" . }}{{ $_ := set $policy "keyless" (omit $cosign.keyless "certificateOIDCIssuerExp") }}{{ end }}
{{- if or $keys $policy.keyless }}{{ $policies = append $policies $policy }}{{ end }}
{{- end }}
{{- $written := list }}
{{- range $policy := $policies }}
{{- $filled := dict }}
{{- range $name, $value := $policy }}{{ if or $value (kindIs "bool" $value) (regexMatch "^[0-9]+$" (toString $value)) }}{{ $_ := set $filled $name $value }}{{ end }}{{ end }}
{{- with $filled.keyless }}
{{- $keyless := dict }}
{{- range $name, $value := . }}{{ if or $value (kindIs "bool" $value) }}{{ $_ := set $keyless $name $value }}{{ end }}{{ end }}
{{- $_ := set $filled "keyless" $keyless }}
{{- end }}
{{- /* A root is of no use to a key whose signatures need not be in a log. */}}
{{- if and (not $filled.trustedRoot) (or $filled.keyless $filled.timestampThreshold $filled.tLogThreshold (ne "false" (get $filled "tLogVerify" | toString))) }}
{{- $_ := set $filled "trustedRoot" (include "countersign.cosignRoot" $root) }}
{{- end }}
{{- $written = append $written $filled }}
{{- end }}
{{- $written | toJson }}
{{- end }}

{{/* Whether some trust policy needs the release's own trusted root. */}}
{{- define "countersign.needsCosignRoot" -}}
{{- range $policy := include "countersign.cosignPolicies" . | fromJsonArray }}{{ if eq ($policy.trustedRoot | default "") (include "countersign.cosignRoot" $) }}true{{ end }}{{ end }}
{{- end }}

{{/* What is wrong with a public key in PEM; nothing when all is well. */}}
{{- define "countersign.publicKeyFault" -}}
{{- $text := . | replace "\r" "" }}
{{- $blocks := regexFindAll "-----BEGIN " $text -1 }}
{{- if not $blocks -}}
is not PEM: it has no line -----BEGIN PUBLIC KEY-----. A file's content is given with --set-file
{{- else if gt (len $blocks) 1 -}}
has more than one block: one key is expected, and the others belong into entries of their own
{{- else if contains "PRIVATE KEY-----" $text -}}
is a private key, which nobody but the signer may have: expected the public one, such as cosign.pub
{{- else if not (contains "-----BEGIN PUBLIC KEY-----" $text) -}}
has another block than PUBLIC KEY, the only one that is supported
{{- else }}
{{- $body := regexReplaceAll "(?s)^.*-----BEGIN PUBLIC KEY-----[ \t]*\n(.*)\n[ \t]*-----END PUBLIC KEY-----.*$" $text "${1}" }}
{{- $base64 := regexReplaceAll "\\s" $body "" }}
{{- if eq $body $text -}}
is not PEM: the lines -----BEGIN PUBLIC KEY----- and -----END PUBLIC KEY----- must stand alone. Perhaps its line breaks were lost
{{- else if not (and (regexMatch "^M[A-Za-z0-9+/]+={0,2}$" $base64) (eq 0 (mod (len $base64) 4))) -}}
is not PEM: its block is not a key in base64
{{- end }}
{{- end }}
{{- end }}

{{/* What is wrong with a scope of cosign's: a reference, a beginning of one with * at its end, or * alone. */}}
{{- define "countersign.cosignScopeFault" -}}
{{- if not (regexMatch "^([a-z0-9._:@/-]+\\*?|\\*)$" .) -}}
is {{ . | trunc 80 | quote }}: expected a reference or the beginning of one with "*" at its end, in lower case and without scheme, such as registry.example.com/team/*, or "*" alone
{{- else if and (hasSuffix "*" .) (ne . "*") }}
{{- if not (regexMatch "^(localhost|[^/]*[.:][^/]*)/" .) -}}
is {{ . | trunc 80 | quote }}, which does not say at which registry: write it with a "/" behind, such as docker.io/library/nginx*
{{- else if regexMatch "^(index\\.|registry-1\\.)?docker\\.io(:443)?/[^/]+\\*$" . -}}
is {{ . | trunc 80 | quote }}, which ends within a name of Docker Hub: write docker.io/library/NAME* or docker.io/NAMESPACE/*
{{- end }}
{{- end }}
{{- end }}

{{/* Who must have signed: exactly one form of the identity and one of the issuer. Takes place and identity. */}}
{{- define "countersign.checkCosignIdentity" -}}
{{- $place := .place }}
{{- $identity := .identity }}
{{- range $name := list "certificateIdentity" "certificateOIDCIssuer" }}
{{- $whole := get $identity $name | default "" }}
{{- $expression := get $identity (printf "%sRegExp" $name) | default "" }}
{{- if and $whole $expression }}{{ fail (printf "%s: %s and %sRegExp are both set: keep one" $place $name $name) }}{{ end }}
{{- if not (or $whole $expression) }}{{ fail (printf "%s: %s or %sRegExp must say %s" $place $name $name (ternary "who has signed: without it anybody would be trusted" "who vouched for the identity: each issuer gives out names of its own" (eq $name "certificateIdentity"))) }}{{ end }}
{{- with $expression }}{{ $_ := mustRegexMatch (printf "^(?:%s)$" .) "" }}{{ end }}
{{- end }}
{{- end }}

{{- define "countersign.checkCosign" -}}
{{- $root := . }}
{{- $cosign := .Values.cosign }}
{{- if $cosign.keyless.certificateOIDCIssuerExp }}
{{- fail "cosign.keyless.certificateOIDCIssuerExp is not a value, in Ratify's chart neither: write cosign.keyless.certificateOIDCIssuerRegExp" }}
{{- end }}
{{- range $index, $pem := .Values.cosignKeys }}
{{- include "countersign.refuse" (dict "place" (printf "cosignKeys[%d]" $index) "fault" (include "countersign.publicKeyFault" $pem)) }}
{{- end }}
{{- with $cosign.key }}{{ include "countersign.refuse" (dict "place" "cosign.key" "fault" (include "countersign.publicKeyFault" .)) }}{{ end }}
{{- $policies := include "countersign.cosignPolicies" . | fromJsonArray }}
{{- if and $cosign.trustPolicies (or $cosign.key $cosign.rekorURL (not $cosign.tLogVerify) (include "countersign.isKeyless" .) (ne (toJson ($cosign.scopes | default (list "*"))) (toJson (list "*")))) }}
{{- fail "cosign.trustPolicies stands in place of cosign.scopes, key, keyless, tLogVerify and rekorURL: say it in the policies" }}
{{- end }}
{{- if and $policies .Values.notation.enabled (not (include "countersign.allTrusted" . | fromJsonArray)) }}
{{- fail "notation.enabled is true, and no certificate is trusted for Notary Project signatures. Beside cosign's an image needs both, so every image would be refused. Set notation.enabled=false where cosign alone counts, or give notationCerts or azurekeyvault.certificates" }}
{{- end }}
{{- $names := dict }}
{{- $scopes := list }}
{{- range $number, $policy := $policies }}
{{- $place := ternary (printf "cosign.trustPolicies[%d]" $number) "cosign" (not (empty $cosign.trustPolicies)) }}
{{- if hasKey $names $policy.name }}{{ fail (printf "%s.name is %q: another policy has that name" $place ($policy.name | trunc 80)) }}{{ end }}
{{- $_ := set $names $policy.name true }}
{{- if not $policy.scopes }}{{ fail (printf "%s.scopes is empty: expected references, beginnings of them with \"*\", or \"*\" alone" $place) }}{{ end }}
{{- range $index, $scope := $policy.scopes }}
{{- include "countersign.refuse" (dict "place" (printf "%s.scopes[%d]" $place $index) "fault" (include "countersign.cosignScopeFault" $scope)) }}
{{- if and (eq $scope "*") (gt (len $policy.scopes) 1) }}{{ fail (printf "%s.scopes has \"*\" beside others: it stands alone" $place) }}{{ end }}
{{- range $other := $scopes }}
{{- $isOverlap := eq $scope $other }}
{{- if and (ne $scope "*") (ne $other "*") }}
{{- if and (hasSuffix "*" $other) (hasPrefix (trimSuffix "*" $other) $scope) }}{{ $isOverlap = true }}{{ end }}
{{- if and (hasSuffix "*" $scope) (hasPrefix (trimSuffix "*" $scope) $other) }}{{ $isOverlap = true }}{{ end }}
{{- end }}
{{- if $isOverlap }}{{ fail (printf "%s.scopes[%d] is %q, which overlaps %q: one policy must apply to an image" $place $index ($scope | trunc 80) ($other | trunc 80)) }}{{ end }}
{{- end }}
{{- $scopes = append $scopes $scope }}
{{- end }}
{{- if and $policy.keys $policy.keyless }}
{{- if $cosign.trustPolicies }}{{ fail (printf "%s has keys and keyless: it is one or the other. Make two policies with scopes of their own" $place) }}{{ end }}
{{- fail "cosignKeys or azurekeyvault.keys, and cosign.keyless: one trust policy has keys or identities, not both. Give one of them, or cosign.trustPolicies with scopes for each" }}
{{- end }}
{{- if not (or $policy.keys $policy.keyless) }}{{ fail (printf "%s has neither keys nor keyless: nobody would be trusted" $place) }}{{ end }}
{{- range $index, $key := $policy.keys }}
{{- $at := printf "%s.keys[%d]" $place $index }}
{{- if eq (empty $key.provider) (empty $key.file) }}{{ fail (printf "%s must have a provider or a file, one of them" $at) }}{{ end }}
{{- if and $key.version (not $key.name) }}{{ fail (printf "%s has a version without the name of the key" $at) }}{{ end }}
{{- end }}
{{- with $policy.keyless }}
{{- $at := printf "%s.keyless" $place }}
{{- $single := or .certificateIdentity .certificateIdentityRegExp .certificateOIDCIssuer .certificateOIDCIssuerRegExp }}
{{- if or $single (not .identities) }}{{ include "countersign.checkCosignIdentity" (dict "place" $at "identity" .) }}{{ end }}
{{- range $index, $identity := .identities }}{{ include "countersign.checkCosignIdentity" (dict "place" (printf "%s.identities[%d]" $at $index) "identity" $identity) }}{{ end }}
{{- end }}
{{- with $policy.rekorURL }}
{{- if not (regexMatch "^https?://[^/\\s]+(/[^\\s]*)?$" .) }}{{ fail (printf "%s.rekorURL is %q: expected a URL" $place (. | trunc 80)) }}{{ end }}
{{- $isPublic := eq (trimSuffix "/" .) "https://rekor.sigstore.dev" }}
{{- $own := or $cosign.trustedRoot.json $cosign.trustedRoot.tufRoot (ne ($policy.trustedRoot | default "") (include "countersign.cosignRoot" $root)) }}
{{- if not (or $isPublic $own) }}{{ fail (printf "%s.rekorURL is %q, whose key the public instance's trusted root does not have: give that instance's trusted_root.json (--set-file cosign.trustedRoot.json=FILE), or cosign.trustedRoot.tufURL and tufRoot" $place (. | trunc 80)) }}{{ end }}
{{- end }}
{{- end }}
{{- $trusted := $cosign.trustedRoot }}
{{- if and $trusted.json (or $trusted.tufURL $trusted.tufRoot) }}{{ fail "cosign.trustedRoot: json or tufURL with tufRoot, not both" }}{{ end }}
{{- if and $trusted.tufRoot (not $trusted.tufURL) }}{{ fail "cosign.trustedRoot: tufRoot needs tufURL, the address of that repository" }}{{ end }}
{{- if regexMatch "^(0*[0-5]?[0-9](\\.[0-9]+)?s|[0-9.]+(ms|us|µs|ns))$" ($trusted.refreshInterval | default "") }}{{ fail (printf "cosign.trustedRoot.refreshInterval is %q: at least 1m" $trusted.refreshInterval) }}{{ end }}
{{- range $name := list "json" "tufRoot" }}
{{- with get $trusted $name }}{{ if hasKey (fromJson .) "Error" }}{{ fail (printf "cosign.trustedRoot.%s is not a JSON object. A file's content is given with --set-file" $name) }}{{ end }}{{ end }}
{{- end }}
{{- with $trusted.tufURL }}{{ if not (regexMatch "^https://[^/\\s]+(/[^\\s]*)?$" .) }}{{ fail (printf "cosign.trustedRoot.tufURL is %q: expected a URL that begins with https://" (. | trunc 80)) }}{{ end }}{{ end }}
{{- end }}

{{/* Values of cosign that have no effect, a line each. */}}
{{- define "countersign.cosignWithoutEffect" -}}
{{- $cosign := .Values.cosign }}
{{- $chosen := list }}
{{- if .Values.cosignKeys }}{{ $chosen = append $chosen "cosignKeys" }}{{ end }}
{{- range $name := list "key" "rekorURL" "trustPolicies" }}{{ if get $cosign $name }}{{ $chosen = append $chosen (printf "cosign.%s" $name) }}{{ end }}{{ end }}
{{- if include "countersign.isKeyless" . }}{{ $chosen = append $chosen "cosign.keyless" }}{{ end }}
{{- if ne (toJson ($cosign.scopes | default (list "*"))) (toJson (list "*")) }}{{ $chosen = append $chosen "cosign.scopes" }}{{ end }}
{{- if and (not $cosign.enabled) $chosen }}
- {{ join ", " $chosen }}: cosign.enabled is false
{{- else if and $chosen (not (include "countersign.cosignPolicies" . | fromJsonArray)) }}
- {{ join ", " $chosen }}: no value says whose signatures of cosign count (cosignKeys, azurekeyvault.keys, cosign.keyless), so none does
{{- else if and $cosign.key (not (include "countersign.countsCosignKey" .)) }}
{{- $same := false }}
{{- range .Values.cosignKeys }}{{ if eq (trim .) (trim $cosign.key) }}{{ $same = true }}{{ end }}{{ end }}
{{- if not $same }}
- cosign.key: beside cosignKeys, azurekeyvault.keys or cosign.keyless in Ratify's chart neither. To trust it add it to cosignKeys
{{- end }}
{{- end }}
{{- end }}
