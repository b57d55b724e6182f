"""Good bundles of all forms, by key and by certificate, each with what must be asked for to verify it."""
import hashlib
import json
import os

import der
from certificates import CODE_SIGNING, authority
from instance import BEGINNING, END, IDENTITY, ISSUER, NOW, PAST, Instance, Signer, bundle, statement, witness
from openssl import Key, kept_key

ARTIFACT = b"the artifact of the bundles\n"
OTHER_ARTIFACT = b"another artifact\n"
DIGEST = hashlib.sha256(ARTIFACT).hexdigest()
KINDS = ["p256", "p384", "p521", "ed25519", "rsa2048", "rsa3072", "rsa4096"]
PROVENANCE = "https://slsa.dev/provenance/v1"
# The certificates of signatures with timestamps are from a minute before the machine's time on.
RECENT = NOW - 60


# Why PyPI `sigstore` does not verify a bundle that is good here.
HASHES = "it verifies ECDSA with SHA-256 only"
IN_TOTO_TIME = "it takes no time from an entry of the kind intoto"
DSSE_2 = "it does not know the kind dsse 0.0.2"
ONE_ENTRY = "it wants exactly one log entry"
OTHER_NAME = "it compares the DER encoding of an otherName, not the text in it"
CHAIN = "it does not use the certificates that a bundle brings along"
SORTED = "it wants the certificates of a timestamp in DER order, in which openssl does not write them"


class Bundles:
    """What is made, in the order in which it is made."""

    def __init__(self, directory):
        self.directory = directory
        self.table = []
        os.makedirs(os.path.join(directory, "bundles"))
        os.makedirs(os.path.join(directory, "keys"))
        for name, content in [("artifact", ARTIFACT), ("other-artifact", OTHER_ARTIFACT)]:
            self._write(name, content)

    def _write(self, path, content):
        with open(os.path.join(self.directory, path), "wb") as file:
            file.write(content)

    def add(self, name, instance, signer, identity=IDENTITY, issuer=ISSUER, policy=None, is_statement=False, other=False,
            differs=None, **how):
        """One bundle, and its line in the table; `other` is one over the other artifact."""
        artifact_name, artifact = ("other-artifact", OTHER_ARTIFACT) if other else ("artifact", ARTIFACT)
        payload = statement(hashlib.sha256(artifact).hexdigest(), PROVENANCE, name=artifact_name) if is_statement else None
        made = bundle(instance, signer, None if is_statement else artifact, payload, **how)
        self._write(f"bundles/{name}.json", json.dumps(made).encode())
        line = {
            "name": name, "instance": instance.name, "artifact": artifact_name, "policy": policy or {}, "differs": differs,
        }
        if signer.is_certificate:
            line.update(identity=identity, issuer=issuer)
        else:
            line["key"] = f"keys/{name}.pub"
            self._write(line["key"], signer.pem)
        self.table.append(line)


def kinds_of_keys(b, instance):
    """Each kind of key: by certificate and managed; over the artifact and in a statement; in both logs."""
    # The large ones last: they are being made meanwhile.
    for kind in KINDS:
        key = kept_key(kind)
        for way in ("certificate", "key"):
            differs = HASHES if way == "certificate" and kind != "p256" else None
            def signer(time, key=key, way=way):
                return instance.signer(key, time) if way == "certificate" else Signer(key)
            # Ed25519 signs no hash: Rekor has its signatures in statements only.
            if kind != "ed25519":
                b.add(f"{kind}-{way}-message-rekor1", instance, signer(PAST), differs=differs)
                b.add(f"{kind}-{way}-message-rekor2", instance, signer(RECENT), logs=["rekor2/hashedrekord"], stamps=[1],
                  differs=differs)
            b.add(f"{kind}-{way}-statement-rekor1", instance, signer(PAST), is_statement=True, logs=["rekor1/dsse"],
                  differs=differs)
            b.add(f"{kind}-{way}-statement-rekor2", instance, signer(RECENT), is_statement=True,
                  logs=["rekor2/dsse" if kind == "ed25519" else "rekor2/hashedrekord"], stamps=[1],
                  differs=differs)
    for kind in ("p384", "p521"):
        # As cosign signs with such keys.
        key = Signer(Key(kind))
        b.add(f"{kind}-key-with-sha256", instance, key, hash="sha256")
        b.add(f"{kind}-key-with-sha256-statement", instance, key, hash="sha256", is_statement=True, logs=["rekor1/dsse"])
    b.add("rsa2048-key-with-pss", instance, Signer(kept_key("rsa2048")), pss=True)


