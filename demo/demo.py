#!/usr/bin/env python3
"""The main job on real input, end to end.

Makes a certificate authority and signing keys, an image layout with six images, signs some of them with
`countersign sign`, starts `countersign serve` with mutual TLS on loopback, sends it the request that Gatekeeper sends,
with a client certificate, and prints a table: image, verdict, why. Then the same for images that cosign signed, with a
key and without one, in a Sigstore instance that is made for it (cosign.py). Exits 0 only when every verdict is the right
one.

Needs Python's standard library, and openssl. Everything it makes is in .demo/; keys of an earlier run are used again.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import cosign

HERE = pathlib.Path(__file__).resolve().parent.parent / ".demo"
REPOSITORY = "registry.example.com/shop/web"
SIGNATURE_TYPE = "application/vnd.cncf.notary.signature"

# tag, what was done to it, must it be admitted, a word that its explanation must have
IMAGES = [
    ("signed-jws", "signed by our key, JWS envelope", True, ""),
    ("signed-cose", "signed by our key, COSE envelope", True, ""),
    ("unsigned", "never signed", False, "no signature"),
    ("tampered", "one byte of its signature changed", False, "signature"),
    ("stranger", "signed by a key that nobody trusts", False, "trust"),
    ("expired", "its signature has expired", False, "expired"),
]


def say(text):
    print(text, flush=True)


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"demo: {' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


# Certificates ---------------------------------------------------------------------------------------------------

def openssl_key(path, kind):
    arguments = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + kind] if kind.startswith("P-") else [
        "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:" + kind]
    run("openssl", "genpkey", *arguments, "-out", path)


def authority(name, subject):
    """A root certificate; returns the paths of its key and certificate."""
    key, certificate = HERE / "keys" / f"{name}.key", HERE / "keys" / f"{name}.crt"
    if not certificate.exists():
        openssl_key(key, "P-256")
        run("openssl", "req", "-x509", "-new", "-key", key, "-sha256", "-days", "3650", "-subj", subject,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-out", certificate)
    return key, certificate


def issue(name, subject, issuer, extensions, kind="P-256"):
    """A certificate by an authority, and its chain; returns the paths of key, certificate and chain."""
    key, certificate, chain = (HERE / "keys" / f"{name}.{suffix}" for suffix in ("key", "crt", "chain"))
    if not chain.exists():
        openssl_key(key, kind)
        request, config = HERE / "keys" / f"{name}.csr", HERE / "keys" / f"{name}.ext"
        config.write_text("\n".join(extensions) + "\n")
        run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", issuer[1], "-CAkey", issuer[0], "-CAcreateserial",
            "-days", "825", "-sha256", "-extfile", config, "-out", certificate)
        chain.write_text(certificate.read_text() + issuer[1].read_text())
    return key, certificate, chain


def make_certificates():
    code_signing = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                    "extendedKeyUsage=codeSigning"]
    ours = authority("our-ca", "/C=US/ST=WA/O=Example Shop/CN=Example Shop CA")
    theirs = authority("stranger-ca", "/C=US/ST=WA/O=Stranger/CN=Stranger CA")
    gatekeeper = authority("gatekeeper-ca", "/O=gatekeeper/CN=gatekeeper-ca")
    provider = authority("provider-ca", "/O=countersign/CN=provider-ca")
    return {
        "rsa": issue("release-rsa", "/C=US/ST=WA/O=Example Shop/CN=release", ours, code_signing, "2048"),
        "ec": issue("release-ec", "/C=US/ST=WA/O=Example Shop/CN=release", ours, code_signing),
        "stranger": issue("stranger", "/C=US/ST=WA/O=Stranger/CN=release", theirs, code_signing),
        "client": issue("gatekeeper", "/CN=gatekeeper-webhook-service.gatekeeper-system.svc", gatekeeper,
                        ["extendedKeyUsage=clientAuth", "keyUsage=critical,digitalSignature"], "2048"),
        "server": issue("provider", "/CN=localhost", provider,
                        ["extendedKeyUsage=serverAuth", "keyUsage=critical,digitalSignature",
                         "subjectAltName=DNS:localhost,IP:127.0.0.1"]),
        "ca": ours[1], "gatekeeper-ca": gatekeeper[1], "provider-ca": provider[1],
    }


# Image layout ---------------------------------------------------------------------------------------------------

class Layout:
    """Just enough of an OCI image layout to put images in and to spoil a signature."""

    def __init__(self, path):
        self.path = path
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.write_index({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []})

    def index(self):
        return json.loads((self.path / "index.json").read_text())

    def write_index(self, index):
        (self.path / "index.json").write_text(json.dumps(index))

    def blob(self, digest):
        return (self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()

    def put(self, content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        (self.path / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}

    def add_image(self, tag):
        config = self.put(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"image": tag}},
                                      "rootfs": {"type": "layers", "diff_ids": []}}).encode(),
                          "application/vnd.oci.image.config.v1+json")
        manifest = self.put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                        "config": config, "layers": []}).encode(),
                            "application/vnd.oci.image.manifest.v1+json")
        manifest["annotations"] = {"org.opencontainers.image.ref.name": tag}
        index = self.index()
        index["manifests"].append(manifest)
        self.write_index(index)
        return manifest["digest"]

    def spoil_signature_of(self, subject):
        """Changes one byte of the signature value, and makes every digest on the way right again."""
        index = self.index()
        for descriptor in index["manifests"]:
            manifest = json.loads(self.blob(descriptor["digest"]))
            if manifest.get("subject", {}).get("digest") != subject:
                continue
            envelope = json.loads(self.blob(manifest["layers"][0]["digest"]))
            value = bytearray(base64.urlsafe_b64decode(envelope["signature"] + "=="))
            value[40] ^= 1
            envelope["signature"] = base64.urlsafe_b64encode(bytes(value)).decode().rstrip("=")
            manifest["layers"][0] = self.put(json.dumps(envelope).encode(), manifest["layers"][0]["mediaType"])
            descriptor.update(self.put(json.dumps(manifest).encode(), descriptor["mediaType"]))
        self.write_index(index)


def make_images(countersign, certificates):
    shutil.rmtree(HERE / "layout", ignore_errors=True)
    layout = Layout(HERE / "layout")
    digests = {tag: layout.add_image(tag) for tag, *_ in IMAGES}

    def sign(tag, who, *options):
        key, _, chain = certificates[who]
        run(countersign, "sign", f"{REPOSITORY}:{tag}", "--oci-layout", layout.path, "--key", key,
            "--certificate-chain", chain, *options)

    sign("signed-jws", "rsa", "--signature-format", "jws", "--user-metadata", "build=1234")
    sign("signed-cose", "ec", "--signature-format", "cose")
    sign("tampered", "rsa")
    layout.spoil_signature_of(digests["tampered"])
    sign("stranger", "stranger")
    sign("expired", "ec", "--expiry", "1s")
    time.sleep(1.1)
    return digests


# Provider -------------------------------------------------------------------------------------------------------

def write_configuration(certificates):
    configuration = {
        "store": {"version": "1.0.0", "plugins": [{"name": "oci-layout", "path": str(HERE / "layout")}]},
        "keyManagementProvider": {"plugins": [
            {"name": "shop-ca", "type": "inline", "contentType": "certificate", "value": certificates["ca"].read_text()}]},
        "verifier": {"version": "1.0.0", "plugins": [{
            "name": "notation", "artifactTypes": SIGNATURE_TYPE,
            "verificationCertStores": {"ca": {"shop": ["shop-ca"]}},
            "trustPolicyDoc": {"version": "1.0", "trustPolicies": [{
                "name": "shop", "registryScopes": [REPOSITORY], "signatureVerification": {"level": "strict"},
                "trustStores": ["ca:shop"], "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Example Shop"]}]}}]},
        "policy": {"version": "1.0.0",
                   "plugin": {"name": "configPolicy", "artifactVerificationPolicies": {SIGNATURE_TYPE: "any"}}},
    }
    path = HERE / "config.json"
    path.write_text(json.dumps(configuration, indent=2))
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_provider(countersign, configuration, certificates):
    serving = HERE / "tls"
    serving.mkdir(exist_ok=True)
    shutil.copy(certificates["server"][2], serving / "tls.crt")
    shutil.copy(certificates["server"][0], serving / "tls.key")
    port, health = free_port(), free_port()
    log = open(HERE / "provider.log", "w")
    process = subprocess.Popen(
        [countersign, "serve", "--http", f"127.0.0.1:{port}", "-c", configuration, "--cert-dir", serving,
         "--ca-cert-file", certificates["gatekeeper-ca"], "--cache-ttl", "10s",
         "--health-port", f"127.0.0.1:{health}", "--metrics-port", "127.0.0.1:0"],
        stdout=log, stderr=subprocess.STDOUT)
    deadline = time.time() + 15
    while time.time() < deadline:
        if process.poll() is not None:
            break
        try:
            connection = http.client.HTTPConnection("127.0.0.1", health, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process, port
        except OSError:
            pass
        time.sleep(0.02)
    process.kill()
    sys.exit(f"demo: the provider did not get ready:\n{(HERE / 'provider.log').read_text()}")


def ask_as_gatekeeper(port, certificates, keys):
    """The request that Gatekeeper sends: HTTP/1.1, TLS 1.3, a client certificate by Gatekeeper's own CA."""
    context = ssl.create_default_context(cafile=certificates["provider-ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificates["client"][2], certificates["client"][0])
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    body = json.dumps({"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest",
                       "request": {"keys": keys}})
    started = time.perf_counter()
    connection.request("POST", "/ratify/gatekeeper/v1/verify", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    return answer, (time.perf_counter() - started) * 1000


def without_certificate_is_refused(port, certificates):
    context = ssl.create_default_context(cafile=certificates["provider-ca"])
    try:
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
        connection.request("POST", "/ratify/gatekeeper/v1/verify", "{}")
        connection.getresponse().read()
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return True
    return False


# Table ----------------------------------------------------------------------------------------------------------

def explanation(item):
    if item is None:
        return "no answer"
    if "error" in item and item["error"]:
        return item["error"]
    reports = item["value"]["verifierReports"]
    if item["value"]["isSuccess"]:
        good = next(report for report in reports if report["isSuccess"])
        return "signed by " + (good["extensions"].get("SN") or cosign.signer(good))
    bad = next(report for report in reports if not report["isSuccess"])
    return bad.get("errorReason") or bad["message"]


def show(answer, repository, images):
    """The table of an answer; returns how many verdicts are wrong."""
    items = {item["key"]: item for item in answer.get("items") or []}
    width = max(len(tag) for tag, *_ in images) + 2
    widest = max(len(what) for _, what, *_ in images) + 2
    colour = sys.stdout.isatty()
    wrong = 0
    say(f"  {'image':<{width}}{'what it is':<{widest}}{'verdict':<9}why")
    for tag, what, must_admit, word in images:
        item = items.get(f"{repository}:{tag}")
        admitted = bool(item and item.get("value") and item["value"].get("isSuccess") is True)
        why = explanation(item)
        right = admitted == must_admit and word.lower() in why.lower()
        wrong += not right
        verdict = "admit" if admitted else "deny"
        padded = f"{verdict:<9}"
        if colour:
            padded = f"\033[{32 if admitted else 31}m{padded}\033[0m"
        say(f"  {tag:<{width}}{what:<{widest}}{padded}{why}{'' if right else '   <-- WRONG'}")
    if answer.get("systemError"):
        say(f"  system error: {answer['systemError']}")
        wrong += 1
    return wrong


def stop(process):
    """Returns how much of it went wrong."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
        return 0
    except subprocess.TimeoutExpired:
        process.kill()
        say("  the provider did not stop within 10 s  <-- WRONG")
        return 1


def show_cosign(countersign, certificates):
    say("\nThe same for cosign: a Sigstore instance (Fulcio, Rekor, timestamp authority), images signed in its forms")
    process, port = start_provider(countersign, cosign.configuration(HERE), certificates)
    try:
        keys = [f"{cosign.REPOSITORY}:{tag}" for tag, *_ in cosign.IMAGES]
        answer, cold = ask_as_gatekeeper(port, certificates, keys)
        say("Gatekeeper asks: is each of these images trusted?\n")
        wrong = show(answer["response"], cosign.REPOSITORY, cosign.IMAGES)
        say(f"\n  Answered in {cold:.1f} ms.")
    finally:
        failed = stop(process)
    return wrong + failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--countersign", required=True, help="the countersign command")
    parser.add_argument("--stay", action="store_true", help="keep serving until Ctrl-C")
    options = parser.parse_args()

    (HERE / "keys").mkdir(parents=True, exist_ok=True)
    say("Certificates: a signing CA, a stranger's CA, Gatekeeper's CA, the provider's CA (openssl)")
    certificates = make_certificates()
    say("Images: six in an OCI image layout, five signed with countersign sign, one of those spoiled")
    make_images(options.countersign, certificates)
    process, port = start_provider(options.countersign, write_configuration(certificates), certificates)
    wrong = 0
    try:
        say(f"Provider: https://localhost:{port}, TLS 1.3, client certificate required")
        keys = [f"{REPOSITORY}:{tag}" for tag, *_ in IMAGES]
        answer, cold = ask_as_gatekeeper(port, certificates, keys)
        say("Gatekeeper asks: is each of these six images trusted?\n")
        wrong += show(answer["response"], REPOSITORY, IMAGES)
        _, warm = ask_as_gatekeeper(port, certificates, keys)
        refused = without_certificate_is_refused(port, certificates)
        wrong += not refused
        say(f"\n  Answered in {cold:.1f} ms, asked again in {warm:.1f} ms (new TLS connections). "
            f"Without a client certificate: {'refused' if refused else 'ANSWERED  <-- WRONG'}.")
        if options.stay:
            say(f"""
Serving until Ctrl-C. To ask again:
  curl --cacert {certificates['provider-ca']} --cert {certificates['client'][2]} --key {certificates['client'][0]} \\
    -d '{{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{{"keys":["{keys[0]}"]}}}}' \\
    https://localhost:{port}/ratify/gatekeeper/v1/verify""")
            try:
                process.wait()
            except KeyboardInterrupt:
                pass
    finally:
        wrong += stop(process)
    if not options.stay:
        wrong += show_cosign(options.countersign, certificates)
    say("Every verdict is the right one." if wrong == 0 else f"{wrong} wrong: see .demo/provider.log")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
