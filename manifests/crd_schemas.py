"""The custom resource definitions: what a Store, Verifier, Policy, KeyManagementProvider and CertificateStore may say.

manifests/generate.py writes them to manifests/crds/. Group, kinds, members and versions are those of Ratify 1.4, so that
its resources keep working; the schemas are ours and say more.

Members of `parameters` that are not described here are kept by the API server, not pruned: a misspelt one is then named in
the log instead of vanishing. Members may be null, which is how Helm writes a value that nobody set.
"""

GROUP = "config.ratify.deislabs.io"


def string(description, **more):
    return {"type": "string", "description": description, "nullable": True, **more}


def boolean(description):
    return {"type": "boolean", "description": description, "nullable": True}


def integer(description, **more):
    return {"type": "integer", "description": description, "nullable": True, **more}


def strings(description):
    return {"type": "array", "description": description, "nullable": True, "items": {"type": "string"}}


def objects(description, properties, required=()):
    items = {"type": "object", "properties": properties, "x-kubernetes-preserve-unknown-fields": True}
    if required:
        items["required"] = list(required)
    return {"type": "array", "description": description, "nullable": True, "items": items}


def open_object(description, properties=None, **more):
    """An object with members that are known, and perhaps others."""
    result = {"type": "object", "description": description, **more}
    if properties:
        result["properties"] = properties
    result["x-kubernetes-preserve-unknown-fields"] = True
    return result


def private_addresses(asked):
    return {
        "description": f"Whether {asked} at private addresses: true, or a list of blocks that may be asked, as 10.20.0.0/16. "
        "In cluster resources only.",
        "x-kubernetes-preserve-unknown-fields": True,
    }


def parameters(description, properties):
    return open_object(description, properties, nullable=True)


SOURCE = open_object(
    "Where Ratify would download a plugin from. Plugins are not supported; a type that is not built in is refused in the status.",
    {"artifact": string("The OCI artifact with the plugin.")},
    nullable=True,
)


def plugin(name, description, required, parameters, **more):
    """The spec of a Store or a Verifier."""
    return {
        "type": "object",
        "description": description,
        "required": required,
        "properties": {
            "name": {"type": "string", "minLength": 1, "description": name},
            **more,
            "version": string("The plugin's version. Nothing depends on it."),
            "address": string("Where Ratify would look for a plugin. Nothing depends on it."),
            "source": SOURCE,
            "parameters": parameters,
        },
    }


STORE = plugin(
    "What the store is: oras (registries), or oci-layout (a directory of the provider's pod; in cluster resources only).",
    "Where images and their signatures are looked up.",
    ["name"],
    parameters(
        "How the registries are asked.",
        {
            "useHttp": boolean("Talk HTTP to every registry, without TLS. Not together with Azure identities."),
            "cosignEnabled": boolean("Also look for cosign's signatures at the tag sha256-<hex>.sig of an image: one request more, beside the list of referrers. Bundles, which cosign 3 writes, are referrers and found without it."),
            "cacheEnabled": boolean("Remember lists of referrers and the digests of tags for ttl seconds."),
            "ttl": integer("How many seconds they are remembered; 10 unless set.", minimum=0, maximum=3600),
            "caBundle": string("A PEM file of further certificate authorities in the provider's pod. In cluster resources only."),
            "allowPrivateAddresses": private_addresses("what a registry redirects to, or names for tokens, may be"),
            "tokenRealms": open_object(
                "Other hosts that issue a registry's tokens and may have the credentials for it: {registry.example.com: [gitlab.example.com]}. In resources of a namespace only beside k8Secrets."
            ),
            "path": string("The directory of an oci-layout store."),
            "localCachePath": string("Has no effect: content is kept in memory."),
            "authProvider": open_object(
                "Where credentials come from; without it from the docker configuration of the pod.",
                {
                    "name": string(
                        "dockerConfig, k8Secrets, azureWorkloadIdentity or azureManagedIdentity. Others are refused in the status."
                    ),
                    "configPath": string("dockerConfig: a config.json, or a directory with one. In cluster resources only."),
                    "clientID": string("Azure: the client id of the identity."),
                    "tenantID": string("Azure: the tenant of the identity."),
                    "endpoints": strings("Azure: the registries that get a token, as names or *.domain; by default the clouds' own."),
                    "serviceAccountName": string("k8Secrets: whose image pull secrets are used."),
                    "secrets": objects(
                        "k8Secrets: secrets of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg.",
                        {
                            "secretName": string("The secret's name."),
                            "namespace": string("Its namespace."),
                        },
                    ),
                    "secretTimeout": integer("k8Secrets: how many seconds secrets are remembered.", minimum=1, maximum=2592000),
                },
                nullable=True,
            ),
        },
    ),
)

