"""Keys and signatures by OpenSSL's library, and timestamps by its command: what makes instances needs no package."""
import concurrent.futures
import ctypes
import ctypes.util
import os
import subprocess


def _library():
    name = ctypes.util.find_library("crypto") or "libcrypto.so.3"
    library = ctypes.CDLL(name)
    pointer, size, integer, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p
    for function, result, arguments in [
        ("EVP_PKEY_CTX_new_from_name", pointer, [pointer, text, text]),
        ("EVP_PKEY_CTX_free", None, [pointer]),
        ("EVP_PKEY_keygen_init", integer, [pointer]),
        ("EVP_PKEY_CTX_set_group_name", integer, [pointer, text]),
        ("EVP_PKEY_CTX_set_rsa_keygen_bits", integer, [pointer, integer]),
        ("EVP_PKEY_generate", integer, [pointer, pointer]),
        ("EVP_PKEY_CTX_set_rsa_padding", integer, [pointer, integer]),
        ("EVP_PKEY_CTX_set_rsa_pss_saltlen", integer, [pointer, integer]),
        ("i2d_PUBKEY", integer, [pointer, pointer]),
        ("BIO_new", pointer, [pointer]),
        ("BIO_s_mem", pointer, []),
        ("BIO_read", integer, [pointer, pointer, integer]),
        ("BIO_free", integer, [pointer]),
        ("PEM_write_bio_PKCS8PrivateKey", integer, [pointer, pointer, pointer, pointer, integer, pointer, pointer]),
        ("EVP_MD_CTX_new", pointer, []),
        ("EVP_MD_CTX_free", None, [pointer]),
        ("EVP_get_digestbyname", pointer, [text]),
        ("EVP_DigestSignInit", integer, [pointer, pointer, pointer, pointer, pointer]),
        ("EVP_DigestSign", integer, [pointer, pointer, pointer, text, size]),
    ]:
        entry = getattr(library, function)
        entry.restype = result
        entry.argtypes = arguments
    return library


LIBRARY = _library()
CURVES = {"p256": b"P-256", "p384": b"P-384", "p521": b"P-521"}
USUAL_HASHES = {"p256": "sha256", "p384": "sha384", "p521": "sha512", "ed25519": None}


def _done(result):
    if result != 1:
        raise RuntimeError(f"OpenSSL answers {result}")


class Key:
    """A private key: p256, p384, p521, ed25519, rsa2048, rsa3072, rsa4096."""

    def __init__(self, kind="p256"):
        self.kind = kind
        name = b"EC" if kind in CURVES else b"ED25519" if kind == "ed25519" else b"RSA"
        context = LIBRARY.EVP_PKEY_CTX_new_from_name(None, name, None)
        _done(LIBRARY.EVP_PKEY_keygen_init(context))
        if kind in CURVES:
            _done(LIBRARY.EVP_PKEY_CTX_set_group_name(context, CURVES[kind]))
        elif kind != "ed25519":
            _done(LIBRARY.EVP_PKEY_CTX_set_rsa_keygen_bits(context, int(kind[3:])))
        key = ctypes.c_void_p()
        _done(LIBRARY.EVP_PKEY_generate(context, ctypes.byref(key)))
        LIBRARY.EVP_PKEY_CTX_free(context)
        self.key = key
        length = LIBRARY.i2d_PUBKEY(key, None)
        buffer = ctypes.create_string_buffer(length)
        start = ctypes.c_void_p(ctypes.addressof(buffer))
        LIBRARY.i2d_PUBKEY(key, ctypes.byref(start))
        # SubjectPublicKeyInfo, in DER.
        self.spki = buffer.raw

    @property
    def usual_hash(self):
        """The hash that the key signs with where nothing says another one; None for Ed25519."""
        return USUAL_HASHES.get(self.kind, "sha256")

    def sign(self, message, hash=None, pss=False):
        """A signature, with the key's usual hash or another one."""
        name = hash or self.usual_hash
        digest = LIBRARY.EVP_get_digestbyname(name.encode()) if name else None
        context = LIBRARY.EVP_MD_CTX_new()
        inner = ctypes.c_void_p()
        _done(LIBRARY.EVP_DigestSignInit(context, ctypes.byref(inner), digest, None, self.key))
        if pss:
            # RSA_PKCS1_PSS_PADDING, and a salt as long as the hash.
            _done(LIBRARY.EVP_PKEY_CTX_set_rsa_padding(inner, 6))
            _done(LIBRARY.EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, -1))
        length = ctypes.c_size_t(1024)
        buffer = ctypes.create_string_buffer(length.value)
        _done(LIBRARY.EVP_DigestSign(context, buffer, ctypes.byref(length), message, len(message)))
        LIBRARY.EVP_MD_CTX_free(context)
        return buffer.raw[:length.value]

    @property
    def private_pem(self):
        output = LIBRARY.BIO_new(LIBRARY.BIO_s_mem())
        _done(LIBRARY.PEM_write_bio_PKCS8PrivateKey(output, self.key, None, None, 0, None, None))
        buffer = ctypes.create_string_buffer(16384)
        count = LIBRARY.BIO_read(output, buffer, len(buffer))
        LIBRARY.BIO_free(output)
        return buffer.raw[:count]


_KEPT = {}
_POOL = concurrent.futures.ThreadPoolExecutor(3)


def prepare_keys(*kinds):
    """Has keys made in the background: large ones of RSA take a second."""
    for kind in kinds:
        if kind not in _KEPT:
            _KEPT[kind] = _POOL.submit(Key, kind)


def kept_key(kind):
    """A key that is made once for all who ask for one of its kind."""
    prepare_keys(kind)
    return _KEPT[kind].result()


TSA_CONFIGURATION = """\
[tsa]
default_tsa = instance
[instance]
dir = {directory}
serial = $dir/serial
signer_cert = $dir/certificate.pem
signer_key = $dir/key.pem
signer_digest = sha256
default_policy = 1.3.6.1.4.1.57264.2
digests = sha256, sha384, sha512
accuracy = secs:1
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TimestampServer:
    """`openssl ts`: its time is the machine's."""

    def __init__(self, directory, key, certificate_pem, chain_pem):
        self.directory = directory
        os.makedirs(directory)
        for name, content in [
            ("serial", b"01\n"), ("certificate.pem", certificate_pem), ("chain.pem", chain_pem),
            ("key.pem", key.private_pem), ("openssl.cnf", TSA_CONFIGURATION.format(directory=directory).encode()),
        ]:
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)

    def reply(self, query, with_chain=False):
        """The TimeStampResp to a TimeStampReq, both in DER (RFC 3161)."""
        path = os.path.join(self.directory, "query.tsq")
        with open(path, "wb") as file:
            file.write(query)
        chain = ["-chain", os.path.join(self.directory, "chain.pem")] if with_chain else []
        result = subprocess.run(
            ["openssl", "ts", "-reply", "-queryfile", path, "-config", os.path.join(self.directory, "openssl.cnf"), *chain],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
        )
        if result.returncode:
            raise RuntimeError("openssl ts: " + result.stderr.decode())
        return result.stdout
