#!/usr/bin/env python3
"""Writes inputs as large as the limits allow, of shapes that cost much: make-large.py DIRECTORY.

A fuzzer stays with short inputs; what a parser does with memory and time shows in long ones. Each is run once.
"""

import base64
import json
import pathlib
import sys

MIB = 1 << 20


def url(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


HEADER = json.dumps(
    {
        "alg": "PS256", "cty": "application/vnd.cncf.notary.payload.v1+json", "crit": ["io.cncf.notary.signingScheme"],
        "io.cncf.notary.signingScheme": "notary.x509", "io.cncf.notary.signingTime": "2026-06-01T12:00:00Z",
    }
).encode()


def jws(payload=b"{}", protected=HEADER, certificates=("AA==",)):
    return json.dumps(
        {"payload": url(payload), "protected": url(protected), "header": {"x5c": list(certificates)}, "signature": "AA"}
    ).encode()


def head(kind, number):
    return bytes([kind << 5 | 27]) + number.to_bytes(8, "big")


def der(tag, content):
    length = len(content)
    size = (length.bit_length() + 7) // 8
    return bytes([tag]) + (bytes([length]) if length < 128 else bytes([128 | size]) + length.to_bytes(size, "big")) + content


def crl(count):
    algorithm = der(0x30, bytes.fromhex("06082a8648ce3d040302"))
    name = der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403") + der(0x0C, b"ca"))))
    entries = b"".join(
        der(0x30, der(2, (number | 1 << 30).to_bytes(4, "big")) + der(0x17, b"240101000000Z")) for number in range(count)
    )
    times = der(0x17, b"240101000000Z") + der(0x17, b"490101000000Z")
    signed = der(0x30, der(2, b"\1") + algorithm + name + times + der(0x30, entries))
    return der(0x30, signed + algorithm + der(3, b"\0\1\2\3"))


def shapes():
    names = [f"a{number}" for number in range(200_000)]
    critical = json.dumps({"crit": names, **dict.fromkeys(names, 1)}).encode()
    text = b'{"targetArtifact":{"annotations":{"k":"%s"}}}'
    array = b"[" + b"[1]," * MIB + b"1]"
    yield "json", "arrays", array
    yield "json", "names", json.dumps(dict.fromkeys(names, 1)).encode()
    yield "manifest", "layers", b'{"schemaVersion":2,"layers":' + array + b"}"
    yield "index", "manifests", b'{"schemaVersion":2,"manifests":' + array + b"}"
    yield "jws", "payload", jws(payload=text % (b"x" * (7 * MIB)))
    yield "jws", "escapes", jws(payload=text % (b"\\u00e9" * MIB))
    yield "jws", "critical", jws(protected=critical)
    yield "jws", "certificate", jws(certificates=[base64.b64encode(b"0" * (7 * MIB)).decode()])
    yield "jws", "certificates", jws(certificates=["AA=="] * MIB)
    yield "cose", "payload", b"\xd2\x84\x41\xa0\xa0" + head(2, 10 * MIB - 32) + b"x" * (10 * MIB - 32) + b"\x40"
    yield "cose", "items", b"\xd2\x84\x41\xa0\xa1\x01" + head(4, 9 * MIB) + b"\x01" * (9 * MIB) + b"\x41\x00\x41\x00"
    yield "cbor", "map", head(5, MIB) + b"".join(head(0, number) + b"\x01" for number in range(MIB))
    yield "cbor", "arrays", head(4, 4 * MIB) + b"\x81\x01" * (4 * MIB)
    yield "payload", "metadata", b'{"targetArtifact":{"annotations":%s}}' % json.dumps(dict.fromkeys(names, "")).encode()
    yield "pem", "lines", b"\n" * MIB
    yield "pem", "headers", b"-----BEGIN A-----\n" + b"a:b\n" * 250_000 + b"AAAA\n-----END A-----\n"
    yield "crl", "entries", crl(100_000)
    yield "timestamp", "elements", b"\x30\x80" + b"\x30\x00" * 60_000 + b"\0\0"
    yield "timestamp", "depth", b"\x30\x80" * 63 + b"\x05\x00" * 60_000 + b"\0\0" * 63
    yield "challenge", "challenges", b"Basic a=b," * 1_600
    yield "link", "links", b"<a>;" * 8_000
    yield "provider-request", "keys", json.dumps(
        {"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": {"keys": names}}
    ).encode()


def main():
    directory = pathlib.Path(sys.argv[1])
    for target, name, content in shapes():
        folder = directory / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
