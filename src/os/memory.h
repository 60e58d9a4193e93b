// SPDX-License-Identifier: Apache-2.0
// os/memory.h - how memory lies in the machine. Any thread.
#ifndef SKI_OS_MEMORY_H
#define SKI_OS_MEMORY_H

#include <stddef.h>

enum { SKI_MEMORY_HUGE = 2 * 1024 * 1024 }; // bytes of a huge page, and what it is aligned to

// ski_memory_huge asks for huge pages under what will be read all over: each saves the processor
// 512 small ones to look up. It is a wish; the memory is the same without.
void ski_memory_huge(void *memory, size_t bytes);

#endif
