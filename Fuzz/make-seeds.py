#!/usr/bin/env python3
"""Writes what the corpus of observed signatures has for each fuzz target: make-seeds.py CORPUS.tar.xz DIRECTORY.

One file per distinct content, in DIRECTORY/TARGET/. The hand-written seeds are in Fuzz/seeds and are not copied.
"""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile

# Enough of each: libFuzzer reads every seed at each start, and many differ only in a key.
MOST = 150
LARGEST = 32 << 10


class Seeds:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.names = {}

    def add(self, target, content):
        if isinstance(content, str):
            content = content.encode()
        name = hashlib.sha256(content).hexdigest()[:16]
        folder = self.directory / target
        folder.mkdir(parents=True, exist_ok=True)
        written = self.names.setdefault(target, set())
        if 0 < len(content) <= LARGEST and len(written) < MOST and name not in written:
            (folder / name).write_bytes(content)
            written.add(name)


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def der_parts(content):
    """The top-level DER elements with a two- or three-byte length that begin anywhere in the content."""
    position = 0
    while (position := content.find(b"\x30\x82", position)) >= 0:
        length = 4 + int.from_bytes(content[position + 2 : position + 4], "big")
        part = content[position : position + length]
        if len(part) == length:
            yield part
            position += length
        else:
            position += 1


def names(certificate):
    """Distinguished names in a certificate: sequences of sets of one attribute type 2.5.4."""
    for match in re.finditer(rb"\x30(.)\x31.\x30.\x06\x03\x55\x04", certificate, re.S):
        length = match.group(1)[0]
        if length < 0x80:
            yield certificate[match.start() : match.start() + 2 + length]


def certificate(seeds, der):
    seeds.add("certificate", der)
    for name in names(der):
        seeds.add("name", name)


