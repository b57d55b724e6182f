// The authorities that servers are judged by. A bundle has about 140 certificates, of which a process ever needs a
// handful, and OpenSSL takes 0.15 ms and 10 KB to decode each. So a bundle is only looked over when it is read: each
// certificate's outline is checked, and its subject kept with its bytes. OpenSSL asks for an authority by its subject
// when it builds a chain; then, and only then, those with that subject are decoded and put into the store.
#include "CCurl.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/// A certificate that may be asked for.
struct authority {
    X509_NAME *subject;
    unsigned char *der;
    long length;
    /// Whether trust settings follow the certificate ("BEGIN TRUSTED CERTIFICATE").
    bool has_settings;
    /// Once it was asked for: kept as long as the trust, since OpenSSL is given it without a reference of its own.
    X509 *certificate;
};

struct ccurl_trust {
    X509_STORE *store;
    X509_LOOKUP_METHOD *method;
    /// Held while certificates are decoded: handshakes of several threads may ask for the same one.
    pthread_mutex_t decoding;
    struct authority *authorities;
    int count;
    int capacity;
};

/// Decodes one of the authorities; NULL when more than its outline is wrong with it. It is not trusted then.
static X509 *decoded(const struct authority *authority) {
    const unsigned char *position = authority->der;
    ERR_set_mark();
    X509 *certificate = authority->has_settings ? d2i_X509_AUX(NULL, &position, authority->length)
                                                : d2i_X509(NULL, &position, authority->length);
    if (certificate && position != authority->der + authority->length) {
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_pop_to_mark();
    return certificate;
}

/// OpenSSL asks for a certificate that the store does not hold. It asks without the store's lock; each answer goes into
/// the store, with all others of the same subject, since OpenSSL then looks for the right one there.
static int by_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name, X509_OBJECT *found) {
    ccurl_trust *trust = X509_LOOKUP_get_method_data(lookup);
    if (type != X509_LU_X509 || !trust || !name) return 0;
    int result = 0;
    pthread_mutex_lock(&trust->decoding);
    for (int index = 0; index < trust->count; index++) {
        struct authority *authority = &trust->authorities[index];
        if (X509_NAME_cmp(authority->subject, name) != 0) continue;
        if (!authority->certificate) authority->certificate = decoded(authority);
        if (!authority->certificate || !X509_STORE_add_cert(trust->store, authority->certificate)) continue;
        if (!result && X509_OBJECT_set1_X509(found, authority->certificate)) {
            // The caller takes a reference of its own, and never frees `found` (as with OpenSSL's own lookups).
            X509_free(authority->certificate);
            result = 1;
        }
    }
    pthread_mutex_unlock(&trust->decoding);
    return result;
}

