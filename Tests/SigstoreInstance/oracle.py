"""What PyPI `sigstore` says of bundles, those that make.py made or changed ones.

Usage: oracle.py DIRECTORY CASES ANSWERS [SECONDS]. Each line of CASES is a JSON object with `bundle` and `root` (a trusted
root), each a path from DIRECTORY on or a JSON object itself, `artifact` (a path), `identity` and `issuer`. Each line of
ANSWERS is a JSON text: empty where the bundle is verified, else the kind of the error and what it says. There are fewer
answers than cases when the SECONDS are over before.
"""
import json
import logging
import os
import sys
import time

from sigstore import dsse
from sigstore._utils import sha256_digest
from sigstore.errors import VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity
from sigstore_models.trustroot import v1 as trustroot


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


class Cases:
    """The cases, and what several of them share."""

    def __init__(self, directory):
        self.directory = directory
        self.contents = {}
        self.verifiers = {}

    def content(self, source):
        if not isinstance(source, str):
            return json.dumps(source).encode()
        if source not in self.contents:
            with open(os.path.join(self.directory, source), "rb") as file:
                self.contents[source] = file.read()
        return self.contents[source]

    def verifier(self, source):
        if not isinstance(source, str):
            return Verifier(trusted_root=TrustedRoot(trustroot.TrustedRoot.from_json(self.content(source))))
        if source not in self.verifiers:
            self.verifiers[source] = Verifier(
                trusted_root=TrustedRoot.from_file(os.path.join(self.directory, source)))
        return self.verifiers[source]

    def answer(self, case):
        try:
            policy = Identity(identity=case["identity"], issuer=case["issuer"])
            verify(self.verifier(case["root"]), self.content(case["bundle"]), self.content(case["artifact"]), policy)
            return ""
        except BaseException as error:  # whatever it is, a panic of its Rust too, the bundle is not verified
            return f"{type(error).__name__}: {error}"[:300]


def main(directory, cases, answers, seconds="3600"):
    logging.disable(logging.CRITICAL)
    end = time.monotonic() + float(seconds)
    asked = Cases(directory)
    # What panics print is in no answer.
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with open(cases, encoding="utf-8") as lines, open(answers, "w", encoding="utf-8") as file:
            for line in lines:
                if time.monotonic() > end:
                    break
                file.write(json.dumps(asked.answer(json.loads(line))) + "\n")
    finally:
        os.dup2(stderr, 2)


main(*sys.argv[1:])