TRUST_POLICY = open_object(
    "A Notary Project trust policy document: whose signatures count for which repositories.",
    {
        "version": string('The version of the document: "1.0".'),
        "trustPolicies": objects(
            "The statements; the one that names the repository applies, else the one with the scope *.",
            {
                "name": string("The statement's name, shown in reports."),
                "registryScopes": strings('Repositories as registry/path, or "*".'),
                "signatureVerification": open_object(
                    "How strict it is.",
                    {
                        "level": string("strict, permissive, audit or skip.", enum=["strict", "permissive", "audit", "skip", None]),
                        "verifyTimestamp": string("When timestamps are verified.", enum=["always", "afterCertExpiry", None]),
                        "override": {
                            "type": "object",
                            "nullable": True,
                            "description": "Other actions for single validations: authenticity, authenticTimestamp, expiry, revocation.",
                            "additionalProperties": {"type": "string", "enum": ["enforce", "log", "skip"]},
                        },
                    },
                ),
                "trustStores": strings('Trust stores as type:name, "ca:release" for instance; types are ca, signingAuthority, tsa.'),
                "trustedIdentities": strings('"x509.subject: C=…, ST=…, O=…", or "*".'),
            },
            required=["name", "registryScopes", "signatureVerification"],
        ),
    },
    nullable=True,
)


def texts(description):
    """A map of texts."""
    return {"type": "object", "description": description, "nullable": True, "additionalProperties": {"type": "string"}}


# Of a certificate of Fulcio's; of the identity and of the issuer exactly one form.
IDENTITY = {
    "certificateIdentity": string("The identity in the certificate, whole: an e-mail address, or the URI of a workflow with its ref."),
    "certificateIdentityRegExp": string("In its place an expression that must match all of the identity."),
    "certificateOIDCIssuer": string("Who vouched for the identity, whole: https://token.actions.githubusercontent.com for instance."),
    "certificateOIDCIssuerRegExp": string("In its place an expression that must match all of the issuer."),
    "extensions": texts(
        "Extensions of Fulcio that the certificate must have with these values: sourceRepositoryURI, sourceRepositoryRef, buildTrigger and so "
        "on; with RegExp behind the name an expression that must match all of the value."
    ),
}

