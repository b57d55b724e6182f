#include "CFuzz.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

// Declared here: the headers of the sanitizers are not installed everywhere, their functions are in the runtime.
extern int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *, size_t));
extern int __sanitizer_install_malloc_and_free_hooks(
    void (*malloc_hook)(const volatile void *, size_t), void (*free_hook)(const volatile void *));
extern size_t __sanitizer_get_allocated_size(const volatile void *pointer);

static void (*target)(const uint8_t *, size_t);
static size_t limit;
static atomic_bool measuring;
static atomic_llong live;
static atomic_llong peak;

static void allocated(const volatile void *pointer, size_t size) {
    if (pointer == NULL || !atomic_load_explicit(&measuring, memory_order_relaxed)) return;
    long long now = atomic_fetch_add(&live, (long long)size) + (long long)size;
    long long seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {
    }
}

static void freed(const volatile void *pointer) {
    if (pointer == NULL || !atomic_load_explicit(&measuring, memory_order_relaxed)) return;
    atomic_fetch_sub(&live, (long long)__sanitizer_get_allocated_size(pointer));
}

// The name that libFuzzer's own main asks for. That main is linked, but ours runs: it chooses the target first.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    atomic_store(&live, 0);
    atomic_store(&peak, 0);
    atomic_store(&measuring, 1);
    target(bytes, count);
    atomic_store(&measuring, 0);
    long long growth = atomic_load(&peak);
    if (growth > (long long)limit) {
        char message[120];
        snprintf(message, sizeof message, "%zu bytes of input made the heap grow by %lld bytes; the limit is %zu",
                 count, growth, limit);
        countersign_fuzz_violated(message);
    }
    return 0;
}

int countersign_fuzz_run(
    int argc, char **argv, size_t growth_limit, void (*callback)(const uint8_t *bytes, size_t count)) {
    target = callback;
    limit = growth_limit;
    __sanitizer_install_malloc_and_free_hooks(allocated, freed);
    return LLVMFuzzerRunDriver(&argc, &argv, LLVMFuzzerTestOneInput);
}

// Swift keeps flags in the spare bits of pointers to the boxes of enumerations, so that the leak detector takes living
// ones for lost. What Swift allocates it also counts; leaks that are looked for here are those of the C shims.
const char *__lsan_default_suppressions(void) { return "leak:swift_slowAlloc\nleak:swift_allocObject\n"; }

void countersign_fuzz_violated(const char *message) {
    fprintf(stderr, "\nFINDING: %s\n", message);
    fflush(stderr);
    abort();
}
