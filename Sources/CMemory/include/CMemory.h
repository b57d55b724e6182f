// How the C library and the kernel manage this process's memory. Where they are not glibc and Linux, nothing is done.
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

/// Forgets which pages of the program and its libraries were read so far. Those that are read again come back from the
/// page cache; those that only the start has needed do not count any more.
void cmemory_forget_code(void);

#endif
