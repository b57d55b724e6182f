#include "shim.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

// The algorithms of old files (RC2, RC4) live in the legacy provider. They are loaded into a context of their own, which
// nothing else of the process sees.
static OSSL_LIB_CTX *context = NULL;
static int has_legacy = 0;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static void prepare(void) {
    ERR_set_mark();
    context = OSSL_LIB_CTX_new();
    if (context != NULL && OSSL_PROVIDER_load(context, "default") != NULL) {
        has_legacy = OSSL_PROVIDER_load(context, "legacy") != NULL;
    }
    ERR_pop_to_mark();
}

typedef struct {
    const CountersignPKCS12Limits *limits;
    CountersignTakeCertificate take;
    void *receiver;
    char *reason;
    // What was spent so far.
    long iterations;
    int certificates;
    int bags;
    int has_key;
    // The password that the file goes by, once that is known.
    const char *password;
    int is_password_known;
} Reading;

static int say(Reading *reading, int code, const char *text) {
    strncpy(reading->reason, text, COUNTERSIGN_REASON_SIZE - 1);
    reading->reason[COUNTERSIGN_REASON_SIZE - 1] = 0;
    return code;
}

static int malformed(Reading *reading, const char *text) { return say(reading, COUNTERSIGN_PKCS12_MALFORMED, text); }

// Counts iterations before they are made: a file that asks for more than the limits costs nothing.
static int spend(Reading *reading, const ASN1_INTEGER *count) {
    int64_t value = 1;
    if (count != NULL && ASN1_INTEGER_get_int64(&value, count) != 1) value = INT64_MAX;
    if (value < 1) return malformed(reading, "a count of iterations that is not positive");
    if (value > reading->limits->iterations || value > reading->limits->total_iterations - reading->iterations) {
        return say(reading, COUNTERSIGN_PKCS12_TOO_LARGE, "more iterations of its password than are accepted");
    }
    reading->iterations += (long)value;
    return COUNTERSIGN_PKCS12_OK;
}

// Which provider an algorithm needs, and how much it costs. Only what is listed is decrypted.
static int check_algorithm(Reading *reading, const X509_ALGOR *algorithm) {
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    int result;
    switch (OBJ_obj2nid(object)) {
        case NID_pbe_WithSHA1And40BitRC2_CBC:
        case NID_pbe_WithSHA1And128BitRC2_CBC:
        case NID_pbe_WithSHA1And40BitRC4:
        case NID_pbe_WithSHA1And128BitRC4:
            if (!has_legacy) {
                return say(reading, COUNTERSIGN_PKCS12_NEEDS_LEGACY, "RC2 or RC4, which OpenSSL's legacy provider has");
            }
            // Fall through.
        case NID_pbe_WithSHA1And3_Key_TripleDES_CBC:
        case NID_pbe_WithSHA1And2_Key_TripleDES_CBC: {
            if (type != V_ASN1_SEQUENCE) return malformed(reading, "an encryption without parameters");
            PBEPARAM *parameters = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM));
            if (parameters == NULL) return malformed(reading, "an encryption whose parameters cannot be read");
            result = spend(reading, parameters->iter);
            PBEPARAM_free(parameters);
            return result;
        }
        case NID_pbes2: {
            if (type != V_ASN1_SEQUENCE) return malformed(reading, "an encryption without parameters");
            PBE2PARAM *outer = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM));
            if (outer == NULL) return malformed(reading, "an encryption whose parameters cannot be read");
            X509_ALGOR_get0(&object, &type, &value, outer->keyfunc);
            if (OBJ_obj2nid(object) != NID_id_pbkdf2) {
                // scrypt takes as much memory as the file says.
                result = say(reading, COUNTERSIGN_PKCS12_UNSUPPORTED, "a key derivation other than PBKDF2");
            } else {
                PBKDF2PARAM *inner = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBKDF2PARAM)) : NULL;
                result = inner == NULL ? malformed(reading, "a PBKDF2 whose parameters cannot be read")
                                       : spend(reading, inner->iter);
                PBKDF2PARAM_free(inner);
            }
            PBE2PARAM_free(outer);
            return result;
        }
        default: return say(reading, COUNTERSIGN_PKCS12_UNSUPPORTED, "an encryption that is not known");
    }
}

