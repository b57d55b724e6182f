"""Images in an OCI image layout, signed as cosign 2 and cosign 3 do it, rightly and wrongly."""
import hashlib
import json
import os

from instance import IDENTITY, ISSUER, NOW, PAST, Instance, Signer, bundle, statement
from logs import b64
from openssl import Key, kept_key

REPOSITORY = "registry.example/app"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGN = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
EMPTY = b"{}"
RECENT = NOW - 60
HOUR = 3600
STRANGER = "https://github.com/stranger/app/.github/workflows/release.yaml@refs/heads/main"


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Layout:
    """An OCI image layout that is being written."""

    def __init__(self, directory):
        self.directory = directory
        self.manifests = []
        os.makedirs(os.path.join(directory, "blobs", "sha256"))
        with open(os.path.join(directory, "oci-layout"), "w", encoding="utf-8") as file:
            file.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        with open(os.path.join(self.directory, "blobs", "sha256", digest), "wb") as file:
            file.write(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def manifest(self, value, tag=None):
        described = self.blob(compact(value), value["mediaType"])
        listed = dict(described)
        if "artifactType" in value:
            listed["artifactType"] = value["artifactType"]
        if tag:
            listed["annotations"] = {"org.opencontainers.image.ref.name": tag}
        self.manifests.append(listed)
        return described

    def image(self, name, tag=None):
        """A small image, another one for each name."""
        layer = self.blob(name.encode(), "application/vnd.oci.image.layer.v1.tar")
        config = self.blob(
            compact({"architecture": "amd64", "os": "linux", "config": {"Labels": {"name": name}},
                     "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}), CONFIG)
        return self.manifest(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}, tag)

    def index(self, manifests, tag):
        listed = [
            {**manifest, "platform": {"os": "linux", "architecture": architecture}}
            for manifest, architecture in zip(manifests, ("amd64", "arm64"))
        ]
        return self.manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}, tag)

    def legacy(self, subject, layers):
        """The signatures of an image in cosign 2's place: a tag of the image's digest."""
        descriptors = [
            {**self.blob(payload, SIMPLE_SIGNING), "annotations": annotations} for payload, annotations in layers
        ]
        config = self.blob(
            compact({"architecture": "", "os": "", "config": {}, "created": "0001-01-01T00:00:00Z",
                     "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in descriptors]}}), CONFIG)
        self.manifest(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors},
            subject["digest"].replace(":", "-") + ".sig")

    def bundle(self, subject, made, predicate_type):
        """A bundle as a referrer, as cosign 3 stores it."""
        self.manifest({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": self.blob(EMPTY, "application/vnd.oci.empty.v1+json"),
            "layers": [self.blob(compact(made), BUNDLE)],
            "subject": subject,
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": predicate_type,
                "org.opencontainers.image.created": "2025-06-01T12:00:00Z",
            },
        })

    def close(self):
        with open(os.path.join(self.directory, "index.json"), "wb") as file:
            file.write(compact({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests}))


def layer(instance, signer, subject, *, time=PAST + 5, is_logged=True, stamp=None, optional=None, repository=REPOSITORY,
          signs=None):
    """A legacy signature: the payload and the annotations of its layer."""
    payload = compact({
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": (signs or subject)["digest"]},
            "type": "cosign container image signature",
        },
        "optional": optional,
    })
    # cosign signs with SHA-256 by keys of all kinds but Ed25519.
    hash = None if signer.key.kind == "ed25519" else "sha256"
    signature = signer.key.sign(payload, hash)
    annotations = {"dev.cosignproject.cosign/signature": b64(signature)}
    if signer.certificate:
        annotations["dev.sigstore.cosign/certificate"] = signer.certificate.pem.decode()
        annotations["dev.sigstore.cosign/chain"] = "".join(
            certificate.pem.decode() for certificate in signer.certificate.chain[1:])
    if is_logged:
        entry = instance.rekor1.add("hashedrekord", payload, "", b"", signature, signer, hash, time=time)
        annotations["dev.sigstore.cosign/bundle"] = compact({
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"], "integratedTime": int(time), "logIndex": int(entry["logIndex"]),
                "logID": instance.rekor1.identifier.hex(),
            },
        }).decode()
    if stamp:
        annotations["dev.sigstore.cosign/rfc3161timestamp"] = compact(
            {"SignedRFC3161Timestamp": b64(instance.timestamps[stamp - 1].stamp(signature, "own"))}).decode()
    return payload, annotations


def signed(instance, signer, subject, predicate_type=SIGN, annotations=None, **how):
    """A bundle that signs an image."""
    more = {"annotations": annotations} if annotations else {}
    payload = statement(subject["digest"].split(":")[1], predicate_type, **more)
    how.setdefault("logs", ["rekor1/dsse"])
    return bundle(instance, signer, None, payload, **how)


