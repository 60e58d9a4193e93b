// SPDX-License-Identifier: Apache-2.0
// What is left of streams whose events are gone: u32 length, u16 lengths of tenant and name, u64
// fingerprint (two), u64 last version, last position, position before; the texts, zeros.
#include "store/log/gone.h"
#include "store/log/bytes.h"
#include <assert.h>
#include <string.h>

enum gone_offset {
    gone_len = 0,
    gone_tenant_len = 4,
    gone_name_len = 6,
    gone_hi = 8,
    gone_lo = 16,
    gone_version = 24,
    gone_last = 32,
    gone_prev = 40,
    gone_head = 48,
};

size_t ski_gone_len(const ski_gone *gone)
{
    return ski_align8(gone_head + gone->tenant.len + gone->name.len);
}

void ski_gone_put(uint8_t *to, const ski_gone *gone)
{
    size_t len = ski_gone_len(gone);

    assert(gone->tenant.len <= UINT16_MAX && gone->name.len <= UINT16_MAX);
    memset(to, 0, len);
    ski_put_u32(to + gone_len, (uint32_t)len);
    ski_put_u16(to + gone_tenant_len, (uint16_t)gone->tenant.len);
    ski_put_u16(to + gone_name_len, (uint16_t)gone->name.len);
    ski_put_u64(to + gone_hi, gone->fp.hi);
    ski_put_u64(to + gone_lo, gone->fp.lo);
    ski_put_u64(to + gone_version, gone->last_version);
    ski_put_u64(to + gone_last, gone->last_pos);
    ski_put_u64(to + gone_prev, gone->prev_pos);
    if (gone->tenant.len) memcpy(to + gone_head, gone->tenant.ptr, gone->tenant.len);
    if (gone->name.len) {
        memcpy(to + gone_head + gone->tenant.len, gone->name.ptr, gone->name.len);
    }
}

skald_err ski_gone_get(const uint8_t *from, size_t available, ski_gone *ret_gone, size_t *ret_len)
{
    ski_gone gone = {0};
    size_t len = 0;

    if (available < gone_head) return SKALD_ECORRUPT;
    len = ski_get_u32(from + gone_len);
    gone.fp = (ski_fp){ski_get_u64(from + gone_hi), ski_get_u64(from + gone_lo)};
    gone.last_version = ski_get_u64(from + gone_version);
    gone.last_pos = ski_get_u64(from + gone_last);
    gone.prev_pos = ski_get_u64(from + gone_prev);
    gone.tenant = (skald_str){(const char *)from + gone_head, ski_get_u16(from + gone_tenant_len)};
    gone.name = (skald_str){gone.tenant.ptr + gone.tenant.len, ski_get_u16(from + gone_name_len)};
    if (len > available || len != ski_gone_len(&gone)) return SKALD_ECORRUPT;
    if ((gone.name.len != 0) == (gone.last_version != 0)) return SKALD_ECORRUPT;
    *ret_gone = gone;
    *ret_len = len;
    return SKALD_OK;
}
