"""Images that cosign signed, for the demo: with a key and without one, rightly and wrongly.

They and the Sigstore instance that they were signed in are made by Tests/SigstoreInstance, with Python and OpenSSL.
"""

import json
import pathlib
import shutil
import subprocess
import sys

MAKER = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "SigstoreInstance" / "make.py"
REPOSITORY = "registry.example/app"
SIGNATURE_TYPE = "application/vnd.dev.cosign.artifact.sig.v1+json"
WORKFLOW = "https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"

# tag, what was done to it, must it be admitted, a word that its explanation must have
BY_KEY = [
    ("legacy-key", "cosign 2, by our key", True, "our-key"),
    ("bundle-key", "cosign 3, by our key", True, "our-key"),
    ("bundle-key-unlogged", "by our key, but in no log", False, "log"),
    ("bundle-other-image", "the signature of another image", False, "subject"),
    ("bundle-attestation", "a provenance, but no signature", False, "no signature"),
]
KEYLESS = [
    ("legacy-keyless", "cosign 2, by our workflow", True, WORKFLOW),
    ("bundle-keyless", "cosign 3, by our workflow", True, WORKFLOW),
    ("bundle-wrong-identity", "by the workflow of another repository", False, "the name is"),
    ("bundle-unlogged", "by our workflow, but in no log", False, "log"),
    ("bundle-expired-timestamped", "after its certificate expired, in no log", False, "valid"),
]
IMAGES = BY_KEY + KEYLESS


def configuration(directory):
    """Makes the images, and the configuration that trusts our key and our workflow; returns its path."""
    made = directory / "sigstore"
    shutil.rmtree(made, ignore_errors=True)
    result = subprocess.run([sys.executable, "-B", MAKER, made, "images"], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"demo: the Sigstore instance cannot be made:\n{result.stdout}{result.stderr}")

    def scopes(images):
        return [f"{REPOSITORY}:{tag}" for tag, *_ in images]

    policies = [
        {"name": "key", "version": "1.0.0", "scopes": scopes(BY_KEY), "keys": [{"provider": "our-key"}]},
        {"name": "keyless", "version": "1.0.0", "scopes": scopes(KEYLESS),
         "keyless": {"certificateIdentity": WORKFLOW, "certificateOIDCIssuer": ISSUER}},
    ]
    text = json.dumps({
        "store": {"version": "1.0.0", "plugins": [{"name": "oci-layout", "path": str(made / "layout"), "cosignEnabled": True}]},
        "keyManagementProvider": {"plugins": [
            {"name": "our-key", "type": "inline", "contentType": "key",
             "value": (made / "images" / "keys" / "cosign.pub").read_text()},
            {"name": "our-sigstore", "type": "sigstore",
             "trustedRoot": (made / "images" / "trusted_root.json").read_text()}]},
        "verifier": {"version": "1.0.0", "plugins": [{
            "name": "cosign", "artifactTypes": SIGNATURE_TYPE,
            "trustPolicies": [{**policy, "trustedRoot": "our-sigstore"} for policy in policies]}]},
        "policy": {"version": "1.0.0",
                   "plugin": {"name": "configPolicy", "artifactVerificationPolicies": {SIGNATURE_TYPE: "any"}}},
    }, indent=2)
    path = directory / "cosign.json"
    path.write_text(text)
    return path


def signer(report):
    """Who signed, by a report of the cosign verifier: the certificate's identity, or the key's place."""
    for signature in report["extensions"]["signatures"]:
        for verification in signature["verifications"]:
            if verification["isSuccess"]:
                if "certificate" in verification:
                    return verification["certificate"]["identity"]
                return f"the key of {verification['keyInformation']['provider']}"
    return "nobody"
