"""DER (X.690), as much of it as certificates and timestamp queries need."""
import base64
from datetime import datetime, timezone


def element(tag, *parts):
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def sequence(*parts):
    return element(0x30, *parts)


def set_of(*parts):
    return element(0x31, *sorted(parts))


def context(number, *parts, constructed=True):
    return element((0xA0 if constructed else 0x80) | number, *parts)


def integer(value):
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(value):
    return element(0x01, b"\xff" if value else b"\x00")


def octets(content):
    return element(0x04, content)


def bits(content, unused=0):
    return element(0x03, bytes([unused]), content)


def utf8(text):
    return element(0x0C, text.encode())


NULL = element(0x05)


def identifier(text):
    first, second, *rest = (int(part) for part in text.split("."))
    content = b""
    for number in [40 * first + second] + rest:
        group = [number & 0x7F]
        while number > 0x7F:
            number >>= 7
            group.append(0x80 | number & 0x7F)
        content += bytes(reversed(group))
    return element(0x06, content)


def time(seconds):
    """UTCTime: seconds since 1970, before 2050."""
    return element(0x17, datetime.fromtimestamp(seconds, timezone.utc).strftime("%y%m%d%H%M%SZ").encode())


def name(*parts):
    """A distinguished name of organization and common name; nothing gives the empty name."""
    types = ["2.5.4.10", "2.5.4.3"]
    return sequence(*(set_of(sequence(identifier(kind), utf8(text))) for kind, text in zip(types, parts)))


def pem(label, content):
    text = base64.b64encode(content).decode()
    lines = [text[start:start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
