#define _GNU_SOURCE
#include "CCurl.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

// --- Process ---

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode once_result = CURLE_FAILED_INIT;

static void initialise(void) {
    // Without this, OpenSSL frees its tables in an exit handler while the event thread may still be using them.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

CURLcode ccurl_global_init(void) {
    pthread_once(&once, initialise);
    return once_result;
}

bool ccurl_uses_openssl(void) {
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->ssl_version && strncmp(info->ssl_version, "OpenSSL/", 8) == 0;
}

bool ccurl_resolves_asynchronously(void) {
    return (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) != 0;
}

// --- Easy handles ---

CURLcode ccurl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

CURLcode ccurl_set_offset(CURL *handle, CURLoption option, int64_t value) {
    return curl_easy_setopt(handle, option, (curl_off_t)value);
}

CURLcode ccurl_set_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

CURLcode ccurl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

CURLcode ccurl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}

CURLcode ccurl_set_body(CURL *handle, const uint8_t *bytes, size_t length) {
    CURLcode result = curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    if (result != CURLE_OK) return result;
    return curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, length > 0 ? (const char *)bytes : "");
}

CURLcode ccurl_set_blob(CURL *handle, CURLoption option, const uint8_t *bytes, size_t length) {
    struct curl_blob blob = {.data = (void *)bytes, .len = length, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(handle, option, &blob);
}

CURLcode ccurl_set_data_callback(CURL *handle, CURLoption option, ccurl_data_callback callback) {
    return curl_easy_setopt(handle, option, callback);
}

static curl_socket_t open_private_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

CURLcode ccurl_set_private_sockets(CURL *handle) {
    return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open_private_socket);
}

static curl_socket_t open_judged_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    const ccurl_judge *judge = context;
    const uint8_t *bytes;
    size_t length;
    if (address->family == AF_INET) {
        bytes = (const uint8_t *)&((const struct sockaddr_in *)&address->addr)->sin_addr;
        length = 4;
    } else if (address->family == AF_INET6) {
        bytes = (const uint8_t *)&((const struct sockaddr_in6 *)&address->addr)->sin6_addr;
        length = 16;
    } else {
        return CURL_SOCKET_BAD;
    }
    if (!judge->address(bytes, length, judge->context)) return CURL_SOCKET_BAD;
    return open_private_socket(NULL, purpose, address);
}

static int judge_connection(void *context, char *peer, char *own, int peer_port, int own_port) {
    const ccurl_judge *judge = context;
    (void)own;
    (void)peer_port;
    (void)own_port;
    return peer && judge->connection(peer, judge->context) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

CURLcode ccurl_set_judge(CURL *handle, ccurl_judge *judge) {
    CURLcode result = curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open_judged_socket);
    if (result == CURLE_OK) result = curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, judge);
    if (result == CURLE_OK) result = curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, judge_connection);
    if (result == CURLE_OK) result = curl_easy_setopt(handle, CURLOPT_PREREQDATA, judge);
    return result;
}

const char *ccurl_get_peer(CURL *handle) {
    char *peer = NULL;
    if (curl_easy_getinfo(handle, CURLINFO_PRIMARY_IP, &peer) != CURLE_OK || !peer || !*peer) return NULL;
    return peer;
}

CURLcode ccurl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

CURLcode ccurl_get_offset(CURL *handle, CURLINFO info, int64_t *value) {
    curl_off_t offset = 0;
    CURLcode result = curl_easy_getinfo(handle, info, &offset);
    *value = (int64_t)offset;
    return result;
}

// --- Multi handle ---

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

CURL *ccurl_multi_next_done(CURLM *multi, CURLcode *result) {
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        *result = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

// --- The event thread ---

struct thread_start {
    ccurl_thread_body body;
    void *context;
};

static void *run_thread(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), "http-events");
    start.body(start.context);
    return NULL;
}

int ccurl_thread_start(pthread_t *thread, ccurl_thread_body body, void *context) {
    struct thread_start *start = malloc(sizeof *start);
    if (!start) return -1;
    start->body = body;
    start->context = context;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(thread, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) free(start);
    return result;
}

void ccurl_thread_join(pthread_t thread) { pthread_join(thread, NULL); }

bool ccurl_thread_is_current(pthread_t thread) { return pthread_equal(thread, pthread_self()) != 0; }

void ccurl_thread_detach(pthread_t thread) { pthread_detach(thread); }

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CCURL_THREAD_SANITIZER 1
#endif
#endif

#ifdef CCURL_THREAD_SANITIZER
void __tsan_release(void *address);
void __tsan_acquire(void *address);

void ccurl_hand_over(void *object) { __tsan_release(object); }

void ccurl_take_over(void *object) { __tsan_acquire(object); }
#else
void ccurl_hand_over(void *object) { (void)object; }

void ccurl_take_over(void *object) { (void)object; }
#endif
