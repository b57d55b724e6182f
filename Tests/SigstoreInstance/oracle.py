"""What PyPI `sigstore` says of bundles, those that make.py made or changed ones.

Usage: oracle.py DIRECTORY CASES ANSWERS. CASES is JSON: a list of objects with `bundle` (a path), `root` (a trusted
root's path), `artifact` (a path), `identity` and `issuer`; paths from DIRECTORY on. ANSWERS is a list of as many texts:
empty where the bundle is verified, else the kind of the error and what it says.
"""
import json
import logging
import os
import sys

from sigstore import dsse
from sigstore._utils import sha256_digest
from sigstore.errors import VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity


def verify(verifier, bundle, artifact, policy):
    """As its command does it (`sigstore verify identity`)."""
    bundle = Bundle.from_json(bundle)
    digest = sha256_digest(artifact)
    if not bundle._dsse_envelope:
        verifier.verify_artifact(digest, bundle, policy)
        return
    kind, payload = verifier.verify_dsse(bundle, policy)
    if kind != dsse.Envelope._TYPE:
        raise VerificationError(f"expected JSON payload for DSSE, got {kind}")
    if not dsse.Statement(payload)._matches_digest(digest):
        raise VerificationError("in-toto statement has no subject for the digest")


def main(directory, cases, answers):
    logging.disable(logging.CRITICAL)
    contents = {}

    def content(path):
        if path not in contents:
            with open(os.path.join(directory, path), "rb") as file:
                contents[path] = file.read()
        return contents[path]

    verifiers = {}
    results = []
    with open(cases, encoding="utf-8") as file:
        table = json.load(file)
    for case in table:
        root = case["root"]
        if root not in verifiers:
            verifiers[root] = Verifier(trusted_root=TrustedRoot.from_file(os.path.join(directory, root)))
        try:
            policy = Identity(identity=case["identity"], issuer=case["issuer"])
            verify(verifiers[root], content(case["bundle"]), content(case["artifact"]), policy)
            results.append("")
        except Exception as error:  # whatever it is, the bundle is not verified
            results.append(f"{type(error).__name__}: {error}"[:300])
    with open(answers, "w", encoding="utf-8") as file:
        json.dump(results, file)


main(*sys.argv[1:])
