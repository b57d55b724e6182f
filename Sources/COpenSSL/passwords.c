#include "shim.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

static int failed(char *reason) {
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    strncpy(reason, text == NULL ? "OpenSSL gave no reason" : text, COUNTERSIGN_REASON_SIZE - 1);
    reason[COUNTERSIGN_REASON_SIZE - 1] = 0;
    ERR_clear_error();
    return 0;
}

int countersign_scrypt(
    const uint8_t *password, size_t password_length, const uint8_t *salt, size_t salt_length, uint64_t cost,
    uint64_t block_size, uint64_t parallelization, uint64_t maximum_memory, uint8_t *output, size_t length,
    char *reason) {
    ERR_clear_error();
    // A null password would only have the parameters checked.
    const char *text = password == NULL || password_length == 0 ? "" : (const char *)password;
    int good = EVP_PBE_scrypt(
        text, password_length, salt, salt_length, cost, block_size, parallelization, maximum_memory, output, length);
    return good == 1 ? 1 : failed(reason);
}

int countersign_poly1305(const uint8_t *key, const uint8_t *data, size_t length, uint8_t *output, char *reason) {
    ERR_clear_error();
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    EVP_MAC_CTX *context = algorithm == NULL ? NULL : EVP_MAC_CTX_new(algorithm);
    size_t written = 0;
    int good = context != NULL && EVP_MAC_init(context, key, 32, NULL) == 1
        && EVP_MAC_update(context, data, length) == 1 && EVP_MAC_final(context, output, &written, 16) == 1
        && written == 16;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(algorithm);
    return good ? 1 : failed(reason);
}

int countersign_same(const uint8_t *left, const uint8_t *right, size_t length) {
    return CRYPTO_memcmp(left, right, length) == 0;
}