static int read_certificate(Reading *reading, const PKCS12_SAFEBAG *bag) {
    if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate) {
        return say(reading, COUNTERSIGN_PKCS12_UNSUPPORTED, "a certificate that is not of X.509");
    }
    if (++reading->certificates > reading->limits->certificates) {
        return say(reading, COUNTERSIGN_PKCS12_TOO_LARGE, "more certificates than are accepted");
    }
    X509 *certificate = PKCS12_SAFEBAG_get1_cert(bag);
    if (certificate == NULL) return malformed(reading, "a certificate that cannot be read");
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    X509_free(certificate);
    if (length <= 0) return malformed(reading, "a certificate that cannot be encoded");
    reading->take(reading->receiver, der, (size_t)length);
    OPENSSL_free(der);
    return COUNTERSIGN_PKCS12_OK;
}

static int read_bags(Reading *reading, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth) {
    for (int index = 0; index < sk_PKCS12_SAFEBAG_num(bags); index++) {
        const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, index);
        if (++reading->bags > reading->limits->bags) {
            return say(reading, COUNTERSIGN_PKCS12_TOO_LARGE, "more parts than are accepted");
        }
        int result = COUNTERSIGN_PKCS12_OK;
        switch (PKCS12_SAFEBAG_get_nid(bag)) {
            case NID_certBag: result = read_certificate(reading, bag); break;
            // Private keys stay as they are, encrypted mostly: nobody asks for them.
            case NID_keyBag:
            case NID_pkcs8ShroudedKeyBag: reading->has_key = 1; break;
            case NID_safeContentsBag:
                if (depth >= 4) return say(reading, COUNTERSIGN_PKCS12_TOO_LARGE, "parts too deep in one another");
                result = read_bags(reading, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
                break;
            default: break;
        }
        if (result != COUNTERSIGN_PKCS12_OK) return result;
    }
    return COUNTERSIGN_PKCS12_OK;
}

// Decrypts one part, with the file's password or, when no MAC told which that is, with both forms of an empty one.
static STACK_OF(PKCS12_SAFEBAG) * decrypt(Reading *reading, PKCS7 *part) {
    if (reading->is_password_known) return PKCS12_unpack_p7encdata(part, reading->password, reading->password == NULL ? 0 : (int)strlen(reading->password));
    const char *forms[] = {"", NULL};
    for (int index = 0; index < 2; index++) {
        STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7encdata(part, forms[index], 0);
        if (bags != NULL) {
            reading->password = forms[index];
            reading->is_password_known = 1;
            return bags;
        }
    }
    return NULL;
}

static int read_part(Reading *reading, PKCS7 *part) {
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
    if (PKCS7_type_is_data(part)) {
        bags = PKCS12_unpack_p7data(part);
        if (bags == NULL) return malformed(reading, "a part that cannot be read");
    } else if (PKCS7_type_is_encrypted(part)) {
        if (part->d.encrypted == NULL || part->d.encrypted->enc_data == NULL || part->d.encrypted->enc_data->algorithm == NULL) {
            return malformed(reading, "an encrypted part without content");
        }
        int result = check_algorithm(reading, part->d.encrypted->enc_data->algorithm);
        if (result != COUNTERSIGN_PKCS12_OK) return result;
        bags = decrypt(reading, part);
        if (bags == NULL) {
            return reading->is_password_known ? malformed(reading, "an encrypted part that cannot be read")
                                              : say(reading, COUNTERSIGN_PKCS12_PASSWORD, "a part needs a password");
        }
    } else {
        return say(reading, COUNTERSIGN_PKCS12_UNSUPPORTED, "a part that is encrypted with a public key");
    }
    int result = read_bags(reading, bags, 0);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return result;
}

