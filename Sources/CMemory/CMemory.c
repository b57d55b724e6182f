#include "CMemory.h"

#if defined(__linux__)
#include <features.h>
#endif

#if defined(__GLIBC__)
#include <malloc.h>
#include <unistd.h>

void cmemory_set_up(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    // By default eight for each processor, each with free blocks of its own. As many threads as there are processors
    // allocate at once.
    mallopt(M_ARENA_MAX, processors > 2 ? (int)processors : 2);
    // By default both limits grow with each large block that is freed, up to 32 and 64 MiB: an answer of some megabytes
    // would for ever be part of the heap.
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 512 << 10);
}

size_t cmemory_held_bytes(void) { return mallinfo2().fordblks; }

void cmemory_give_back(void) { malloc_trim(0); }

#else

void cmemory_set_up(void) {}

size_t cmemory_held_bytes(void) { return 0; }

void cmemory_give_back(void) {}

#endif
