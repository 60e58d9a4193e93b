// SPDX-License-Identifier: Apache-2.0
// Memory: advice to the kernel, whose answer changes nothing.
#include "os/memory.h"

#include <sys/mman.h>

void ski_memory_huge(void *memory, size_t bytes)
{
    (void)madvise(memory, bytes, MADV_HUGEPAGE); // not every kernel has them
}
