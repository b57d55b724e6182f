// How the C library manages this process's memory. Where it is not glibc, nothing is done.
#ifndef COUNTERSIGN_CMEMORY_H
#define COUNTERSIGN_CMEMORY_H

#include <stddef.h>

/// Keeps the heap from growing with the number of threads and with the largest block that was ever freed. To be called
/// before there are threads.
void cmemory_set_up(void);

/// How many bytes were freed, but are still held for later use.
size_t cmemory_held_bytes(void);

/// Gives what is held back to the system.
void cmemory_give_back(void);

#endif
