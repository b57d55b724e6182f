"""Azure's official SDKs against the emulator: what they accept is close enough to Azure for our tests.

Usage: check.py SETTINGS.json. Prints one line for each check; a check that fails raises, and the status is not 0.
"""
import base64
import hashlib
import json
import socket
import sys

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import WorkloadIdentityCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

settings = json.load(open(sys.argv[1], encoding="utf-8"))

# Names below localhost are this machine (RFC 6761, section 6.3), which not every resolver knows.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve(
    "127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *rest, **more
)

# Certificates are checked, by the emulator's authority; the challenge's resource is checked, as by default.
transport = {"connection_verify": settings["authority"], "retry_total": settings.get("retries", 0)}


def credential(**changes):
    options = {
        "tenant_id": settings["tenant"],
        "client_id": settings["client"],
        "token_file_path": settings["tokenFile"],
        "authority": "https://" + settings["authorityHost"],
        "disable_instance_discovery": True,
        **transport,
        **changes,
    }
    return WorkloadIdentityCredential(**options)


def client(kind, **more):
    return kind(vault_url=settings["vault"], credential=more.pop("credential", None) or credential(), **transport, **more)


def raises(kind, work):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def certificates():
    vault = client(CertificateClient)
    versions = list(vault.list_properties_of_certificate_versions("release"))
    assert [v.version for v in sorted(versions, key=lambda v: v.created_on)] == settings["versions"], versions
    assert [v.enabled for v in sorted(versions, key=lambda v: v.created_on)] == [True, False, True]
    newest = vault.get_certificate("release")
    assert newest.properties.version == settings["versions"][-1]
    leaf = x509.load_der_x509_certificate(bytes(newest.cer))
    assert newest.properties.x509_thumbprint == hashlib.sha1(bytes(newest.cer)).digest()
    assert newest.key_id.endswith("/keys/release/" + newest.properties.version)
    assert newest.secret_id.endswith("/secrets/release/" + newest.properties.version)
    assert int(newest.properties.expires_on.timestamp()) == int(leaf.not_valid_after_utc.timestamp())
    disabled = vault.get_certificate_version("release", settings["versions"][1])
    assert disabled.properties.enabled is False
    raises(ResourceNotFoundError, lambda: vault.get_certificate("missing"))


def secrets():
    vault = client(SecretClient)
    pem = vault.get_secret("release", settings["versions"][0])
    assert pem.properties.content_type == "application/x-pem-file", pem.properties.content_type
    assert len(x509.load_pem_x509_certificates(pem.value.encode())) == 3
    file = vault.get_secret("release")
    assert file.properties.content_type == "application/x-pkcs12"
    key, leaf, others = pkcs12.load_key_and_certificates(base64.b64decode(file.value), b"")
    assert key is not None and leaf is not None and len(others) == 2
    error = raises(HttpResponseError, lambda: vault.get_secret("release", settings["versions"][1]))
    assert error.status_code == 403 and error.error.code == "Forbidden", error
    assert error.error.innererror["code"] == "SecretDisabled", error.error.innererror
    raises(ResourceNotFoundError, lambda: vault.get_secret("missing"))


def keys():
    vault = client(KeyClient)
    for name, algorithm in [
        ("rsa", SignatureAlgorithm.ps256), ("p256", SignatureAlgorithm.es256), ("p384", SignatureAlgorithm.es384),
        ("p521", SignatureAlgorithm.es512),
    ]:
        key = vault.get_key(name)
        assert len(list(vault.list_properties_of_key_versions(name))) == 1
        crypto = CryptographyClient(key, credential(), **transport)
        digest = hashlib.new({"256": "sha256", "384": "sha384", "512": "sha512"}[algorithm.value[2:]], b"image").digest()
        signed = crypto.sign(algorithm, digest)
        assert signed.key_id == key.id
        # Verified here, with the public key that the vault gave.
        assert crypto.verify(algorithm, digest, signed.signature).is_valid
        assert not crypto.verify(algorithm, bytes(len(digest)), signed.signature).is_valid
        raises(HttpResponseError, lambda: crypto.sign(algorithm, b"too short"))


def refusals():
    for changes in [{"client_id": "33333333-3333-3333-3333-333333333333"}, {"token_file_path": settings["authority"]}]:
        error = raises(
            ClientAuthenticationError, lambda: client(SecretClient, credential=credential(**changes)).get_secret("release")
        )
        assert "AADSTS" in str(error), error


def wrong_audience():
    error = raises(ValueError, lambda: client(SecretClient).get_secret("release"))
    assert "does not match the requested domain" in str(error), error


def throttled():
    # The SDK waits as Retry-After says, and comes back.
    assert client(SecretClient).get_secret("release").value


for name in settings["checks"]:
    globals()[name]()
    print(f"{name}: ok", flush=True)
