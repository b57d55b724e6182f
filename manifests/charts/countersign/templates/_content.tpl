{{/*
What single values have to hold, beyond their type: the rules by which the program reads them. Values that are accepted here and
useless there would leave a release that Helm calls deployed and that refuses every image.

No message quotes a certificate or a key, other input in at most 80 characters.
*/}}

{{/* What is wrong with certificates in PEM; nothing when all is well. Text around the blocks is allowed (RFC 7468, section 2). */}}
{{- define "countersign.certificateFault" -}}
{{- $text := . | replace "\r" "" }}
{{- $blocks := regexFindAll "(?s)-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----" $text -1 }}
{{- if not (contains "-----BEGIN " $text) -}}
is not PEM: it has no line -----BEGIN CERTIFICATE-----. A file's content is given with --set-file
{{- else if or (ne (len $blocks) (len (regexFindAll "-----BEGIN " $text -1))) (ne (len $blocks) (len (regexFindAll "-----END " $text -1))) -}}
is not PEM: a block has no line -----END CERTIFICATE-----
{{- else }}
{{- $fault := "" }}
{{- range $index, $block := $blocks }}
{{- $body := regexReplaceAll "(?s)^-----BEGIN (?:X509 )?CERTIFICATE-----[ \t]*\n(.*)\n[ \t]*-----END (?:X509 )?CERTIFICATE-----$" $block "${1}" }}
{{- $base64 := regexReplaceAll "\\s" $body "" }}
{{- if $fault }}
{{- else if not (regexMatch "^-----BEGIN (X509 )?CERTIFICATE-----" $block) }}
{{- $fault = printf "has another block than CERTIFICATE, block %d; keys do not belong there" (add1 $index) }}
{{- else if eq $body $block }}
{{- $fault = "is not PEM: the lines -----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- must stand alone. Perhaps its line breaks were lost" }}
{{- else if not (and (regexMatch "^M[A-Za-z0-9+/]+={0,2}$" $base64) (eq 0 (mod (len $base64) 4))) }}
{{- $fault = printf "is not PEM: block %d is not a certificate in base64" (add1 $index) }}
{{- end }}
{{- end }}
{{- $fault }}
{{- end }}
{{- end }}

{{/* What is wrong with a private key in PEM. */}}
{{- define "countersign.keyFault" -}}
{{- if not (regexMatch "(?s)-----BEGIN ([A-Z0-9]+ )?PRIVATE KEY-----[ \t\r]*\n.*\n[ \t]*-----END ([A-Z0-9]+ )?PRIVATE KEY-----" .) -}}
is not PEM: expected a block PRIVATE KEY whose lines BEGIN and END stand alone. A file's content is given with --set-file
{{- end }}
{{- end }}

{{/* What is wrong with a registry scope (trust store and trust policy specification, "OCI Trust Policy Constraints"). */}}
{{- define "countersign.scopeFault" -}}
{{- $label := "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?" }}
{{- $component := "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*" }}
{{- if and (ne . "*") (not (regexMatch (printf "^%s(\\.%s)*(:[0-9]+)?(/%s)+$" $label $label $component) .)) -}}
is {{ . | trunc 80 | quote }}: expected registry/repository without scheme, tag, digest or slash at the end, such as registry.example.com/team/app, or "*" alone
{{- else }}
{{- $port := regexFind "^[^/]*:[0-9]+" . | regexFind "[0-9]+$" }}
{{- if and $port (not (and (le (len $port) 5) (ge (atoi $port) 1) (le (atoi $port) 65535))) -}}
is {{ . | trunc 80 | quote }}: the port is not from 1 to 65535
{{- end }}
{{- end }}
{{- end }}

{{/* A registry scope in one spelling: a host has no case, 443 is the port of https and 80 that of http, and Docker Hub has three names. */}}
{{- define "countersign.scopePlace" -}}
{{- $parts := splitn "/" 2 . }}
{{- $host := regexReplaceAll ":(443|80)$" (lower $parts._0) "" }}
{{- if has $host (list "index.docker.io" "registry-1.docker.io") }}{{ $host = "docker.io" }}{{ end }}
{{- printf "%s/%s" $host ($parts._1 | default "") }}
{{- end }}

