// What libcurl's multi interface waits for: sockets, and a time. libcurl says which through two callbacks and is told which
// socket is ready, so that it looks at the transfers of that socket and at no others. With curl_multi_perform it looks
// at every transfer each time, and asks the kernel about each.
#include "CCurl.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct ccurl_events {
    CURLM *multi;
    /// What is waited for; the first is what wakes.
    struct pollfd *polled;
    /// Room for what is ready: callbacks change what is waited for while that is gone through.
    struct pollfd *ready;
    size_t count;
    size_t capacity;
    /// When libcurl wants to be called, in milliseconds of the monotonic clock; -1: at no time.
    int64_t due;
};

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/// Makes room for one more.
static bool grow(struct ccurl_events *events) {
    if (events->count < events->capacity) return true;
    size_t capacity = events->capacity * 2;
    struct pollfd *polled = realloc(events->polled, capacity * sizeof *polled);
    if (!polled) return false;
    events->polled = polled;
    struct pollfd *ready = realloc(events->ready, capacity * sizeof *ready);
    if (!ready) return false;
    events->ready = ready;
    events->capacity = capacity;
    return true;
}

static int socket_changed(CURL *handle, curl_socket_t socket, int what, void *context, void *assigned) {
    (void)handle;
    (void)assigned;
    struct ccurl_events *events = context;
    size_t place = 1;
    while (place < events->count && events->polled[place].fd != socket) place++;
    if (what == CURL_POLL_REMOVE) {
        if (place < events->count) events->polled[place] = events->polled[--events->count];
        return 0;
    }
    if (place == events->count) {
        // Without memory libcurl ends all transfers.
        if (!grow(events)) return -1;
        events->count++;
    }
    short wanted = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    events->polled[place] = (struct pollfd){.fd = socket, .events = wanted};
    return 0;
}

static int timer_changed(CURLM *multi, long milliseconds, void *context) {
    (void)multi;
    struct ccurl_events *events = context;
    events->due = milliseconds < 0 ? -1 : milliseconds == 0 ? 0 : now() + milliseconds;
    return 0;
}

ccurl_events *ccurl_events_new(CURLM *multi) {
    struct ccurl_events *events = calloc(1, sizeof *events);
    if (!events) return NULL;
    events->multi = multi;
    events->due = -1;
    events->count = 1;
    events->capacity = 16;
    events->polled = calloc(events->capacity, sizeof *events->polled);
    events->ready = calloc(events->capacity, sizeof *events->ready);
    int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (events->polled) events->polled[0] = (struct pollfd){.fd = waker, .events = POLLIN};
    if (!events->polled || !events->ready || waker < 0
        || curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_changed) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, events) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_changed) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_TIMERDATA, events) != CURLM_OK) {
        if (waker >= 0) close(waker);
        free(events->polled);
        free(events->ready);
        free(events);
        return NULL;
    }
    return events;
}

void ccurl_events_free(ccurl_events *events) {
    close(events->polled[0].fd);
    free(events->polled);
    free(events->ready);
    free(events);
}

void ccurl_events_wake(ccurl_events *events) {
    uint64_t one = 1;
    // It fails only when the count is full already.
    ssize_t written = write(events->polled[0].fd, &one, sizeof one);
    (void)written;
}

void ccurl_events_tick(ccurl_events *events) {
    if (events->due < 0 || (events->due > 0 && now() < events->due)) return;
    events->due = -1;
    int running;
    curl_multi_socket_action(events->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

void ccurl_events_wait(ccurl_events *events, int milliseconds) {
    if (events->due >= 0) {
        int64_t left = events->due - now();
        if (left < milliseconds) milliseconds = left > 0 ? (int)left : 0;
    }
    if (poll(events->polled, events->count, milliseconds) <= 0) return;
    if (events->polled[0].revents) {
        uint64_t wakes;
        ssize_t taken = read(events->polled[0].fd, &wakes, sizeof wakes);
        (void)taken;
    }
    size_t count = 0;
    for (size_t place = 1; place < events->count; place++) {
        if (events->polled[place].revents) events->ready[count++] = events->polled[place];
    }
    for (size_t place = 0; place < count; place++) {
        short what = events->ready[place].revents;
        int mask = (what & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) | (what & POLLOUT ? CURL_CSELECT_OUT : 0)
                   | (what & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
        int running;
        curl_multi_socket_action(events->multi, events->ready[place].fd, mask, &running);
    }
}
