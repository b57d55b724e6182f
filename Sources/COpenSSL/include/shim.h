#ifndef COUNTERSIGN_COPENSSL_SHIM_H
#define COUNTERSIGN_COPENSSL_SHIM_H

// What PKI needs from OpenSSL 3, as a handful of typed functions. No OpenSSL header reaches Swift: its macros, generic
// stacks and ownership rules stay in the .c files. Every function clears the calling thread's error queue on entry,
// and writes the reason of a failure into `reason` (always terminated) before it returns.

#include <stddef.h>
#include <stdint.h>

/// A key, public or private: OpenSSL's EVP_PKEY, reference counted and not changed after it was made.
typedef struct evp_pkey_st CountersignKey;

/// How a signature is made.
enum {
    COUNTERSIGN_RSA_PKCS1 = 0,
    COUNTERSIGN_RSA_PSS = 1,
    COUNTERSIGN_ECDSA = 2,
    COUNTERSIGN_ED25519 = 3,
};

/// The parameters of a signature. Digests are OpenSSL's names ("SHA256"); null for Ed25519, which has its own.
typedef struct {
    int scheme;
    const char *digest;
    const char *mgf1_digest;  // RSA-PSS only
    int salt_length;          // RSA-PSS only
} CountersignSignatureParameters;

/// Room enough for every reason.
#define COUNTERSIGN_REASON_SIZE 256

/// The public key in a SubjectPublicKeyInfo, or null. No byte may be left over.
CountersignKey *countersign_public_key(const uint8_t *spki, size_t length, char *reason);

/// The private key in a PKCS#8 PrivateKeyInfo, a PKCS#1 RSAPrivateKey or a SEC1 ECPrivateKey, or null.
CountersignKey *countersign_private_key(const uint8_t *der, size_t length, char *reason);

/// A new private key. `kind` is "RSA" (with `bits`), "ED25519", or the name of a curve such as "P-256".
CountersignKey *countersign_generate_key(const char *kind, int bits, char *reason);

/// Gives up one reference.
void countersign_key_free(CountersignKey *key);

/// The SubjectPublicKeyInfo of a key. Writes it when `capacity` is large enough; returns its length, or -1.
long countersign_key_spki(CountersignKey *key, uint8_t *output, size_t capacity, char *reason);

/// The PKCS#8 PrivateKeyInfo of a private key. Writes it when `capacity` is large enough; returns its length, or -1.
long countersign_key_pkcs8(CountersignKey *key, uint8_t *output, size_t capacity, char *reason);

/// 1: the signature is the key's over the message; 0: it is not; -1: it could not be checked (wrong kind of key,
/// unknown digest).
int countersign_verify(
    CountersignKey *key, CountersignSignatureParameters parameters, const uint8_t *message, size_t message_length,
    const uint8_t *signature, size_t signature_length, char *reason);

/// The same for something of which no more than the digest is known, by the digest of the parameters. Not for Ed25519.
int countersign_verify_digest(
    CountersignKey *key, CountersignSignatureParameters parameters, const uint8_t *digest, size_t digest_length,
    const uint8_t *signature, size_t signature_length, char *reason);

/// Signs. Writes the signature when `capacity` is large enough; returns its length (with `capacity` 0: an upper bound
/// of it), or -1.
long countersign_sign(
    CountersignKey *key, CountersignSignatureParameters parameters, const uint8_t *message, size_t message_length,
    uint8_t *signature, size_t capacity, char *reason);

/// The digest of data, into `output` with room for 64 bytes. Returns its length, or -1 for an unknown name.
int countersign_digest(const char *name, const uint8_t *data, size_t length, uint8_t *output);

/// Whether OpenSSL's own parser accepts this DER as one certificate with no byte left over. Used by tests, to compare.
int countersign_accepts_certificate(const uint8_t *der, size_t length);

/// What a PKCS #12 file may have.
typedef struct {
    long iterations;        // of one derivation of a key
    long total_iterations;  // of all of them
    int certificates;
    int bags;
} CountersignPKCS12Limits;

/// How reading a PKCS #12 file ended.
enum {
    COUNTERSIGN_PKCS12_OK = 0,
    COUNTERSIGN_PKCS12_MALFORMED = 1,
    COUNTERSIGN_PKCS12_TOO_LARGE = 2,
    COUNTERSIGN_PKCS12_UNSUPPORTED = 3,
    COUNTERSIGN_PKCS12_PASSWORD = 4,
    COUNTERSIGN_PKCS12_NEEDS_LEGACY = 5,
};

/// Takes one certificate, whose memory is valid for the call.
typedef void (*CountersignTakeCertificate)(void *receiver, const uint8_t *der, size_t length);

/// Gives the certificates of a PKCS #12 file (RFC 7292), in its order, to `take`, and says whether it holds a private
/// key, which is never decrypted. With a null password both forms of an empty one are tried. Some certificates may have
/// been given when it fails.
int countersign_pkcs12_certificates(
    const uint8_t *der, size_t length, const char *password, const CountersignPKCS12Limits *limits,
    CountersignTakeCertificate take, void *receiver, int *has_key, char *reason);

/// A key from a password by scrypt (RFC 7914), in at most so much memory. 1, or 0 with the reason.
int countersign_scrypt(
    const uint8_t *password, size_t password_length, const uint8_t *salt, size_t salt_length, uint64_t cost,
    uint64_t block_size, uint64_t parallelization, uint64_t maximum_memory, uint8_t *output, size_t length,
    char *reason);

/// The Poly1305 tag (RFC 8439, section 2.5), 16 bytes, of data under a key of 32 bytes. 1, or 0 with the reason.
int countersign_poly1305(const uint8_t *key, const uint8_t *data, size_t length, uint8_t *output, char *reason);

/// Whether bytes are the same, found out in a time that does not depend on where they differ.
int countersign_same(const uint8_t *left, const uint8_t *right, size_t length);

/// Overwrites memory in a way that the compiler does not remove.
void countersign_cleanse(void *memory, size_t length);

#endif