{{/* What is wrong with a trusted identity ("Trusted Identities Constraints"; RFC 4514). */}}
{{- define "countersign.identityFault" -}}
{{- $shown := . | trunc 80 | quote }}
{{- if ne . "*" }}
{{- if not (contains ":" .) -}}
is {{ $shown }}: expected "x509.subject: C=…, ST=…, O=…", or "*" alone
{{- else if hasPrefix "x509.subject:" . }}
{{- /* Escaped characters neither separate nor assign. */}}
{{- $name := regexReplaceAll "\\\\." (trimPrefix "x509.subject:" .) "_" }}
{{- $types := list }}
{{- $fault := "" }}
{{- range $part := regexSplit "[,;]" $name -1 }}
{{- $type := regexFind "^[^=]+" $part | trim }}
{{- $type = ternary "ST" $type (eq $type "S") }}
{{- if not (regexMatch "^[^=]*[^= ][^=]*=" $part) }}
{{- $fault = printf "is %s: a part of it is not TYPE=value; a comma within a value is written \\," $shown }}
{{- else if contains "+" $part }}
{{- $fault = printf "is %s: it joins attributes with \"+\", which is not supported; write \\+ for the character" $shown }}
{{- else if has $type $types }}
{{- $fault = printf "is %s: it has the attribute %s more than once" $shown ($type | trunc 40) }}
{{- else if regexMatch "=\\s*$" $part }}
{{- $fault = printf "is %s: the attribute %s is empty" $shown ($type | trunc 40) }}
{{- end }}
{{- $types = append $types $type }}
{{- end }}
{{- if contains "=#" $name }}{{ $fault = printf "is %s: it has a value in the form \"=#\", which is not supported; write the value as text" $shown }}{{ end }}
{{- range $type := list "C" "ST" "O" }}
{{- if not (or $fault (has $type $types)) }}
{{- $fault = printf "is %s: it has no %s; country (C), state or province (ST) and organization (O) are required" $shown $type }}
{{- end }}
{{- end }}
{{- $fault }}
{{- end }}
{{- end }}
{{- end }}

{{/* Fails with the place and what is wrong there, when something is. */}}
{{- define "countersign.refuse" -}}
{{- if .fault }}{{ fail (printf "%s %s" .place .fault) }}{{ end }}
{{- end }}

{{- define "countersign.checkContent" -}}
{{- $root := . }}
{{- range $index, $pem := .Values.notationCerts }}
{{- include "countersign.refuse" (dict "place" (printf "notationCerts[%d]" $index) "fault" (include "countersign.certificateFault" $pem)) }}
{{- end }}
{{- with .Values.notationCert }}
{{- include "countersign.refuse" (dict "place" "notationCert" "fault" (include "countersign.certificateFault" .)) }}
{{- end }}
{{- range $name := list "crt" "caCert" }}
{{- with index $root.Values.provider.tls $name }}
{{- include "countersign.refuse" (dict "place" (printf "provider.tls.%s" $name) "fault" (include "countersign.certificateFault" .)) }}
{{- end }}
{{- end }}
{{- range $name := list "key" "caKey" }}
{{- with index $root.Values.provider.tls $name }}
{{- include "countersign.refuse" (dict "place" (printf "provider.tls.%s" $name) "fault" (include "countersign.keyFault" .)) }}
{{- end }}
{{- end }}
{{- with .Values.provider.tls.cabundle }}
{{- $base64 := . | replace "\n" "" | replace " " "" }}
{{- if not (and (regexMatch "^[A-Za-z0-9+/]+={0,2}$" $base64) (eq 0 (mod (len $base64) 4))) }}
{{- fail "provider.tls.cabundle is not base64: expected the base64 of certificates in PEM" }}
{{- end }}
{{- include "countersign.refuse" (dict "place" "provider.tls.cabundle, decoded," "fault" (include "countersign.certificateFault" ($base64 | b64dec))) }}
{{- end }}
{{- include "countersign.checkTrustPolicies" . }}
{{- include "countersign.checkKeyVault" . }}
{{- with .Values.dockerConfig }}
{{- if hasKey (fromJson .) "Error" }}
{{- fail "dockerConfig is not a JSON object: expected the content of a docker config.json" }}
{{- end }}
{{- end }}
{{- range $index, $endpoint := .Values.oras.authProviders.azureContainerRegistryEndpoints }}
{{- if or (not $endpoint) (and (contains "*" $endpoint) (not (regexMatch "^\\*\\.[^*]+$" $endpoint))) }}
{{- fail (printf "oras.authProviders.azureContainerRegistryEndpoints[%d] is %q: expected a registry's host name, or *. and a domain" $index ($endpoint | trunc 80)) }}
{{- end }}
{{- end }}
{{- $ports := dict "6001" "the provider itself" }}
{{- $asked := list (list "healthPort" .Values.healthPort) }}
{{- if .Values.instrumentation.metricsEnabled }}{{ $asked = append $asked (list "instrumentation.metricsPort" .Values.instrumentation.metricsPort) }}{{ end }}
{{- if .Values.kyverno.enabled }}{{ $asked = append $asked (list "kyverno.port" .Values.kyverno.port) }}{{ end }}
{{- range $entry := $asked }}
{{- $port := index $entry 1 | int | toString }}
{{- if hasKey $ports $port }}{{ fail (printf "%s is %s, which is the port of %s" (index $entry 0) $port (get $ports $port)) }}{{ end }}
{{- $_ := set $ports $port (index $entry 0) }}
{{- end }}
{{- end }}