COSIGN_TRUST_POLICIES = objects(
    "cosign: whose signatures count for which images. The policy whose scope fits the image applies. Each has either keys or keyless.",
    {
        "name": string("The policy's name, shown in reports. Each has another.", minLength=1),
        "version": string("1.0.0, also unless set.", enum=["1.0.0", "", None]),
        "scopes": strings("Images: a reference, the beginning of references followed by *, or * alone for all others. No two scopes may overlap."),
        "keys": objects(
            "Public keys, of which one must have signed.",
            {
                "provider": string(
                    "A KeyManagementProvider with keys, or namespace/name of a NamespacedKeyManagementProvider in the request's own namespace."
                ),
                "name": string("One of its keys; all of them unless set."),
                "version": string("That key's version; all of them unless set. Only beside name."),
                "file": string("In place of a provider a file with a public key in PEM, in the provider's pod. In cluster resources only."),
            },
        ),
        "keyless": open_object(
            "Who must have signed with a certificate of Fulcio's: one identity in these members, or several in identities, to which extensions applies as well.",
            {
                **IDENTITY,
                "identities": objects("Identities of which one must have signed.", IDENTITY),
                "ctLogVerify": boolean("Whether the certificate must be in a certificate transparency log; true unless set."),
            },
            nullable=True,
        ),
        "tLogVerify": boolean("Whether the signature must be in a transparency log; true unless set."),
        "rekorURL": string("The transparency log. Another one than the public one needs the trustedRoot that has its key."),
        "trustedRoot": string(
            "A KeyManagementProvider of type sigstore: the authorities and logs that count. Unless set the public good instance's, as compiled in."
        ),
        "annotations": texts("Annotations that must be in what was signed, with these values."),
        "tLogThreshold": integer("How many transparency logs must have the signature; 1 unless set.", minimum=1, maximum=10),
        "ctLogThreshold": integer("How many certificate transparency logs must have the certificate; 1 unless set.", minimum=1, maximum=10),
        "timestampThreshold": integer("How many timestamp authorities must have signed the time; 0 unless set.", minimum=0, maximum=10),
        "signatureThreshold": integer("How many of the keys or identities must have signed; 1 unless set.", minimum=1, maximum=10),
    },
    required=["name", "scopes"],
)

VERIFIER = plugin(
    "What the verifier is, unless type says so: notation or cosign.",
    "Who judges signatures, and by which rules.",
    ["name", "artifactTypes"],
    parameters(
        "The rules.",
        {
            "trustPolicies": COSIGN_TRUST_POLICIES,
            "key": string(
                "cosign, the older form: a file with the public key in the provider's pod, for all images. In cluster resources only."
            ),
            "rekorURL": string("cosign, the older form: the transparency log that must have the signature; without it none is asked for."),
            "trustPolicyDoc": TRUST_POLICY,
            "verificationCertStores": {
                "type": "object",
                "nullable": True,
                "description": (
                    "Where the certificates of the trust stores come from. By type, {ca: {store: [provider]}} with the types ca, "
                    "signingAuthority and tsa; or {store: [provider]}, which means ca. A provider is the name of a "
                    "KeyManagementProvider, or namespace/name of a NamespacedKeyManagementProvider in the request's own namespace."
                ),
                "additionalProperties": {
                    "x-kubernetes-preserve-unknown-fields": True,
                    "description": "A list of providers, or an object of such lists by the name of the store.",
                },
            },
            "verificationCerts": strings(
                "Files or directories with certificates in the provider's pod, for trust stores that are not named above. "
                "In cluster resources only."
            ),
            "revocation": open_object(
                "How revocation is checked.",
                {
                    "ocspTimeout": integer("Milliseconds that one OCSP responder may take.", minimum=1, maximum=60000),
                    "crlTimeout": integer("Milliseconds that one revocation list may take.", minimum=1, maximum=60000),
                    "cacheBytes": integer("How many bytes of verified answers the whole process keeps. In cluster resources only.", minimum=0),
                    "maximumAge": integer(
                        "Milliseconds after which an answer or a list is asked for again, whatever its nextUpdate says; a day unless set. "
                        "In cluster resources only.",
                        minimum=1000,
                        maximum=2592000000,
                    ),
                    "allowPrivateAddresses": private_addresses("the responders and lists that certificates name may be"),
                },
                nullable=True,
            ),
            "nestedReferences": {
                "description": "Names verifiers of nested artifacts in Ratify. Has no effect.",
                "x-kubernetes-preserve-unknown-fields": True,
            },
        },
    ),
    type=string("What the verifier is: notation or cosign. By default the name says so."),
    artifactTypes={
        "type": "string",
        "minLength": 1,
        "description": 'The artifact types that it judges, separated by commas: "application/vnd.cncf.notary.signature" for notation, '
        '"application/vnd.dev.cosign.artifact.sig.v1+json" for cosign; "*" is all.',
    },
)

