// What Swift cannot call of libcurl, OpenSSL and threads, as typed functions: variadic setters, callbacks, macros.
// Everything else of <curl/curl.h> is used from Swift directly. Decisions are made in Swift, not here.
#ifndef COUNTERSIGN_CCURL_H
#define COUNTERSIGN_CCURL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// --- Process ---

/// Initialises libcurl and OpenSSL once in the process, from whichever thread comes first. The others wait.
CURLcode ccurl_global_init(void);

/// Whether this libcurl does TLS with OpenSSL: `ccurl_set_trust` works with no other.
bool ccurl_uses_openssl(void);

/// Whether names are resolved without blocking the thread that runs the transfers.
bool ccurl_resolves_asynchronously(void);

// --- Easy handles ---

CURLcode ccurl_set_long(CURL *handle, CURLoption option, long value);
CURLcode ccurl_set_offset(CURL *handle, CURLoption option, int64_t value);
CURLcode ccurl_set_string(CURL *handle, CURLoption option, const char *_Nullable value);
CURLcode ccurl_set_pointer(CURL *handle, CURLoption option, void *_Nullable value);
CURLcode ccurl_set_list(CURL *handle, CURLoption option, struct curl_slist *_Nullable value);
/// Copies the bytes; call it after the request's method was set.
CURLcode ccurl_set_body(CURL *handle, const uint8_t *_Nullable bytes, size_t length);

/// Copies the bytes. `option` is CURLOPT_SSLCERT_BLOB or CURLOPT_SSLKEY_BLOB.
CURLcode ccurl_set_blob(CURL *handle, CURLoption option, const uint8_t *_Nullable bytes, size_t length);

typedef size_t (*ccurl_data_callback)(char *_Nullable data, size_t size, size_t count, void *_Nullable context);
/// `option` is CURLOPT_WRITEFUNCTION or CURLOPT_HEADERFUNCTION.
CURLcode ccurl_set_data_callback(CURL *handle, CURLoption option, ccurl_data_callback callback);

/// Sockets that child processes do not inherit: credential helpers run as processes.
CURLcode ccurl_set_private_sockets(CURL *handle);

/// Who decides where a handle may connect. `false` refuses.
typedef struct ccurl_judge {
    /// Asked before a socket is made for an address of 4 or 16 bytes, when names are resolved already.
    bool (*address)(const uint8_t *address, size_t length, void *_Nullable context);
    /// Asked before each request goes over the connection to this address, one from the pool included.
    bool (*connection)(const char *address, void *_Nullable context);
    void *_Nullable context;
} ccurl_judge;
/// Has connections judged; the sockets are private ones, as above. The judge must outlive the handle's transfer.
CURLcode ccurl_set_judge(CURL *handle, ccurl_judge *judge);
/// The address that the last request went to, in text; NULL when there was no connection.
const char *_Nullable ccurl_get_peer(CURL *handle);

CURLcode ccurl_get_long(CURL *handle, CURLINFO info, long *value);
CURLcode ccurl_get_offset(CURL *handle, CURLINFO info, int64_t *value);

// --- Multi handle ---

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value);
/// The next finished transfer, or NULL.
CURL *_Nullable ccurl_multi_next_done(CURLM *multi, CURLcode *result);

typedef struct ccurl_events ccurl_events;

/// What a multi handle waits for; it has no other waiter. NULL when there is no memory or no descriptor for it.
ccurl_events *_Nullable ccurl_events_new(CURLM *multi);
/// To be called after the end of the multi handle, which calls back until then.
void ccurl_events_free(ccurl_events *events);
/// Ends a wait, the next one if there is none now. From any thread.
void ccurl_events_wake(ccurl_events *events);
/// Lets libcurl do what is due by its timer: what was added begins so.
void ccurl_events_tick(ccurl_events *events);
/// Waits until something can go on, the time has passed or somebody wakes, and lets libcurl go on with that.
void ccurl_events_wait(ccurl_events *events, int milliseconds);

// --- Trusted certificates ---

typedef struct ccurl_trust ccurl_trust;

ccurl_trust *_Nullable ccurl_trust_new(void);
void ccurl_trust_free(ccurl_trust *trust);
/// Adds every certificate of a PEM text. Returns how many there are in it, or -1 when a block has not the outline of a
/// certificate. All else about a certificate is looked at when a server's chain leads to it: one that does not parse then
/// is not trusted.
int ccurl_trust_add_pem(ccurl_trust *trust, const uint8_t *pem, size_t length);
/// How many different certificates were added.
int ccurl_trust_count(const ccurl_trust *trust);
/// The handle's servers (and TLS proxies) are judged by these certificates and no others. The trust must outlive
/// the handle's connections.
CURLcode ccurl_set_trust(CURL *handle, ccurl_trust *trust);

// --- The event thread ---

typedef void (*ccurl_thread_body)(void *_Nullable context);
/// Starts a thread that receives no signals, SIGPIPE included: OpenSSL writes with write(2).
int ccurl_thread_start(pthread_t *thread, ccurl_thread_body body, void *_Nullable context);
void ccurl_thread_join(pthread_t thread);
bool ccurl_thread_is_current(pthread_t thread);
void ccurl_thread_detach(pthread_t thread);

/// Says that all that was done to an object comes before what is done after `ccurl_take_over`: to ThreadSanitizer, which
/// sees no order in Swift's `Mutex`. Without it neither does anything.
void ccurl_hand_over(void *object);
void ccurl_take_over(void *object);

#pragma clang assume_nonnull end

#endif