// The MAC tells whether the password is right, and which form of an empty one was meant.
static int check_mac(Reading *reading, PKCS12 *file, const char *password) {
    if (!PKCS12_mac_present(file)) {
        if (password != NULL) {
            reading->password = password;
            reading->is_password_known = 1;
        }
        return COUNTERSIGN_PKCS12_OK;
    }
    const ASN1_INTEGER *iterations = NULL;
    const X509_ALGOR *algorithm = NULL;
    PKCS12_get0_mac(NULL, &algorithm, NULL, &iterations, file);
    const ASN1_OBJECT *object = NULL;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    switch (OBJ_obj2nid(object)) {
        case NID_sha1: case NID_sha224: case NID_sha256: case NID_sha384: case NID_sha512: break;
        default: return say(reading, COUNTERSIGN_PKCS12_UNSUPPORTED, "a MAC that is not known");
    }
    const char *forms[] = {password == NULL ? "" : password, NULL};
    int count = password == NULL ? 2 : 1;
    for (int index = 0; index < count; index++) {
        int result = spend(reading, iterations);
        if (result != COUNTERSIGN_PKCS12_OK) return result;
        int length = forms[index] == NULL ? 0 : (int)strlen(forms[index]);
        if (PKCS12_verify_mac(file, forms[index], length) == 1) {
            reading->password = forms[index];
            reading->is_password_known = 1;
            return COUNTERSIGN_PKCS12_OK;
        }
    }
    return say(reading, COUNTERSIGN_PKCS12_PASSWORD, "its MAC does not go with the password");
}

int countersign_pkcs12_certificates(
    const uint8_t *der, size_t length, const char *password, const CountersignPKCS12Limits *limits,
    CountersignTakeCertificate take, void *receiver, int *has_key, char *reason) {
    ERR_clear_error();
    Reading reading = {.limits = limits, .take = take, .receiver = receiver, .reason = reason};
    *has_key = 0;
    if (length > INT_MAX) return say(&reading, COUNTERSIGN_PKCS12_TOO_LARGE, "too long");
    if (CRYPTO_THREAD_run_once(&once, prepare) != 1 || context == NULL) {
        return say(&reading, COUNTERSIGN_PKCS12_UNSUPPORTED, "OpenSSL's default provider cannot be loaded");
    }
    PKCS12 *file = PKCS12_init_ex(NID_pkcs7_data, context, NULL);
    if (file == NULL) return malformed(&reading, "no memory");
    const unsigned char *cursor = der;
    // On failure it frees what it was given.
    if (d2i_PKCS12(&file, &cursor, (long)length) == NULL) {
        ERR_clear_error();
        return malformed(&reading, "it is not of the format");
    }
    int result = COUNTERSIGN_PKCS12_OK;
    STACK_OF(PKCS7) *parts = NULL;
    if (cursor != der + length) {
        result = malformed(&reading, "bytes follow it");
    } else {
        result = check_mac(&reading, file, password);
    }
    if (result == COUNTERSIGN_PKCS12_OK) {
        parts = PKCS12_unpack_authsafes(file);
        if (parts == NULL) result = malformed(&reading, "its content cannot be read");
    }
    if (result == COUNTERSIGN_PKCS12_OK && sk_PKCS7_num(parts) > limits->bags) {
        result = say(&reading, COUNTERSIGN_PKCS12_TOO_LARGE, "more parts than are accepted");
    }
    for (int index = 0; result == COUNTERSIGN_PKCS12_OK && index < sk_PKCS7_num(parts); index++) {
        result = read_part(&reading, sk_PKCS7_value(parts, index));
    }
    sk_PKCS7_pop_free(parts, PKCS7_free);
    PKCS12_free(file);
    ERR_clear_error();
    *has_key = reading.has_key;
    return result;
}
