// libFuzzer's driver, and a meter of what one input makes the program allocate.
#ifndef COUNTERSIGN_CFUZZ_H
#define COUNTERSIGN_CFUZZ_H

#include <stddef.h>
#include <stdint.h>

// Runs libFuzzer with these arguments; the callback gets every input. Ends the process with a report when the heap
// grows by more than growth_limit bytes over one input, or keeps growing over many.
int countersign_fuzz_run(int argc, char **argv, size_t growth_limit, void (*callback)(const uint8_t *bytes, size_t count));

// Ends the process as a finding: the input is written to a file by libFuzzer.
void countersign_fuzz_violated(const char *message) __attribute__((noreturn));

#endif
