"""Certificates (RFC 5280) of an instance, and the promises of its certificate transparency log in them (RFC 6962)."""
import hashlib
import secrets

import der

SIGNATURES = {"p256": "1.2.840.10045.4.3.2", "p384": "1.2.840.10045.4.3.3", "p521": "1.2.840.10045.4.3.4"}
CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
PROMISES = "1.3.6.1.4.1.11129.2.4.2"
FULCIO = "1.3.6.1.4.1.57264.1."


def algorithm(kind):
    """How a key of the kind signs certificates."""
    if kind == "ed25519":
        return der.sequence(der.identifier("1.3.101.112"))
    if kind in SIGNATURES:
        return der.sequence(der.identifier(SIGNATURES[kind]))
    return der.sequence(der.identifier("1.2.840.113549.1.1.11"), der.NULL)


def extension(oid, value, critical=False):
    return der.sequence(der.identifier(oid), *([der.boolean(True)] if critical else []), der.octets(value))


def usage(*numbers):
    value = sum(0x80 >> number for number in numbers)
    unused = (value & -value).bit_length() - 1
    return extension("2.5.29.15", der.bits(bytes([value]), unused), critical=True)


def extended_usage(purpose, critical=False):
    return extension("2.5.29.37", der.sequence(der.identifier(purpose)), critical)


def basic_constraints(path_length=None):
    length = [] if path_length is None else [der.integer(path_length)]
    return extension("2.5.29.19", der.sequence(der.boolean(True), *length), critical=True)


def key_identifier(spki):
    return hashlib.sha1(spki).digest()


def alternative_name(kind, text):
    """A subject alternative name: uri, email, or Fulcio's otherName."""
    if kind == "uri":
        item = der.context(6, text.encode(), constructed=False)
    elif kind == "email":
        item = der.context(1, text.encode(), constructed=False)
    else:
        item = der.context(0, der.identifier(FULCIO + "7"), der.context(0, der.utf8(text)))
    return extension("2.5.29.17", der.sequence(item), critical=True)


class Certificate:
    """A certificate, and who has its key."""

    def __init__(self, encoded, subject, key, issuer=None):
        self.der = encoded
        self.subject = subject
        self.key = key
        self.issuer = issuer

    @property
    def pem(self):
        return der.pem("CERTIFICATE", self.der)

    @property
    def chain(self):
        """Itself and those above it, the root last."""
        return [self] + (self.issuer.chain if self.issuer else [])


def issue(subject, key, validity, extensions, issuer=None, log=None, promised=None, spoil=None):
    """A certificate, self-signed without an issuer; with a log its promise of the time `promised` is put into it.

    `spoil` may change the promise.
    """
    signer = issuer.key if issuer else key
    identifiers = [extension("2.5.29.14", der.octets(key_identifier(key.spki)))]
    if issuer:
        identifiers.append(
            extension("2.5.29.35", der.sequence(der.context(0, key_identifier(signer.spki), constructed=False))))
    serial = 1 << 158 | secrets.randbits(158)

    def to_be_signed(more=()):
        return der.sequence(
            der.context(0, der.integer(2)), der.integer(serial), algorithm(signer.kind),
            issuer.subject if issuer else subject, der.sequence(*(der.time(moment) for moment in validity)), subject,
            key.spki, der.context(3, der.sequence(*extensions, *identifiers, *more)),
        )

    body = to_be_signed()
    if log:
        promise = log.promise(body, signer.spki, promised)
        if spoil:
            promise = spoil(promise)
        listed = len(promise).to_bytes(2, "big") + promise
        body = to_be_signed([extension(PROMISES, der.octets(len(listed).to_bytes(2, "big") + listed))])
    encoded = der.sequence(body, algorithm(signer.kind), der.bits(signer.sign(body)))
    return Certificate(encoded, subject, key, issuer)


def authority(subject, key, validity, issuer=None, path_length=None, purpose=None):
    extensions = [usage(5, 6), basic_constraints(path_length)]
    if purpose:
        extensions.append(extended_usage(purpose))
    return issue(subject, key, validity, extensions, issuer)


class CertificateLog:
    """A certificate transparency log, as far as signers see it: its promises."""

    def __init__(self, url, key):
        self.url = url
        self.key = key
        self.identifier = hashlib.sha256(key.spki).digest()

    def promise(self, precertificate, issuer_spki, seconds):
        """A SignedCertificateTimestamp over a precertificate's TBSCertificate (RFC 6962, section 3.2)."""
        milliseconds = (int(seconds * 1000)).to_bytes(8, "big")
        signed = (
            b"\0\0" + milliseconds + b"\0\1" + hashlib.sha256(issuer_spki).digest()
            + len(precertificate).to_bytes(3, "big") + precertificate + b"\0\0"
        )
        signature = self.key.sign(signed)
        algorithms = b"\4\3" if self.key.kind == "p256" else b"\4\1"
        return b"\0" + self.identifier + milliseconds + b"\0\0" + algorithms + len(signature).to_bytes(2, "big") + signature