{{- define "countersign.checkTrustPolicies" -}}
{{- $root := . }}
{{- $names := dict }}
{{- $scopes := dict }}
{{- range $number, $policy := .Values.notation.trustPolicies }}
{{- $place := printf "notation.trustPolicies[%d]" $number }}
{{- $name := $policy.name | default (printf "trustPolicy-%d" $number) }}
{{- if hasKey $names $name }}{{ fail (printf "%s.name is %q: another statement has that name" $place ($name | trunc 80)) }}{{ end }}
{{- $_ := set $names $name true }}
{{- if not $policy.registryScopes }}{{ fail (printf "%s.registryScopes is empty: expected registry/repository, or \"*\" alone" $place) }}{{ end }}
{{- range $index, $scope := $policy.registryScopes }}
{{- include "countersign.refuse" (dict "place" (printf "%s.registryScopes[%d]" $place $index) "fault" (include "countersign.scopeFault" $scope)) }}
{{- if and (eq $scope "*") (gt (len $policy.registryScopes) 1) }}{{ fail (printf "%s.registryScopes has \"*\" beside others: it stands alone" $place) }}{{ end }}
{{- $one := include "countersign.scopePlace" $scope }}
{{- if hasKey $scopes $one }}{{ fail (printf "%s.registryScopes[%d] is %q, which is in the trust policies twice%s" $place $index ($scope | trunc 80) (ternary "" (printf ": %q is the same repository in another spelling" (get $scopes $one | trunc 80)) (eq $scope (get $scopes $one)))) }}{{ end }}
{{- $_ := set $scopes $one $scope }}
{{- end }}
{{- $subjects := 0 }}
{{- range $index, $identity := $policy.trustedIdentities }}
{{- include "countersign.refuse" (dict "place" (printf "%s.trustedIdentities[%d]" $place $index) "fault" (include "countersign.identityFault" $identity)) }}
{{- if and (eq $identity "*") (gt (len $policy.trustedIdentities) 1) }}{{ fail (printf "%s.trustedIdentities has \"*\" beside others: it stands alone" $place) }}{{ end }}
{{- if or (eq $identity "*") (hasPrefix "x509.subject:" $identity) }}{{ $subjects = add1 $subjects }}{{ end }}
{{- end }}
{{- if and $policy.trustedIdentities (not $subjects) }}{{ fail (printf "%s.trustedIdentities has none of the kind \"x509.subject:\", the only one that is supported: nobody would be trusted" $place) }}{{ end }}
{{- range $validation, $action := $policy.override }}
{{- if not (has $validation (list "authenticity" "authenticTimestamp" "expiry" "revocation")) }}{{ fail (printf "%s.override has %q: expected authenticity, authenticTimestamp, expiry or revocation" $place ($validation | trunc 80)) }}{{ end }}
{{- if and (eq $action "skip") (ne $validation "revocation") }}{{ fail (printf "%s.override.%s is \"skip\": only revocation can be skipped" $place $validation) }}{{ end }}
{{- end }}
{{- if and $policy.override (eq ($policy.level | default "strict") "skip") }}{{ fail (printf "%s.override has no meaning with the level \"skip\"" $place) }}{{ end }}
{{- end }}
{{- end }}