POLICY = {
    "type": "object",
    "description": "What the outcomes mean for the image. Only the policy with the name ratify-policy is in force.",
    "properties": {
        "type": string("config-policy. A rego-policy is refused in the status: Gatekeeper evaluates Rego, on the reports of every answer."),
        "parameters": parameters(
            "The rules.",
            {
                "artifactVerificationPolicies": {
                    "type": "object",
                    "nullable": True,
                    "description": "By artifact type, or default: must any of its artifacts verify, or all of them. A type that is named must be there.",
                    "additionalProperties": {"type": "string", "enum": ["any", "all"]},
                },
                "signedBy": string(
                    "Which digests of an image for several platforms must be signed: each manifest, the index, or either of them. "
                    "By default the digest that was asked for.",
                    enum=["manifest", "index", "either", None],
                ),
                "passthroughEnabled": boolean("Answers without a verdict, in Ratify. True is refused in the status."),
                "policy": string("The Rego of a rego-policy."),
                "policyPath": string("A file with the Rego of a rego-policy."),
            },
        ),
    },
}

KEY_MANAGEMENT_PROVIDER = {
    "type": "object",
    "description": "Where trusted certificates come from.",
    "properties": {
        "type": string("inline, azurekeyvault, sigstore, or files (in cluster resources only)."),
        "refreshInterval": {
            "type": "string",
            "default": "",
            "description": "How often the source is asked again, as 1h30m; units are ns, us, ms, s, m and h.",
        },
        "parameters": parameters(
            "Where exactly.",
            {
                "contentType": string("inline: certificate, or key.", enum=["certificate", "key", None]),
                "value": string("inline: certificates in PEM."),
                "paths": strings("files: files or directories in the provider's pod."),
                "vaultURI": string("azurekeyvault: the vault, https://NAME.vault.azure.net."),
                "tenantID": string("azurekeyvault: the tenant of the identity."),
                "clientID": string("azurekeyvault: the client id of the identity."),
                "certificates": objects(
                    "azurekeyvault: the certificates.",
                    {
                        "name": string("The certificate's name."),
                        "version": string("Its version; the newest unless set."),
                        "certificateName": string("The same as name, as before Ratify 1.2."),
                        "certificateVersion": string("The same as version, as before Ratify 1.2."),
                        "versionHistoryLimit": integer("How many of the newest versions are trusted.", minimum=0),
                    },
                ),
                "keys": objects(
                    "azurekeyvault: the keys.",
                    {"name": string("The key's name."), "version": string("Its version; the newest unless set.")},
                ),
                "instance": string(
                    "sigstore: the instance whose trusted root is fetched (TUF): public-good (unless set) or github.",
                    enum=["public-good", "github", None],
                ),
                "tufURL": string("sigstore: another TUF repository, https: a mirror of the instance, or with tufRoot of another one. In cluster resources only."),
                "tufRoot": string("sigstore: the content of that repository's root.json, in place of instance."),
                "stateDirectory": string("sigstore: a directory of the provider's pod that keeps what was seen of the TUF repository. In cluster resources only."),
                "trustedRoot": string("sigstore: the content of a trusted_root.json; nothing is fetched."),
                "trustedRootFile": string("sigstore: such a file in the provider's pod, read again when it changes. In cluster resources only."),
                "fulcioCertificates": string("sigstore: in place of a trusted root, authorities of signing certificates in PEM."),
                "rekorKeys": string("sigstore: beside them, keys of transparency logs (Rekor v1) in PEM."),
                "ctLogKeys": string("sigstore: beside them, keys of certificate transparency logs in PEM."),
                "timestampCertificates": string("sigstore: beside them, timestamp authorities with the certificates above them, in PEM."),
                "caBundle": string("azurekeyvault, sigstore: a file of the provider's pod with authorities in PEM that the server's certificate may be of, beside the system's. In cluster resources only."),
            },
        ),
    },
}

