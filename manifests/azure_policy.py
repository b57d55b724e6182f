"""Azure Policy definitions around the ConstraintTemplates of rego/; generate.py writes them to manifests/azure-policy.

Each is what `az policy definition create` takes: mode, parameters, policyRule. The template is in the definition itself
(Base64Encoded), so that nothing has to be reachable at some address for as long as the policy is assigned.
"""

import base64
import json

# Namespaces that an assignment leaves alone unless it says otherwise: the control plane's, Gatekeeper's and this provider's,
# and those of Azure's own extensions.
EXCLUDED_NAMESPACES = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "gatekeeper-system",
    "azure-arc",
    "azure-extensions-usage-system",
    "aks-command",
    "calico-system",
    "tigera-operator",
]

# What is matched: the product of the two lists, and each kind exists in one of the groups only.
API_GROUPS = ["", "apps", "batch"]
KINDS = ["Pod", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"]

LABEL_SELECTOR = {
    "description": "A query over labels: matchLabels and matchExpressions must all hold. An empty one matches everything.",
    "type": "object",
    "properties": {
        "matchLabels": {
            "description": "Labels and the values they must have.",
            "type": "object",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
        },
        "matchExpressions": {
            "description": "Rules about single labels.",
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "key": {"description": "The label.", "type": "string"},
                    "operator": {
                        "description": "How the label relates to the values.",
                        "type": "string",
                        "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                    },
                    "values": {
                        "description": "The values for In and NotIn; empty for Exists and DoesNotExist.",
                        "type": "array",
                        "items": {"type": "string"},
                    },
                },
                "required": ["key", "operator"],
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def parameter(kind, name, description, *, default=..., **more):
    found = {"type": kind, "metadata": {"displayName": name, "description": description}, **more}
    if default is not ...:
        found["defaultValue"] = default
    return found


COMMON = {
    "effect": parameter(
        "String",
        "Effect",
        "Deny: refuse what is not verified. Audit: admit it and report it as non-compliant. Disabled: do nothing.",
        allowedValues=["Deny", "Audit", "Disabled"],
        default="Deny",
    ),
    "excludedNamespaces": parameter(
        "Array",
        "Namespace exclusions",
        "Namespaces that are not looked at. Keep those in the list that the cluster, Gatekeeper and the signature verification service need in order to start.",
        default=EXCLUDED_NAMESPACES,
    ),
    "namespaces": parameter(
        "Array", "Namespace inclusions", "Only these namespaces are looked at. Empty: all that are not excluded.", default=[]
    ),
    "labelSelector": parameter(
        "Object", "Kubernetes label selector", "Only objects with these labels are looked at. Empty: all.", default={}, schema=LABEL_SELECTOR
    ),
    "exemptImages": parameter(
        "Array",
        "Exempt images",
        "Images that are admitted without verification: a whole reference, or a prefix that ends in one * and contains a / or an @. Compared with the image as it is written in the object, but for the registry's spelling.",
        default=[],
    ),
    "maximumImages": parameter(
        "Integer",
        "Maximum of images",
        "How many different images one object may have. One with more is refused before the signature verification service is asked, for the admission webhook does not wait.",
        default=100,
    ),
    "namespacedKeys": parameter(
        "Boolean", "Trust of the namespace", "Trust configuration of the object's namespace applies before the cluster's.", default=False
    ),
}

# File in manifests/azure-policy → the template's directory in rego/, and the parameters that it has beyond the common ones.
DEFINITIONS = {
    "ratify-verification.json": (
        "ratifyverification",
        {
            "requiredVerifierTypes": parameter(
                "Array", "Required verifier types", "Verifier types that each must have passed an image, such as notation.", default=[]
            ),
            "minimumPassingSignatures": parameter(
                "Integer", "Minimum of valid signatures", "How many different signatures of an image must be valid; 0 leaves it to the verification service.", default=0
            ),
        },
    ),
    "notation-issuer-validation.json": (
        "notation-issuer-validation",
        {
            "signers": parameter(
                "Array",
                "Allowed signers",
                "A list of objects with issuer and subject (whole distinguished names), issuerAttributes and subjectAttributes (maps). A valid signature has to agree with all that one of them says.",
            ),
            "requireAllSigners": parameter("Boolean", "Require all signers", "Each entry of the allowed signers needs a valid signature.", default=False),
            "reports": parameter(
                "String",
                "Other signatures",
                "any: other signatures may be there besides. every: there may be none that is not a valid one of an allowed signer.",
                allowedValues=["any", "every"],
                default="any",
            ),
        },
    ),
}


def without_comments(template):
    """The template without comments and empty lines: a third less to carry, and nothing that the API server reads is gone."""
    lines = template.split("\n")
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#")) + "\n"


def definition(template, own):
    parameters = {**COMMON, **own}
    values = [name for name in parameters if name not in ("effect", "excludedNamespaces", "namespaces", "labelSelector")]
    content = base64.b64encode(without_comments(template).encode("utf-8")).decode("ascii")
    found = {
        "mode": "Microsoft.Kubernetes.Data",
        "parameters": parameters,
        "policyRule": {
            "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters", "Microsoft.Kubernetes/connectedClusters"]},
            "then": {
                "effect": "[parameters('effect')]",
                "details": {
                    "templateInfo": {"sourceType": "Base64Encoded", "content": content},
                    "apiGroups": API_GROUPS,
                    "kinds": KINDS,
                    "excludedNamespaces": "[parameters('excludedNamespaces')]",
                    "namespaces": "[parameters('namespaces')]",
                    "labelSelector": "[parameters('labelSelector')]",
                    "values": {name: f"[parameters('{name}')]" for name in values},
                },
            },
        },
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def definitions(constraint_templates):
    """Path → content, for the templates' texts by directory."""
    return {
        f"manifests/azure-policy/{file}": definition(constraint_templates[template], own)
        for file, (template, own) in DEFINITIONS.items()
    }