{{/* A name or version as text: `--set` makes a number of one without letters. */}}
{{- define "countersign.text" -}}
{{- if kindIs "float64" . }}{{ printf "%.0f" . }}{{ else if not (kindIs "invalid" .) }}{{ toString . | trim }}{{ end }}
{{- end }}

{{/* The certificates and keys of the Key Vault, of both values and in both spellings, in one, with the place of each. */}}
{{- define "countersign.vaultObjects" -}}
{{- $old := .Values.akvCertConfig }}
{{- $certificates := list }}
{{- range $number := list "1" "2" }}
{{- with index $old (printf "cert%sName" $number) }}
{{- $certificates = append $certificates (dict "place" (printf "akvCertConfig.cert%sName" $number) "name" (include "countersign.text" .) "version" (include "countersign.text" (index $old (printf "cert%sVersion" $number)))) }}
{{- end }}
{{- end }}
{{- $keys := list }}
{{- range $list := list (list "akvCertConfig.certificates" $old.certificates) (list "azurekeyvault.certificates" .Values.azurekeyvault.certificates) (list "azurekeyvault.keys" .Values.azurekeyvault.keys) }}
{{- range $index, $entry := index $list 1 }}
{{- $place := printf "%s[%d]" (index $list 0) $index }}
{{- $object := dict "place" $place "versionHistoryLimit" (int (index $entry "versionHistoryLimit")) }}
{{- range $name, $older := dict "name" "certificateName" "version" "certificateVersion" }}
{{- $newer := include "countersign.text" (index $entry $name) }}
{{- $former := include "countersign.text" (index $entry $older) }}
{{- if and $newer $former (ne $newer $former) }}
{{- fail (printf "%s: %s and %s mean the same, and say different things: keep one" $place $name $older) }}
{{- end }}
{{- $_ := set $object $name (default $former $newer) }}
{{- end }}
{{- if eq (index $list 0) "azurekeyvault.keys" }}{{ $keys = append $keys $object }}{{ else }}{{ $certificates = append $certificates $object }}{{ end }}
{{- end }}
{{- end }}
{{- dict "certificates" $certificates "keys" $keys | toJson }}
{{- end }}

{{- define "countersign.checkKeyVault" -}}
{{- if include "countersign.hasKeyVault" . }}
{{- $uri := default .Values.akvCertConfig.vaultURI .Values.azurekeyvault.vaultURI | default "" | trim }}
{{- if not (regexMatch "^[Hh][Tt][Tt][Pp][Ss]://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\\.?(:[0-9]+)?/?$" $uri) }}
{{- fail (printf "azurekeyvault.vaultURI is %q: expected the vault's address alone, such as https://NAME.vault.azure.net" ($uri | trunc 80)) }}
{{- end }}
{{- $objects := include "countersign.vaultObjects" . | fromJson }}
{{- if not (or $objects.certificates $objects.keys) }}
{{- fail "azurekeyvault.certificates is empty: name at least one certificate of the vault" }}
{{- end }}
{{- range concat $objects.certificates $objects.keys }}
{{- if not .name }}{{ fail (printf "%s has no name" .place) }}{{ end }}
{{- if not (regexMatch "^[A-Za-z0-9-]{1,127}$" .name) }}
{{- fail (printf "%s has the name %q, which is not one of a key vault: 1 to 127 letters, digits and hyphens" .place (.name | trunc 80)) }}
{{- end }}
{{- if not (regexMatch "^[A-Za-z0-9]{0,64}$" .version) }}
{{- fail (printf "%s has the version %q, which is not one of a key vault: letters and digits" .place (.version | trunc 80)) }}
{{- end }}
{{- end }}
{{- if regexMatch "^0*[0-9]{1,3}(\\.[0-9]+)?(ms|us|µs|ns)$" (.Values.azurekeyvault.refreshInterval | default "") }}
{{- fail (printf "azurekeyvault.refreshInterval is %q: at least 1s" .Values.azurekeyvault.refreshInterval) }}
{{- end }}
{{- end }}
{{- end }}