CERTIFICATE_STORE = {
    "type": "object",
    "description": "Where trusted certificates come from, as before Ratify 1.2. Use a KeyManagementProvider.",
    "properties": {
        "provider": string("inline or azurekeyvault."),
        "parameters": parameters(
            "Where exactly; every value is text.",
            {
                "value": string("inline: certificates in PEM."),
                "vaultURI": string("azurekeyvault: the vault, https://NAME.vault.azure.net."),
                "tenantID": string("azurekeyvault: the tenant of the identity."),
                "clientID": string("azurekeyvault: the client id of the identity."),
                "certificates": string(
                    "azurekeyvault: YAML with a member array, a list of YAML texts with certificateName and certificateVersion (or name and version)."
                ),
            },
        ),
    },
}


def status(fetches):
    properties = {
        "issuccess": {"type": "boolean", "description": "Whether this version of the resource is in force, with nothing missing."},
        "error": {"type": "string", "description": "What is wrong, and what is in force instead."},
        "brieferror": {"type": "string", "description": "The beginning of the error, for a table."},
    }
    if fetches:
        properties["lastfetchedtime"] = {
            "type": "string",
            "format": "date-time",
            "description": "When the source was last read with success. Written every few minutes, not with every read.",
        }
        properties["properties"] = open_object("What the source has: one entry for each certificate and key.")
    return {"type": "object", "description": "How it is doing.", "required": ["issuccess"], "properties": properties}


def version(name, description, spec, status_schema, columns, is_old):
    result = {"name": name, "served": True, "storage": not is_old}
    if is_old:
        result["deprecated"] = True
        result["deprecationWarning"] = f"{GROUP}/v1alpha1 is deprecated; use v1beta1"
    result["schema"] = {
        "openAPIV3Schema": {
            "type": "object",
            "description": description,
            "properties": {
                "apiVersion": {"type": "string", "description": "The group and version of this object."},
                "kind": {"type": "string", "description": "The kind of this object."},
                "metadata": {"type": "object"},
                "spec": spec,
                "status": status_schema,
            },
        }
    }
    result["subresources"] = {"status": {}}
    if not is_old:
        result["additionalPrinterColumns"] = columns
    return result


def definition(kind, plural, namespaced, description, spec, fetches, has_v1alpha1):
    columns = [
        {"name": "IsSuccess", "type": "boolean", "jsonPath": ".status.issuccess"},
        {"name": "Error", "type": "string", "jsonPath": ".status.brieferror"},
    ]
    if fetches:
        columns.append({"name": "LastFetchedTime", "type": "date", "jsonPath": ".status.lastfetchedtime"})
    versions = [version("v1beta1", description, spec, status(fetches), columns, False)]
    if has_v1alpha1:
        # The same members; objects of this version say less, and none is required.
        loose = {key: value for key, value in spec.items() if key != "required"}
        versions.append(version("v1alpha1", description, loose, status(fetches), columns, True))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "categories": ["countersign"],
            },
            "scope": "Namespaced" if namespaced else "Cluster",
            "conversion": {"strategy": "None"},
            "versions": versions,
        },
    }


def definitions():
    """Every definition by the name of its file."""
    kinds = [
        ("Store", "stores", "Where images and their signatures are looked up", STORE, False, True),
        ("Verifier", "verifiers", "Who judges signatures", VERIFIER, False, True),
        ("Policy", "policies", "What the outcomes mean for an image", POLICY, False, True),
        ("KeyManagementProvider", "keymanagementproviders", "Where trusted certificates come from", KEY_MANAGEMENT_PROVIDER, True, False),
    ]
    result = {}
    for kind, plural, description, spec, fetches, has_v1alpha1 in kinds:
        result[kind.lower()] = definition(kind, plural, False, f"{description}, in the whole cluster.", spec, fetches, has_v1alpha1)
        result["namespaced" + kind.lower()] = definition(
            f"Namespaced{kind}", f"namespaced{plural}", True, f"{description}, for one namespace.", spec, fetches, False
        )
    result["certificatestore"] = definition(
        "CertificateStore", "certificatestores", True, "Where trusted certificates come from, as before Ratify 1.2.",
        CERTIFICATE_STORE, True, True,
    )
    return result
