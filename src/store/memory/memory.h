// SPDX-License-Identifier: Apache-2.0
// store/memory/memory.h - the memory driver: the same promises as the log driver but one, that
// anything outlives the process.
#ifndef SKI_STORE_MEMORY_MEMORY_H
#define SKI_STORE_MEMORY_MEMORY_H

#include <skald/store_driver.h>

extern const skald_store_driver ski_store_memory;

#endif