def envelope(seeds, content):
    if content.lstrip()[:1] == b"{":
        seeds.add("jws", content)
        try:
            document = json.loads(content)
            payload = document["payload"]
            seeds.add("payload", decoded(payload))
            seeds.add("json", decoded(document["protected"]))
            for text in document.get("header", {}).get("x5c", []):
                certificate(seeds, base64.b64decode(text))
            seeds.add("timestamp", base64.b64decode(document["header"]["io.cncf.notary.timestampSignature"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        return
    seeds.add("cose", content)
    seeds.add("cbor", content)
    # The protected headers are CBOR inside a byte string: the second item of the tagged array.
    if content[:2] == b"\xd2\x84" and len(content) > 5:
        kind, start = content[2], 3
        length = kind & 0x1F
        if length in (24, 25):
            size = length - 23
            length = int.from_bytes(content[start : start + size], "big")
            start += size
        seeds.add("cbor", content[start : start + length])
    for part in der_parts(content):
        certificate(seeds, part)
    start = content.find(b'{"targetArtifact"')
    if start >= 0:
        try:
            text = content[start:].decode("latin-1")
            _, end = json.JSONDecoder().raw_decode(text)
            seeds.add("payload", text[:end].encode("latin-1"))
        except ValueError:
            pass


def keys(seeds):
    """Private keys of the moment: a key in a repository is a key that somebody uses."""
    for arguments in (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["ED25519"]):
        command = ["openssl", "genpkey", "-algorithm", *arguments]
        pem = subprocess.run(command, capture_output=True, check=True).stdout
        seeds.add("private-key", pem)
        seeds.add("private-key", base64.b64decode(b"".join(pem.splitlines()[1:-1])))


def policy(seeds, document):
    seeds.add("trust-policy", document)
    for identity in re.findall(r"x509\.subject:\s*((?:[^\"\\]|\\.)*)", document):
        try:
            seeds.add("policy-name", json.loads(f'"{identity}"'))
        except ValueError:
            pass


def sigstore(seeds):
    """Bundles and trusted roots of Tests/Fixtures/sigstore, and what is in them."""
    archive = pathlib.Path(__file__).resolve().parent.parent / "Tests/Fixtures/sigstore/cases.tar.xz"
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    for name, content in sorted(files.items()):
        if name.endswith("trusted_root.json"):
            seeds.add("trusted-root", content)
        if not (name.endswith("sigstore.json") or name.endswith("undle.json")):
            continue
        seeds.add("bundle", content)
        try:
            bundle = json.loads(content)
        except ValueError:
            continue
        material = bundle["verificationMaterial"]
        chain = material.get("x509CertificateChain", {}).get("certificates", []) + [material.get("certificate", {})]
        for item in chain:
            seeds.add("sct", base64.b64decode(item.get("rawBytes", "")))
        for entry in material.get("tlogEntries", []):
            seeds.add("rekor-entry", base64.b64decode(entry["canonicalizedBody"]))
            seeds.add("checkpoint", entry.get("inclusionProof", {}).get("checkpoint", {}).get("envelope", ""))
        layer(seeds, bundle)
        if envelope := bundle.get("dsseEnvelope"):
            seeds.add("dsse", json.dumps(envelope))
            seeds.add("dsse", base64.b64decode(envelope["payload"]))


def layer(seeds, bundle):
    """What a bundle has, as cosign's annotations of a layer."""
    payload = {
        "critical": {
            "identity": {"docker-reference": "registry.example/app"},
            "image": {"docker-manifest-digest": "sha256:" + 64 * "0"}, "type": "cosign container image signature",
        }, "optional": {"team": "payments"},
    }
    seeds.add("simple-signing", json.dumps(payload))
    names = "dev.sigstore.cosign/"
    material = bundle["verificationMaterial"]
    texts = {
        "payload": json.dumps(payload),
        "dev.cosignproject.cosign/signature": bundle.get("messageSignature", {}).get("signature", "AAAA"),
    }
    chain = material.get("x509CertificateChain", {}).get("certificates", []) + [material.get("certificate", {})]
    for item in chain:
        if der := item.get("rawBytes"):
            texts[names + "certificate"] = f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"
    for entry in material.get("tlogEntries", []):
        texts[names + "bundle"] = json.dumps(
            {
                "SignedEntryTimestamp": entry.get("inclusionPromise", {}).get("signedEntryTimestamp", "AAAA"),
                "Payload": {
                    "body": entry["canonicalizedBody"], "integratedTime": int(entry.get("integratedTime", 0)),
                    "logIndex": int(entry["logIndex"]), "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
                },
            }
        )
    for stamp in material.get("timestampVerificationData", {}).get("rfc3161Timestamps", []):
        texts[names + "rfc3161timestamp"] = json.dumps({"SignedRFC3161Timestamp": stamp["signedTimestamp"]})
    seeds.add("cosign-layer", json.dumps(texts))


def main():
    archive, directory = sys.argv[1:]
    seeds = Seeds(directory)
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                files[str(pathlib.PurePosixPath(member.name))] = tar.extractfile(member).read()

    def under(folder):
        return {name: content for name, content in sorted(files.items()) if name.startswith(folder + "/")}

    salt, nonce, box = (base64.b64encode(bytes(count)).decode() for count in (32, 24, 64))
    seeds.add("cosign-key", json.dumps({
        "kdf": {"name": "scrypt", "params": {"N": 65536, "r": 8, "p": 1}, "salt": salt},
        "cipher": {"name": "nacl/secretbox", "nonce": nonce}, "ciphertext": box,
    }))
    blobs = {name.rsplit("/", 1)[-1]: content for name, content in under("layout/blobs/sha256").items()}
    index = json.loads(files["index.json"])
    for case in index["cases"]:
        for descriptor in [case["image"]] + [s["manifest"] for s in case["signatures"]]:
            blob = blobs.get(descriptor["digest"].split(":")[1])
            if blob:
                seeds.add("index" if "index" in descriptor["mediaType"] else "manifest", blob)
        seeds.add("reference", f"registry.example:5000/{case['id'].lower()}@{case['image']['digest']}")
        for signature in case["signatures"]:
            blob = blobs.get(signature.get("envelope", {}).get("digest", ":").split(":")[1])
            if blob:
                envelope(seeds, blob)
    seeds.add("index", under("layout").get("layout/index.json", b""))
    for name, content in under("truststore").items():
        seeds.add("pem" if b"-----BEGIN" in content else "certificate", content)
        for block in re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", content, re.S):
            certificate(seeds, base64.b64decode(block))
    for content in under("policies").values():
        policy(seeds, content.decode())
    vectors = json.loads(files["policy-vectors.json"])
    for vector in vectors["documents"] + vectors["selection"]:
        policy(seeds, vector["document"])
    for name, content in under("revocation").items():
        if name.endswith(".crl"):
            seeds.add("crl", content)
        elif name.endswith(".ocsp"):
            seeds.add("ocsp", content)
    sigstore(seeds)
    if not (seeds.directory / "private-key").exists():
        keys(seeds)
    print(", ".join(f"{target} {len(names)}" for target, names in sorted(seeds.names.items())))


if __name__ == "__main__":
    main()
