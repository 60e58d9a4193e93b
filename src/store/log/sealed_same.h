// SPDX-License-Identifier: Apache-2.0
// store/log/sealed_same.h - an index held against another of the same segment.
#ifndef SKI_STORE_LOG_SEALED_SAME_H
#define SKI_STORE_LOG_SEALED_SAME_H

#include "store/log/sealed.h"

// ski_sealed_same compares every block; building is exact to the byte. *ret_offset is in the first
// one's file. Fails: CORRUPT (a block of one is damaged), IO, NOMEM.
skald_err ski_sealed_same(const ski_sealed *one, const ski_sealed *other, bool *ret_same,
                          uint64_t *ret_offset, skald_error *reterr_error) SKALD_CHECK;

#endif
