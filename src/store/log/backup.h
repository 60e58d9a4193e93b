// SPDX-License-Identifier: Apache-2.0
// store/log/backup.h - the slots that are about all of a store's files.
#ifndef SKI_STORE_LOG_BACKUP_H
#define SKI_STORE_LOG_BACKUP_H

#include <skald/store.h>

skald_err ski_backup(void *driver, const char *directory, const skald_backup_options *options,
                     skald_backed_up *ret_backed_up, skald_error *reterr_error);
skald_err ski_salvage(void *driver, const char *directory, const skald_salvage_options *options,
                      skald_salvaged *ret_salvaged, skald_error *reterr_error);
skald_err ski_parts(void *driver, bool (*visit)(void *context, const skald_store_part *part),
                    void *context);

#endif
