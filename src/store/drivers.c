// SPDX-License-Identifier: Apache-2.0
// The one list of store drivers: adding one is a folder and a line here.
#include "store/log/log.h"
#include "store/memory/memory.h"
#include "store/sqlite/sqlite.h"
#include "store/store.h"

const skald_store_driver *const ski_store_drivers[] = {
    &ski_store_memory,
    &ski_store_log,
    &ski_store_sqlite,
    NULL,
};