def versions(b, instance):
    """Each version of the format."""
    key = Signer(Key())
    for version in ("0.1", "0.2", "0.3", "0.3 by parameter"):
        name = version.replace(" ", "-")
        for way, signer in [("certificate", instance.signer()), ("key", key)]:
            b.add(f"version-{name}-{way}", instance, signer, version=version)
            b.add(f"version-{name}-{way}-statement", instance, signer, version=version, is_statement=True,
                  logs=["rekor1/dsse"])
            b.add(f"version-{name}-{way}-intoto", instance, signer, version=version, is_statement=True,
                  logs=["rekor1/intoto"], differs=IN_TOTO_TIME)


def proofs(b, instance):
    """What proves time and inclusion, in all combinations."""
    recent = instance.signer(time=RECENT)
    for name, logs, stamps in [
        ("both-logs", ["rekor1/hashedrekord", "rekor2/hashedrekord"], [1]),
        ("two-timestamps", ["rekor2/hashedrekord"], [1, 2]),
        ("two-timestamps-of-one-authority", ["rekor2/hashedrekord"], [1, 1]),
        ("timestamp-beside-promise", ["rekor1/hashedrekord"], [2]),
        ("two-entries-of-one-log", ["rekor1/hashedrekord", "rekor1/hashedrekord"], [1]),
    ]:
        b.add(name, instance, recent, logs=logs, stamps=stamps, time=NOW, differs=ONE_ENTRY if len(logs) > 1 else None)
    for certificates in ("none", "chain"):
        b.add(f"timestamp-certificates-{certificates}", instance, recent, logs=["rekor2/hashedrekord"], stamps=[1],
              certificates=certificates, differs=SORTED if certificates == "chain" else None)
    b.add("dsse-in-rekor2", instance, recent, is_statement=True, logs=["rekor2/dsse"], stamps=[1],
          differs=DSSE_2)
    b.add("no-log", instance, recent, logs=[], stamps=[1], policy={"logThreshold": 0, "timestampThreshold": 1},
          differs=ONE_ENTRY)
    b.add("thresholds", instance, recent, logs=["rekor1/hashedrekord", "rekor2/hashedrekord"], stamps=[1, 2], time=NOW,
          policy={"logThreshold": 2, "timestampThreshold": 2}, differs=ONE_ENTRY)
    b.add("key-without-hint", instance, Signer(Key()), hint=False)
    b.add("no-digest", instance, instance.signer(), digest=False)
    instance.rekor2.witnesses, verifier = (lambda pair: ([pair[0]], pair[1]))(witness("witness.example", Key("ed25519")))
    b.add("witness", instance, recent, logs=["rekor2/hashedrekord"], stamps=[1],
          policy={"witnesses": [verifier], "witnessThreshold": 1})
    instance.rekor2.witnesses = []


def names(b, instance):
    """Each kind of name and issuer in a certificate, and a chain with one more authority in the bundle."""
    for kind, name in [("uri", "spiffe://example.org/ns/build"), ("email", "someone@example.org"), ("other", "someone!")]:
        b.add(f"name-{kind}", instance, instance.signer(name=(kind, name), issuer="https://accounts.example"),
              identity=name, issuer="https://accounts.example", differs=OTHER_NAME if kind == "other" else None)
    b.add("issuer-in-the-older-extension-only", instance, instance.signer(has_new_issuer=False))
    b.add("no-further-extensions", instance, instance.signer(extensions={}))
    between = authority(
        der.name(f"{instance.name}.example", "between"), Key("p384"), (BEGINNING, END), instance.open, 0, CODE_SIGNING)
    b.add("chain-in-the-bundle", instance, instance.signer(fulcio=between), version="0.2", chain=[between],
          differs=CHAIN)


def make(directory):
    first = Instance("first", os.path.join(directory, "first"))
    # An authority of the trusted root below which there may be others.
    first.open = authority(
        der.name("first.example", "sigstore-open"), Key("p384"), (BEGINNING, END), first.root, 1, CODE_SIGNING)
    first.more_authorities = [first.open]
    second = Instance(
        "second", os.path.join(directory, "second"), ("rsa2048", "p256", "rsa2048", "p384", "p256", "p384"))
    b = Bundles(directory)
    kinds_of_keys(b, first)
    versions(b, first)
    proofs(b, first)
    names(b, first)
    # What another instance makes, and what is made over another artifact: to be swapped with.
    for instance in (first, second):
        other = instance is first
        for way, signer in [("certificate", instance.signer), ("key", lambda **_: Signer(Key()))]:
            name = f"{'other-artifact' if other else 'second'}-{way}"
            b.add(f"{name}-rekor1", instance, signer(), other=other)
            b.add(f"{name}-statement", instance, signer(), other=other, is_statement=True, logs=["rekor1/dsse"])
            b.add(f"{name}-rekor2", instance, signer(time=RECENT), other=other, logs=["rekor2/hashedrekord"], stamps=[1])
    for instance in (first, second):
        instance.write_trusted_root()
    with open(os.path.join(directory, "bundles.json"), "w", encoding="utf-8") as file:
        json.dump({"bundles": b.table}, file, indent=1)
