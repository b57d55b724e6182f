"""Transparency logs of signatures: a Merkle tree (RFC 6962), Rekor v1 and Rekor v2 around it."""
import base64
import hashlib
import json

DETAILS = {
    "p256": "PKIX_ECDSA_P256_SHA_256", "p384": "PKIX_ECDSA_P384_SHA_384", "p521": "PKIX_ECDSA_P521_SHA_512",
    "ed25519": "PKIX_ED25519", "rsa2048": "PKIX_RSA_PKCS1V15_2048_SHA256",
    "rsa3072": "PKIX_RSA_PKCS1V15_3072_SHA256", "rsa4096": "PKIX_RSA_PKCS1V15_4096_SHA256",
}
FILLERS = 11


def b64(content):
    return base64.b64encode(content).decode()


def sha256(content):
    return hashlib.sha256(content).digest()


def canonical(value):
    """JSON as logs write it: members by name, nothing between them (RFC 8785, for what is here)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Tree:
    """The hashes of a log's entries, and proofs that one is among them."""

    def __init__(self):
        self.leaves = [sha256(b"\0somebody else's entry %d" % number) for number in range(FILLERS)]

    def append(self, entry):
        self.leaves.append(sha256(b"\0" + entry))
        return len(self.leaves) - 1

    @staticmethod
    def _split(count):
        return 1 << (count - 1).bit_length() - 1

    def root(self, start=0, end=None):
        end = len(self.leaves) if end is None else end
        if end - start == 1:
            return self.leaves[start]
        middle = start + self._split(end - start)
        return sha256(b"\1" + self.root(start, middle) + self.root(middle, end))

    def proof(self, index, start=0, end=None):
        end = len(self.leaves) if end is None else end
        if end - start == 1:
            return []
        middle = start + self._split(end - start)
        if index < middle:
            return self.proof(index, start, middle) + [self.root(middle, end)]
        return self.proof(index, middle, end) + [self.root(start, middle)]


class Log:
    """What both versions have in common."""

    def __init__(self, host, key, identifier):
        self.host = host
        self.key = key
        self.identifier = identifier
        self.tree = Tree()
        # More signature lines of checkpoints: witnesses.
        self.witnesses = []

    def note(self, origin):
        """A signed note about the tree (C2SP signed-note, tlog-checkpoint)."""
        text = f"{origin}\n{len(self.tree.leaves)}\n{b64(self.tree.root())}\n"
        lines = [(self.host, self.identifier, self.key.sign(text.encode()))]
        lines += [witness(text) for witness in self.witnesses]
        return text + "\n" + "".join(f"\u2014 {name} {b64(key[:4] + signature)}\n" for name, key, signature in lines)

    def logged(self, body, kind, version, origin, offset=0):
        """An entry of a bundle (dev.sigstore.rekor.v1.TransparencyLogEntry), logged now."""
        encoded = canonical(body)
        index = self.tree.append(encoded)
        # Others log, too, before the checkpoint.
        self.tree.append(b"somebody else's entry after %d" % index)
        return {
            "logIndex": str(index + offset), "logId": {"keyId": b64(self.identifier)},
            "kindVersion": {"kind": kind, "version": version},
            "inclusionProof": {
                "logIndex": str(index), "rootHash": b64(self.tree.root()), "treeSize": str(len(self.tree.leaves)),
                "hashes": [b64(hash) for hash in self.tree.proof(index)],
                "checkpoint": {"envelope": self.note(origin)},
            },
            "canonicalizedBody": b64(encoded),
        }


class Rekor1(Log):
    """Rekor v1, with its promise, the signed entry timestamp, which states a time."""

    TREE = 1193050959916656506
    # The indices of older trees come before those of this one.
    OFFSET = 4163431

    def __init__(self, host, key):
        super().__init__(host, key, sha256(key.spki))

    def body(self, kind, signed, payload_type, payload, signature, signer, hash):
        verifier = b64(signer.pem)
        def digest(content, name="sha256"):
            return {"algorithm": name, "value": hashlib.new(name, content).hexdigest()}
        envelope = canonical({
            "payload": b64(payload), "payloadType": payload_type, "signatures": [{"sig": b64(signature)}],
        }) if payload else b""
        version = {"hashedrekord": "0.0.1", "dsse": "0.0.1", "intoto": "0.0.2"}[kind]
        spec = {
            "hashedrekord": lambda: {
                "data": {"hash": digest(signed, hash or "sha256")},
                "signature": {"content": b64(signature), "publicKey": {"content": verifier}},
            },
            "dsse": lambda: {
                "envelopeHash": digest(envelope), "payloadHash": digest(payload),
                "signatures": [{"signature": b64(signature), "verifier": verifier}],
            },
            "intoto": lambda: {
                "content": {
                    "envelope": {
                        "payloadType": payload_type,
                        "signatures": [{"publicKey": verifier, "sig": b64(b64(signature).encode())}],
                    },
                    "hash": digest(envelope), "payloadHash": digest(payload),
                },
            },
        }[kind]()
        return {"apiVersion": version, "kind": kind, "spec": spec}

    def add(self, kind, *signed, time):
        body = self.body(kind, *signed)
        entry = self.logged(body, kind, body["apiVersion"], f"{self.host} - {self.TREE}", self.OFFSET)
        entry["integratedTime"] = str(int(time))
        promised = canonical({
            "body": entry["canonicalizedBody"], "integratedTime": int(time), "logID": self.identifier.hex(),
            "logIndex": int(entry["logIndex"]),
        })
        entry["inclusionPromise"] = {"signedEntryTimestamp": b64(self.key.sign(promised))}
        return entry


class Rekor2(Log):
    """Rekor v2: one tree, no promise, no time."""

    def __init__(self, host, key):
        # C2SP signed-note, "Signature types": those of ECDSA are not by the name.
        signed = host.encode() + b"\n\1" + key.spki[-32:] if key.kind == "ed25519" else key.spki
        super().__init__(host, key, sha256(signed))

    def body(self, kind, signed, payload_type, payload, signature, signer, hash):
        name = hash or "sha256"
        verifier = {"keyDetails": DETAILS[signer.key.kind]}
        if signer.is_certificate:
            verifier["x509Certificate"] = {"rawBytes": b64(signer.der)}
        else:
            verifier["publicKey"] = {"rawBytes": b64(signer.der)}
        proof = {"content": b64(signature), "verifier": verifier}
        def digest(content, name="sha256"):
            return {"algorithm": "SHA2_" + name[3:], "digest": b64(hashlib.new(name, content).digest())}
        if kind == "hashedrekord":
            spec = {"hashedRekordV002": {"data": digest(signed, name), "signature": proof}}
        else:
            spec = {"dsseV002": {"payloadHash": digest(payload), "signatures": [proof]}}
        return {"apiVersion": "0.0.2", "kind": kind, "spec": spec}

    def add(self, kind, *signed, time):
        return self.logged(self.body(kind, *signed), kind, "0.0.2", self.host)
