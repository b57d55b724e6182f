"""A whole Sigstore instance: Fulcio, certificate transparency log, Rekor v1 and v2, timestamp authorities, signers."""
import hashlib
import json
import os
import time

import der
from certificates import (
    CODE_SIGNING,
    FULCIO,
    TIME_STAMPING,
    CertificateLog,
    alternative_name,
    authority,
    extended_usage,
    extension,
    issue,
    usage,
)
from logs import DETAILS, Rekor1, Rekor2, b64, sha256
from openssl import Key, TimestampServer

# 2025-01-01 and 2045-01-01: when everything of an instance is valid.
BEGINNING, END = 1735689600, 2366841600
# 2025-06-01T12:00:00Z: when signatures are made that no timestamp authority sees; those sign with the machine's time.
PAST = 1748779200
NOW = int(time.time())
MINUTE = 60

IN_TOTO = "application/vnd.in-toto+json"
IDENTITY = "https://github.com/example/app/.github/workflows/release.yaml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
# Fulcio's extensions: by number, and whether the value is a text without DER around it.
EXTENSIONS = {
    2: "push", 3: "6dcb09b5b57875f334f61aebed695e2e4193db5e", 4: "Release", 5: "example/app", 6: "refs/heads/main",
    9: IDENTITY, 10: "6dcb09b5b57875f334f61aebed695e2e4193db5e", 11: "github-hosted",
    12: "https://github.com/example/app", 13: "6dcb09b5b57875f334f61aebed695e2e4193db5e", 14: "refs/heads/main",
    15: "123456789", 16: "https://github.com/example", 17: "987654321", 18: IDENTITY,
    19: "6dcb09b5b57875f334f61aebed695e2e4193db5e", 20: "push",
    21: "https://github.com/example/app/actions/runs/15370000000/attempts/1", 22: "public",
}
RAW = range(1, 7)


class Signer:
    """Who signs: a key, or a key with a certificate."""

    def __init__(self, key, certificate=None):
        self.key = key
        self.certificate = certificate

    @property
    def is_certificate(self):
        return self.certificate is not None

    @property
    def der(self):
        return self.certificate.der if self.certificate else self.key.spki

    @property
    def pem(self):
        return self.certificate.pem if self.certificate else der.pem("PUBLIC KEY", self.key.spki)


class TimestampAuthority:
    def __init__(self, name, directory, kind):
        validity = (BEGINNING, END)
        root = authority(der.name(name, "timestamp root"), Key(kind), validity)
        extensions = [usage(0), extended_usage(TIME_STAMPING, critical=True)]
        key = Key(kind)
        self.certificate = issue(der.name(name, "timestamps"), key, validity, extensions, root)
        self.server = TimestampServer(directory, key, self.certificate.pem, root.pem)

    def stamp(self, signature, certificates):
        """A signed timestamp of now over a signature: TimeStampResp; see `bundle` for the certificates."""
        imprint = der.sequence(der.sequence(der.identifier("2.16.840.1.101.3.4.2.1"), der.NULL),
                               der.octets(sha256(signature)))
        wanted = [der.boolean(True)] if certificates != "none" else []
        return self.server.reply(der.sequence(der.integer(1), imprint, *wanted), certificates == "chain")


