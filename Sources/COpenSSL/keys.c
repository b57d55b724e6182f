#include "shim.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

// Whoever initialises OpenSSL first decides whether it frees its tables in an exit handler. Threads of ours may still be in
// it then (a connection that closes while a command exits): a crash, seen once in a long run. So it is decided here, before main.
__attribute__((constructor)) static void keep_tables_at_exit(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

// The last error of this thread's queue, as text, and an empty queue.
static void explain(char *reason) {
    unsigned long code = ERR_peek_last_error();
    if (code == 0) {
        strncpy(reason, "OpenSSL gave no reason", COUNTERSIGN_REASON_SIZE - 1);
    } else {
        const char *text = ERR_reason_error_string(code);
        if (text != NULL) {
            strncpy(reason, text, COUNTERSIGN_REASON_SIZE - 1);
        } else {
            ERR_error_string_n(code, reason, COUNTERSIGN_REASON_SIZE);
        }
    }
    reason[COUNTERSIGN_REASON_SIZE - 1] = 0;
    ERR_clear_error();
}

static void say(char *reason, const char *text) {
    strncpy(reason, text, COUNTERSIGN_REASON_SIZE - 1);
    reason[COUNTERSIGN_REASON_SIZE - 1] = 0;
    ERR_clear_error();
}

CountersignKey *countersign_public_key(const uint8_t *spki, size_t length, char *reason) {
    ERR_clear_error();
    if (length > LONG_MAX) {
        say(reason, "too long");
        return NULL;
    }
    const unsigned char *cursor = spki;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &cursor, (long)length);
    if (key == NULL) {
        explain(reason);
        return NULL;
    }
    if (cursor != spki + length) {
        EVP_PKEY_free(key);
        say(reason, "bytes follow the public key");
        return NULL;
    }
    ERR_clear_error();
    return key;
}

CountersignKey *countersign_private_key(const uint8_t *der, size_t length, char *reason) {
    ERR_clear_error();
    if (length > LONG_MAX) {
        say(reason, "too long");
        return NULL;
    }
    const unsigned char *cursor = der;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &cursor, (long)length);
    if (key == NULL) {
        explain(reason);
        return NULL;
    }
    if (cursor != der + length) {
        EVP_PKEY_free(key);
        say(reason, "bytes follow the private key");
        return NULL;
    }
    ERR_clear_error();
    return key;
}

CountersignKey *countersign_generate_key(const char *kind, int bits, char *reason) {
    ERR_clear_error();
    EVP_PKEY *key;
    if (strcmp(kind, "RSA") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    } else if (strcmp(kind, "ED25519") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    }
    if (key == NULL) explain(reason);
    return key;
}

void countersign_key_free(CountersignKey *key) { EVP_PKEY_free(key); }

long countersign_key_spki(CountersignKey *key, uint8_t *output, size_t capacity, char *reason) {
    ERR_clear_error();
    int length = i2d_PUBKEY(key, NULL);
    if (length <= 0) {
        explain(reason);
        return -1;
    }
    if ((size_t)length <= capacity) {
        unsigned char *cursor = output;
        if (i2d_PUBKEY(key, &cursor) != length) {
            explain(reason);
            return -1;
        }
    }
    return length;
}

long countersign_key_pkcs8(CountersignKey *key, uint8_t *output, size_t capacity, char *reason) {
    ERR_clear_error();
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    if (info == NULL) {
        explain(reason);
        return -1;
    }
    int length = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
    if (length > 0 && (size_t)length <= capacity) {
        unsigned char *cursor = output;
        if (i2d_PKCS8_PRIV_KEY_INFO(info, &cursor) != length) length = -1;
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    if (length <= 0) {
        explain(reason);
        return -1;
    }
    return length;
}

// Only the kind of key that the scheme names: a signature algorithm must never run with another kind of key.
static int key_fits(EVP_PKEY *key, int scheme) {
    int id = EVP_PKEY_get_base_id(key);
    switch (scheme) {
    case COUNTERSIGN_RSA_PKCS1: return id == EVP_PKEY_RSA;
    case COUNTERSIGN_RSA_PSS: return id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS;
    case COUNTERSIGN_ECDSA: return id == EVP_PKEY_EC;
    case COUNTERSIGN_ED25519: return id == EVP_PKEY_ED25519;
    default: return 0;
    }
}

// Sets what RSA needs beside the digest. At most 0 for what cannot be set.
static int set_padding(EVP_PKEY_CTX *context, CountersignSignatureParameters parameters) {
    if (parameters.scheme == COUNTERSIGN_RSA_PKCS1) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING);
    if (parameters.scheme != COUNTERSIGN_RSA_PSS) return 1;
    const EVP_MD *mgf1 = parameters.mgf1_digest == NULL ? NULL : EVP_get_digestbyname(parameters.mgf1_digest);
    if (mgf1 == NULL || parameters.salt_length < 0) return 0;
    int good = EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING);
    if (good > 0) good = EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf1);
    if (good > 0) good = EVP_PKEY_CTX_set_rsa_pss_saltlen(context, parameters.salt_length);
    return good;
}