def make(directory):
    instance = Instance("images", os.path.join(directory, "images"))
    stranger = Instance("stranger", os.path.join(directory, "stranger"))
    layout = Layout(os.path.join(directory, "layout"))
    keys = {name: Signer(kept_key(kind) if kind.startswith("rsa") else Key(kind)) for name, kind in [
        ("cosign", "p256"), ("other", "p256"), ("p384", "p384"), ("p521", "p521"), ("ed25519", "ed25519"),
        ("rsa2048", "rsa2048"), ("rsa3072", "rsa3072"), ("rsa4096", "rsa4096"),
    ]}
    os.makedirs(os.path.join(directory, "images", "keys"))
    for name, signer in keys.items():
        for ending, content in [("pub", signer.pem), ("key", signer.key.private_pem)]:
            with open(os.path.join(directory, "images", "keys", f"{name}.{ending}"), "wb") as file:
                file.write(content)
    table = []
    other = layout.image("another image", "another")

    def add(name, why, verified_by, sign, subject=None):
        """An image whose signatures `sign` makes, and the policies of `images.json` that it must satisfy."""
        subject = subject or layout.image(name, name)
        legacy, bundles = [], []
        for made in sign(subject):
            if isinstance(made, tuple) and isinstance(made[0], bytes):
                legacy.append(made)
            else:
                bundles.append(made if isinstance(made, tuple) else (made, SIGN))
        if legacy:
            layout.legacy(subject, legacy)
        for made, predicate_type in bundles:
            layout.bundle(subject, made, predicate_type)
        table.append({
            "name": name, "tag": name, "digest": subject["digest"], "why": why, "verifiedBy": verified_by,
            "legacy": len(legacy), "bundles": len(bundles),
        })

    cosign = keys["cosign"]
    def keyless(time=PAST, **how):
        return instance.signer(time=time, **how)
    KEY, UNLOGGED = "key", "key-unlogged"
    KEYLESS, KEYLESS_UNLOGGED = "keyless", "keyless-unlogged"
    ANNOTATED = "key-annotated"
    expired = {"time": PAST + HOUR}

    add("unsigned", "nobody signed it", [], lambda image: [])

    add("legacy-key", "by the key, logged", [KEY, UNLOGGED], lambda image: [layer(instance, cosign, image)])
    add("legacy-key-unlogged", "by the key, in no log", [UNLOGGED],
        lambda image: [layer(instance, cosign, image, is_logged=False)])
    add("legacy-key-annotated", "by the key, with annotations", [KEY, UNLOGGED, ANNOTATED],
        lambda image: [layer(instance, cosign, image, optional={"commit": "6dcb09b", "stage": "prod"})])
    add("legacy-key-annotated-otherwise", "by the key, with other annotations", [KEY, UNLOGGED],
        lambda image: [layer(instance, cosign, image, optional={"commit": "6dcb09b", "stage": "test"})])
    add("legacy-other-key", "by a key that nobody trusts", [],
        lambda image: [layer(instance, keys["other"], image)])
    add("legacy-two-signatures", "by a key that nobody trusts, and by the key", [KEY, UNLOGGED],
        lambda image: [layer(instance, keys["other"], image), layer(instance, cosign, image)])
    add("legacy-two-signatures-otherwise", "the same the other way around", [KEY, UNLOGGED],
        lambda image: [layer(instance, cosign, image), layer(instance, keys["other"], image)])
    add("legacy-other-image", "the signature of another image", [],
        lambda image: [layer(instance, cosign, image, signs=other), layer(instance, keyless(), image, signs=other)])
    add("legacy-keyless", "by the workflow, logged", [KEYLESS], lambda image: [layer(instance, keyless(), image)])
    add("legacy-keyless-timestamped", "by the workflow, logged and timestamped", [KEYLESS, KEYLESS_UNLOGGED],
        lambda image: [layer(instance, keyless(RECENT), image, time=NOW, stamp=1)])
    add("legacy-keyless-unlogged", "by the workflow, timestamped, in no log", [KEYLESS_UNLOGGED],
        lambda image: [layer(instance, keyless(RECENT), image, is_logged=False, stamp=1)])
    add("legacy-keyless-without-time", "by the workflow, with nothing that proves when", [],
        lambda image: [layer(instance, keyless(), image, is_logged=False)])
    add("legacy-wrong-identity", "by another repository's workflow", [],
        lambda image: [layer(instance, keyless(name=("uri", STRANGER)), image)])
    add("legacy-wrong-issuer", "by the workflow's name of another issuer", [],
        lambda image: [layer(instance, keyless(issuer="https://issuer.example"), image)])
    add("legacy-expired", "by a certificate that had expired when it was logged", [],
        lambda image: [layer(instance, keyless(), image, **expired)])
    add("legacy-expired-timestamped", "by a certificate that had expired when it was timestamped", [],
        lambda image: [layer(instance, keyless(), image, is_logged=False, stamp=1)])
    add("legacy-no-promise", "by a certificate that is in no certificate transparency log", [],
        lambda image: [layer(instance, keyless(is_logged=False), image)])
    add("legacy-other-instance", "by the workflow's name in another Sigstore instance", [],
        lambda image: [layer(stranger, stranger.signer(), image)])

    def crossed(image):
        """The payload and signature of one layer with the log's promise of another."""
        payload, annotations = layer(instance, cosign, image, is_logged=False)
        _, logged = layer(instance, cosign, image)
        return [(payload, {**annotations, "dev.sigstore.cosign/bundle": logged["dev.sigstore.cosign/bundle"]})]
    add("legacy-other-entry", "by the key, with the log entry of another signature", [UNLOGGED], crossed)

    add("bundle-key", "by the key, in Rekor v1", [KEY, UNLOGGED], lambda image: [signed(instance, cosign, image)])
    add("bundle-key-rekor2", "by the key, in Rekor v2", [KEY, UNLOGGED],
        lambda image: [signed(instance, cosign, image, logs=["rekor2/hashedrekord"], stamps=[1])])
    add("bundle-key-unlogged", "by the key, in no log", [UNLOGGED],
        lambda image: [signed(instance, cosign, image, logs=[])])
    add("bundle-key-annotated", "by the key, with annotations", [KEY, UNLOGGED, ANNOTATED],
        lambda image: [signed(instance, cosign, image, annotations={"commit": "6dcb09b", "stage": "prod"})])
    add("bundle-other-key", "by a key that nobody trusts", [],
        lambda image: [signed(instance, keys["other"], image)])
    add("bundle-keyless", "by the workflow, in Rekor v1", [KEYLESS],
        lambda image: [signed(instance, keyless(), image)])
    add("bundle-keyless-rekor2", "by the workflow, in Rekor v2", [KEYLESS, KEYLESS_UNLOGGED],
        lambda image: [signed(instance, keyless(RECENT), image, logs=["rekor2/hashedrekord"], stamps=[1])])
    add("bundle-unlogged", "by the workflow, timestamped, in no log", [KEYLESS_UNLOGGED],
        lambda image: [signed(instance, keyless(RECENT), image, logs=[], stamps=[1])])
    add("bundle-wrong-identity", "by another repository's workflow", [],
        lambda image: [signed(instance, keyless(name=("uri", STRANGER)), image)])
    add("bundle-expired", "by a certificate that had expired when it was logged", [],
        lambda image: [signed(instance, keyless(), image, **expired)])
    add("bundle-expired-timestamped", "by a certificate that had expired when it was timestamped", [],
        lambda image: [signed(instance, keyless(), image, logs=[], stamps=[1])])
    add("bundle-other-image", "the bundle of another image", [],
        lambda image: [signed(instance, cosign, other), signed(instance, keyless(), other)])
    add("bundle-other-instance", "by the workflow's name in another Sigstore instance", [],
        lambda image: [signed(stranger, stranger.signer(), image)])
    add("bundle-attestation", "a provenance by key and workflow, but no signature", [],
        lambda image: [(signed(instance, signer, image, PROVENANCE), PROVENANCE) for signer in (cosign, keyless())])
    add("bundle-attestation-as-signature", "the same, called a signature in annotations that nobody signs", [],
        lambda image: [signed(instance, signer, image, PROVENANCE) for signer in (cosign, keyless())])
    add("bundle-attestation-and-signature", "a provenance by nobody who is trusted, beside the key's signature",
        [KEY, UNLOGGED],
        lambda image: [(signed(instance, keys["other"], image, PROVENANCE), PROVENANCE), signed(instance, cosign, image)])

    add("both", "by the key as cosign 2 does, by the workflow as cosign 3 does", [KEY, UNLOGGED, KEYLESS],
        lambda image: [layer(instance, cosign, image), signed(instance, keyless(), image)])
    for kind in ("p384", "p521", "ed25519", "rsa2048", "rsa3072", "rsa4096"):
        add(f"legacy-{kind}", f"by a key {kind}", [f"key-{kind}"],
            lambda image, kind=kind: [layer(instance, keys[kind], image)])
        add(f"bundle-{kind}", f"by a key {kind}", [f"key-{kind}"],
            lambda image, kind=kind: [signed(instance, keys[kind], image)])

    platforms = [layout.image(f"platform {name}") for name in ("amd64", "arm64")]
    add("index", "an index; its platforms' manifests are not signed", [KEY, UNLOGGED],
        lambda image: [layer(instance, cosign, image)], layout.index(platforms, "index"))

    layout.close()
    instance.write_trusted_root()
    stranger.write_trusted_root()

    def by_key(name, **more):
        return {"key": f"images/keys/{name}.pub", "tLogVerify": True, **more}
    def by_certificate(**more):
        return {"identity": IDENTITY, "issuer": ISSUER, "tLogVerify": True, "ctLogVerify": True, **more}
    policies = {
        KEY: by_key("cosign"), UNLOGGED: by_key("cosign", tLogVerify=False),
        ANNOTATED: by_key("cosign", annotations={"stage": "prod"}),
        KEYLESS: by_certificate(), KEYLESS_UNLOGGED: by_certificate(tLogVerify=False),
        **{f"key-{kind}": by_key(kind) for kind in ("p384", "p521", "ed25519", "rsa2048", "rsa3072", "rsa4096")},
    }
    with open(os.path.join(directory, "images.json"), "w", encoding="utf-8") as file:
        json.dump({
            "repository": REPOSITORY, "layout": "layout", "trustedRoot": "images/trusted_root.json",
            "policies": policies, "images": table,
        }, file, indent=1)
