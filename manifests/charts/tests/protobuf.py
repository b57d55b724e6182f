"""Secrets as Helm sends them: Helm writes its releases in Kubernetes' protobuf encoding, everything else as JSON."""

import base64

MAGIC = b"k8s\0"


def fields(data):
    """(number, value) of a protobuf message: bytes for length-delimited fields, numbers for the others."""
    position = 0

    def varint():
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    while position < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 2:
            length = varint()
            yield tag >> 3, data[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {tag & 7} is not expected in a Secret")


def pairs(data, number):
    """A map: repeated entries with key 1 and value 2."""
    entries = [dict(fields(value)) for found, value in fields(data) if found == number]
    return {e[1].decode(): e.get(2, b"") for e in entries}


def secret(body):
    """The Secret in a request's body, as JSON has it."""
    envelope = dict(fields(body[len(MAGIC) :]))
    kind = dict(fields(envelope[1]))
    assert (kind[1], kind[2]) == (b"v1", b"Secret"), kind
    message = dict(fields(envelope[2]))
    metadata = dict(fields(message[1]))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata[1].decode(),
            **({"namespace": metadata[3].decode()} if metadata.get(3) else {}),
            "labels": {k: v.decode() for k, v in pairs(message[1], 11).items()},
            "annotations": {k: v.decode() for k, v in pairs(message[1], 12).items()},
        },
        "type": message.get(3, b"Opaque").decode(),
        "data": {k: base64.b64encode(v).decode() for k, v in pairs(envelope[2], 2).items()},
    }