// A context ready to sign or verify, or null.
static EVP_MD_CTX *prepare(EVP_PKEY *key, CountersignSignatureParameters parameters, int sign, char *reason) {
    if (!key_fits(key, parameters.scheme)) {
        say(reason, "the key is of another kind than the signature algorithm");
        return NULL;
    }
    const EVP_MD *digest = NULL;
    if (parameters.scheme != COUNTERSIGN_ED25519) {
        digest = parameters.digest == NULL ? NULL : EVP_get_digestbyname(parameters.digest);
        if (digest == NULL) {
            say(reason, "unknown digest");
            return NULL;
        }
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) {
        explain(reason);
        return NULL;
    }
    EVP_PKEY_CTX *key_context = NULL;  // owned by the context
    int good = sign ? EVP_DigestSignInit(context, &key_context, digest, NULL, key)
                    : EVP_DigestVerifyInit(context, &key_context, digest, NULL, key);
    if (good > 0) good = set_padding(key_context, parameters);
    if (good <= 0) {
        EVP_MD_CTX_free(context);
        explain(reason);
        return NULL;
    }
    return context;
}

int countersign_verify(
    CountersignKey *key, CountersignSignatureParameters parameters, const uint8_t *message, size_t message_length,
    const uint8_t *signature, size_t signature_length, char *reason) {
    ERR_clear_error();
    EVP_MD_CTX *context = prepare(key, parameters, 0, reason);
    if (context == NULL) return -1;
    int answer = EVP_DigestVerify(context, signature, signature_length, message, message_length);
    EVP_MD_CTX_free(context);
    if (answer != 1) {
        // OpenSSL answers 0 or a negative number for a signature of the wrong form: either way it is not valid.
        explain(reason);
        return 0;
    }
    ERR_clear_error();
    return 1;
}

int countersign_verify_digest(
    CountersignKey *key, CountersignSignatureParameters parameters, const uint8_t *digest, size_t digest_length,
    const uint8_t *signature, size_t signature_length, char *reason) {
    ERR_clear_error();
    if (!key_fits(key, parameters.scheme) || parameters.scheme == COUNTERSIGN_ED25519) {
        say(reason, "the key is of another kind than the signature algorithm, or signs no digest");
        return -1;
    }
    const EVP_MD *hash = parameters.digest == NULL ? NULL : EVP_get_digestbyname(parameters.digest);
    if (hash == NULL || digest_length != (size_t)EVP_MD_get_size(hash)) {
        say(reason, "unknown digest, or one of another length");
        return -1;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    int good = context == NULL ? 0 : EVP_PKEY_verify_init(context);
    if (good > 0) good = set_padding(context, parameters);
    if (good > 0) good = EVP_PKEY_CTX_set_signature_md(context, hash);
    if (good <= 0) {
        EVP_PKEY_CTX_free(context);
        explain(reason);
        return -1;
    }
    int answer = EVP_PKEY_verify(context, signature, signature_length, digest, digest_length);
    EVP_PKEY_CTX_free(context);
    if (answer != 1) {
        explain(reason);
        return 0;
    }
    ERR_clear_error();
    return 1;
}

long countersign_sign(
    CountersignKey *key, CountersignSignatureParameters parameters, const uint8_t *message, size_t message_length,
    uint8_t *signature, size_t capacity, char *reason) {
    ERR_clear_error();
    if (capacity == 0) {
        int size = EVP_PKEY_get_size(key);
        if (size <= 0) {
            explain(reason);
            return -1;
        }
        return size;
    }
    EVP_MD_CTX *context = prepare(key, parameters, 1, reason);
    if (context == NULL) return -1;
    size_t length = capacity;
    int good = EVP_DigestSign(context, signature, &length, message, message_length);
    EVP_MD_CTX_free(context);
    if (good <= 0 || length > capacity) {
        explain(reason);
        return -1;
    }
    ERR_clear_error();
    return (long)length;
}

int countersign_digest(const char *name, const uint8_t *data, size_t length, uint8_t *output) {
    ERR_clear_error();
    const EVP_MD *digest = EVP_get_digestbyname(name);
    unsigned int size = 0;
    if (digest == NULL || EVP_MD_get_size(digest) > 64 || EVP_Digest(data, length, output, &size, digest, NULL) != 1) {
        ERR_clear_error();
        return -1;
    }
    return (int)size;
}

int countersign_accepts_certificate(const uint8_t *der, size_t length) {
    ERR_clear_error();
    if (length > LONG_MAX) return 0;
    const unsigned char *cursor = der;
    X509 *certificate = d2i_X509(NULL, &cursor, (long)length);
    int accepted = certificate != NULL && cursor == der + length;
    X509_free(certificate);
    ERR_clear_error();
    return accepted;
}

void countersign_cleanse(void *memory, size_t length) { OPENSSL_cleanse(memory, length); }