class Instance:
    """One instance; `kinds` are those of the keys of Fulcio's root and intermediate, CT, Rekor v1 and v2, TSA."""

    def __init__(self, name, directory, kinds=("p384", "p384", "p256", "p256", "ed25519", "p256")):
        self.name = name
        self.directory = directory
        os.makedirs(directory)
        root, intermediate, certificate_log, rekor1, rekor2, timestamps = kinds
        validity = (BEGINNING, END)
        self.root = authority(der.name(f"{name}.example", "sigstore"), Key(root), validity)
        self.fulcio = authority(
            der.name(f"{name}.example", "sigstore-intermediate"), Key(intermediate), validity, self.root, 0,
            CODE_SIGNING)
        # Chains of more authorities that the trusted root has.
        self.more_authorities = []
        self.certificate_log = CertificateLog(f"https://ctfe.{name}.example/2025", Key(certificate_log))
        self.rekor1 = Rekor1(f"rekor.{name}.example", Key(rekor1))
        self.rekor2 = Rekor2(f"log2025-1.rekor.{name}.example", Key(rekor2))
        self.timestamps = [
            TimestampAuthority(f"{name}.example {number}", os.path.join(directory, f"tsa{number}"), timestamps)
            for number in (1, 2)
        ]

    # Trust

    def _log(self, url, key, identifier):
        return {
            "baseUrl": url, "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(key.spki), "keyDetails": DETAILS[key.kind],
                "validFor": {"start": "2025-01-01T00:00:00Z"},
            },
            "logId": {"keyId": b64(identifier)},
        }

    def _authority(self, url, name, chain):
        return {
            "subject": {"organization": f"{self.name}.example", "commonName": name}, "uri": url,
            "certChain": {"certificates": [{"rawBytes": b64(certificate.der)} for certificate in chain]},
            "validFor": {"start": "2025-01-01T00:00:00Z"},
        }

    @property
    def trusted_root(self):
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                self._log(f"https://{log.host}", log.key, log.identifier) for log in (self.rekor1, self.rekor2)
            ],
            "certificateAuthorities": [
                self._authority(f"https://fulcio.{self.name}.example", "sigstore", fulcio.chain)
                for fulcio in [self.fulcio] + self.more_authorities
            ],
            "ctlogs": [
                self._log(self.certificate_log.url, self.certificate_log.key, self.certificate_log.identifier),
            ],
            "timestampAuthorities": [
                self._authority(f"https://timestamp{number}.{self.name}.example", "timestamp root",
                                tsa.certificate.chain)
                for number, tsa in enumerate(self.timestamps, 1)
            ],
        }

    def write_trusted_root(self):
        path = os.path.join(self.directory, "trusted_root.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.trusted_root, file, indent=1)

    # Signers

    def signer(self, kind="p256", time=PAST, name=("uri", IDENTITY), issuer=ISSUER, extensions=None, fulcio=None,
               is_logged=True, has_new_issuer=True, lasts=10 * MINUTE):
        """Somebody with a certificate of Fulcio, given at a time."""
        values = {1: issuer, **(EXTENSIONS if extensions is None else extensions)}
        if has_new_issuer:
            values[8] = issuer
        own = [
            extension(FULCIO + str(number), value.encode() if number in RAW else der.utf8(value))
            for number, value in sorted(values.items())
        ]
        key = Key(kind) if isinstance(kind, str) else kind
        certificate = issue(
            der.name(), key, (time, time + lasts), [usage(0), extended_usage(CODE_SIGNING), alternative_name(*name)] + own,
            fulcio or self.fulcio, self.certificate_log if is_logged else None, time)
        return Signer(key, certificate)


def witness(name, key):
    """Lines of a witness below checkpoints (C2SP tlog-cosignature, timestamped Ed25519), and its verifier key."""
    typed = b"\4" + key.spki[-32:]
    identifier = sha256(name.encode() + b"\n" + typed)[:4]

    def line(text):
        moment = PAST + MINUTE
        signed = f"cosignature/v1\ntime {moment}\n{text}".encode()
        return name, identifier, moment.to_bytes(8, "big") + key.sign(signed)

    return line, f"{name}+{identifier.hex()}+{b64(typed)}"


def statement(digest, predicate_type, predicate=None, **subject):
    """An in-toto statement about what has the SHA-256 digest; further members of the subject are its name, annotations."""
    subject["digest"] = {"sha256": digest}
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1", "subject": [subject], "predicateType": predicate_type,
        "predicate": predicate or {},
    }, separators=(",", ":")).encode()


def encoded(payload, payload_type=IN_TOTO):
    """What an envelope's signature is over (DSSE, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def bundle(instance, signer, message=None, payload=None, *, logs=("rekor1/hashedrekord",), time=PAST + 5, stamps=(),
           certificates="own", version="0.3", hash=None, pss=False, chain=(), hint=True, digest=True):
    """A bundle of a signature over a message or a payload.

    `logs` are log and kind of each entry, `stamps` the numbers of timestamp authorities, which send no certificate, their
    own, or the chain.
    """
    signed = message if payload is None else encoded(payload)
    signature = signer.key.sign(signed, hash, pss)
    used = hash or signer.key.usual_hash
    material = {}
    if signer.certificate:
        item = {"rawBytes": b64(signer.certificate.der)}
        if version in ("0.3", "0.3 by parameter"):
            material["certificate"] = item
        else:
            more = [{"rawBytes": b64(certificate.der)} for certificate in chain]
            material["x509CertificateChain"] = {"certificates": [item] + more}
    else:
        material["publicKey"] = {"hint": b64(sha256(signer.key.spki))} if hint else {}
    material["tlogEntries"] = []
    for place in logs:
        log, kind = place.split("/")
        material["tlogEntries"].append(
            getattr(instance, log).add(kind, signed, IN_TOTO, payload or b"", signature, signer, used, time=time))
    if stamps:
        material["timestampVerificationData"] = {
            "rfc3161Timestamps": [
                {"signedTimestamp": b64(instance.timestamps[number - 1].stamp(signature, certificates))}
                for number in stamps
            ]
        }
    media_type = {
        "0.3": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "0.3 by parameter": "application/vnd.dev.sigstore.bundle+json;version=0.3",
    }.get(version, f"application/vnd.dev.sigstore.bundle+json;version={version}")
    result = {"mediaType": media_type, "verificationMaterial": material}
    if payload is None:
        result["messageSignature"] = {"signature": b64(signature)}
        if digest:
            result["messageSignature"]["messageDigest"] = {
                "algorithm": "SHA2_256", "digest": b64(hashlib.sha256(message).digest()),
            }
    else:
        result["dsseEnvelope"] = {
            "payload": b64(payload), "payloadType": IN_TOTO, "signatures": [{"sig": b64(signature), "keyid": ""}],
        }
    return result
