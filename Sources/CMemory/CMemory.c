#define _GNU_SOURCE
#include "CMemory.h"

#if defined(__linux__)
#include <features.h>
#endif

#if defined(__GLIBC__)
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
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

/// Whether the dynamic linker has written into segments that are not writable: those pages are nowhere else.
static bool has_text_relocations(const struct dl_phdr_info *object) {
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[index];
        if (header->p_type != PT_DYNAMIC) continue;
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(object->dlpi_addr + header->p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_TEXTREL) return true;
            if (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_TEXTREL) return true;
        }
    }
    return false;
}

static int forget(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size, (void)context;
    // The kernel's own page of code.
    if (object->dlpi_addr == getauxval(AT_SYSINFO_EHDR) || has_text_relocations(object)) return 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[index];
        // What relocations were made in is in writable segments, although it may be protected by now.
        if (header->p_type != PT_LOAD || header->p_flags & PF_W) continue;
        uintptr_t start = object->dlpi_addr + header->p_vaddr, end = start + header->p_filesz;
        start = (start + page - 1) & ~(page - 1);
        end &= ~(page - 1);
        if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void cmemory_forget_code(void) { dl_iterate_phdr(forget, NULL); }

#else

void cmemory_set_up(void) {}

size_t cmemory_held_bytes(void) { return 0; }

void cmemory_give_back(void) {}

void cmemory_forget_code(void) {}

#endif
