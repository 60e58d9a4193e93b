// SPDX-License-Identifier: Apache-2.0
// store/log/names.h - the lookups and listings of the operations table: ids, streams, types. What
// readers see, which is what is stored.
#ifndef SKI_STORE_LOG_NAMES_H
#define SKI_STORE_LOG_NAMES_H

#include <skald/store_driver.h>

skald_err ski_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position);
skald_err ski_stream_version(void *driver, skald_str tenant, skald_str stream,
                             uint64_t *ret_version);
skald_err ski_streams_each(void *driver, skald_str tenant, skald_str prefix,
                           const skald_counted *after,
                           bool (*visit)(void *context, const skald_counted *stream),
                           void *context);
skald_err ski_types_each(void *driver, skald_str tenant,
                         bool (*visit)(void *context, const skald_counted *type), void *context);

#endif