ccurl_trust *ccurl_trust_new(void) {
    ccurl_trust *trust = calloc(1, sizeof *trust);
    if (!trust) return NULL;
    pthread_mutex_init(&trust->decoding, NULL);
    trust->store = X509_STORE_new();
    trust->method = X509_LOOKUP_meth_new("authorities by subject");
    X509_LOOKUP *lookup = NULL;
    if (trust->store && trust->method && X509_LOOKUP_meth_set_get_by_subject(trust->method, by_subject)) {
        lookup = X509_STORE_add_lookup(trust->store, trust->method);
    }
    if (!lookup || !X509_LOOKUP_set_method_data(lookup, trust)) {
        ccurl_trust_free(trust);
        return NULL;
    }
    // As libcurl itself sets: a certificate in the bundle is an anchor even when it is not self-signed.
    X509_STORE_set_flags(trust->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    return trust;
}

void ccurl_trust_free(ccurl_trust *trust) {
    X509_STORE_free(trust->store);
    X509_LOOKUP_meth_free(trust->method);
    for (int index = 0; index < trust->count; index++) {
        X509_free(trust->authorities[index].certificate);
        X509_NAME_free(trust->authorities[index].subject);
        OPENSSL_free(trust->authorities[index].der);
    }
    free(trust->authorities);
    pthread_mutex_destroy(&trust->decoding);
    free(trust);
}

/// Enters an element of DER that must have a tag, or goes past it. Returns false when it is not there or does not fit.
static bool element(const unsigned char **position, const unsigned char *end, int tag, bool enters) {
    const unsigned char *content = *position;
    long length = 0;
    int found = 0, class = 0;
    if (content >= end) return false;
    // 0x80 is an error, 1 an indefinite length, which DER has not.
    int form = ASN1_get_object(&content, &length, &found, &class, end - content);
    if (form & 0x81 || found != tag || class != V_ASN1_UNIVERSAL || length > end - content) return false;
    *position = enters ? content : content + length;
    return true;
}

/// The subject of a certificate (RFC 5280, section 4.1), found without decoding the rest; NULL when the bytes do not have
/// the outline of a certificate.
static X509_NAME *subject_of(const unsigned char *der, long length, bool has_settings) {
    const unsigned char *position = der, *end = der + length, *whole = der;
    if (!element(&whole, end, V_ASN1_SEQUENCE, false) || (whole != end && !has_settings)) return NULL;
    end = whole;
    if (!element(&position, end, V_ASN1_SEQUENCE, true)) return NULL;
    const unsigned char *signed_end = position;
    if (!element(&signed_end, end, V_ASN1_SEQUENCE, false)) return NULL;
    // After the signed part: the algorithm and the signature.
    const unsigned char *rest = signed_end;
    if (!element(&rest, end, V_ASN1_SEQUENCE, false) || !element(&rest, end, V_ASN1_BIT_STRING, false) || rest != end) {
        return NULL;
    }
    if (!element(&position, end, V_ASN1_SEQUENCE, true)) return NULL;
    // The version, [0], which certificates of version 1 do not have.
    if (position < signed_end && *position == 0xA0) {
        const unsigned char *content = position;
        long size = 0;
        int tag = 0, class = 0;
        if (ASN1_get_object(&content, &size, &tag, &class, signed_end - content) & 0x81) return NULL;
        if (size > signed_end - content) return NULL;
        position = content + size;
    }
    // Serial number, algorithm, issuer, validity.
    if (!element(&position, signed_end, V_ASN1_INTEGER, false)) return NULL;
    for (int count = 0; count < 3; count++) {
        if (!element(&position, signed_end, V_ASN1_SEQUENCE, false)) return NULL;
    }
    return d2i_X509_NAME(NULL, &position, signed_end - position);
}

/// Takes the bytes. Returns 1 when there is one more certificate, 0 when it was there already, -1 when it is none.
static int add_authority(ccurl_trust *trust, unsigned char *der, long length, bool has_settings) {
    struct authority *known = trust->authorities;
    for (int index = 0; index < trust->count; index++) {
        if (known[index].length != length || known[index].has_settings != has_settings) continue;
        if (memcmp(known[index].der, der, (size_t)length) == 0) {
            OPENSSL_free(der);
            return 0;
        }
    }
    X509_NAME *subject = subject_of(der, length, has_settings);
    if (subject && trust->count == trust->capacity) {
        int capacity = trust->capacity ? trust->capacity * 2 : 16;
        struct authority *authorities = realloc(trust->authorities, (size_t)capacity * sizeof *authorities);
        if (authorities) {
            trust->authorities = authorities;
            trust->capacity = capacity;
        }
    }
    if (!subject || trust->count == trust->capacity) {
        X509_NAME_free(subject);
        OPENSSL_free(der);
        return -1;
    }
    trust->authorities[trust->count++] = (struct authority){subject, der, length, has_settings, NULL};
    return 1;
}

int ccurl_trust_add_pem(ccurl_trust *trust, const uint8_t *pem, size_t length) {
    if (length > INT32_MAX) return -1;
    BIO *source = BIO_new_mem_buf(pem, (int)length);
    if (!source) return -1;
    int count = 0;
    ERR_clear_error();
    while (count >= 0) {
        char *name = NULL, *header = NULL;
        unsigned char *content = NULL;
        long size = 0;
        if (!PEM_read_bio(source, &name, &header, &content, &size)) {
            unsigned long error = ERR_peek_last_error();
            bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
            if (!at_end) count = -1;
            break;
        }
        // "TRUSTED CERTIFICATE" is what some distributions' bundles hold. Other blocks do not matter.
        bool has_settings = strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
        if (has_settings || strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
            count = add_authority(trust, content, size, has_settings) < 0 ? -1 : count + 1;
        } else {
            OPENSSL_free(content);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
    }
    ERR_clear_error();
    BIO_free(source);
    return count;
}

int ccurl_trust_count(const ccurl_trust *trust) { return trust->count; }

static CURLcode install_trust(CURL *handle, void *context, void *trust) {
    (void)handle;
    SSL_CTX_set1_cert_store((SSL_CTX *)context, ((ccurl_trust *)trust)->store);
    return CURLE_OK;
}

CURLcode ccurl_set_trust(CURL *handle, ccurl_trust *trust) {
    CURLcode result;
    // Without these libcurl loads its built-in bundle for every new connection, only to have it replaced.
    static const CURLoption built_in[] = {
        CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAINFO, CURLOPT_PROXY_CAPATH,
    };
    for (size_t index = 0; index < sizeof built_in / sizeof *built_in; index++) {
        result = curl_easy_setopt(handle, built_in[index], NULL);
        if (result != CURLE_OK) return result;
    }
    result = curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, install_trust);
    if (result != CURLE_OK) return result;
    return curl_easy_setopt(handle, CURLOPT_SSL_CTX_DATA, trust);
}
