// SPDX-License-Identifier: Apache-2.0
// store/log/mend.h - the driver's questions, asked again when an index they met was damaged and has
// been made anew. Fails as what is asked does. Any thread, with no lock held.
#ifndef SKI_STORE_LOG_MEND_H
#define SKI_STORE_LOG_MEND_H

#include "store/log/engine.h"

skald_err ski_mend_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                        skald_error *reterr_error);
skald_err ski_mend_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position);
skald_err ski_mend_stream_version(void *driver, skald_str tenant, skald_str stream,
                                  uint64_t *ret_version);
// ski_mend_stage is for who may wait for the disk.
skald_err ski_mend_stage(ski_engine *engine, skald_store_batch *batch, ski_stage_for for_whom,
                         uint64_t *ret_group) SKALD_CHECK;

#endif
