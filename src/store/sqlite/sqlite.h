// SPDX-License-Identifier: Apache-2.0
// store/sqlite/sqlite.h - the sqlite driver: one portable file, kept by the library SQLite.
#ifndef SKI_STORE_SQLITE_SQLITE_H
#define SKI_STORE_SQLITE_SQLITE_H

#include <skald/store_driver.h>

extern const skald_store_driver ski_store_sqlite;

#endif
