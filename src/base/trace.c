// SPDX-License-Identifier: Apache-2.0
// Trace context: "00-" trace id "-" span id "-" flags, all in lower case hexadecimal.
//
// Ids need not be secret, only different: they are a counter, begun at random, through a mixer that
// loses nothing. So making one costs no call of the kernel and no lock.
#include "base/trace.h"

#include "base/be64.h"
#include "base/hex.h"

#include <string.h>

enum { million = 1000000 };

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

// splitmix64's mixer: a permutation of 64 bits.
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    uint8_t any = 0;

    for (size_t i = 0; i < count; i++) any |= bytes[i];
    return any == 0;
}

bool ski_trace_given(const ski_trace *trace)
{
    return !all_zero(trace->trace_id, sizeof trace->trace_id);
}

// byte_read reads the two digits of one byte.
static bool byte_read(const char *text, uint8_t *ret_byte)
{
    const char digits[] = {'0', '0', '0', '0', '0', '0', text[0], text[1]};
    uint8_t bytes[4];
    bool read = ski_hex_get(digits, sizeof bytes, bytes);

    *ret_byte = bytes[3];
    return read;
}

bool ski_trace_parse(skald_str text, ski_trace *ret_trace)
{
    ski_trace trace = {0};
    uint8_t version = 0;
    uint8_t flags = 0;

    if (text.len < SKI_TRACE_TEXT) return false;
    if (text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-') return false;
    if (!byte_read(text.ptr, &version) || !ski_hex_get(text.ptr + 3, 16, trace.trace_id) ||
        !ski_hex_get(text.ptr + 36, 8, trace.span_id) || !byte_read(text.ptr + 53, &flags))
        return false;
    if (version == 0xff) return false;
    // A later version may say more, behind another dash.
    if (text.len > SKI_TRACE_TEXT && (version == 0 || text.ptr[SKI_TRACE_TEXT] != '-'))
        return false;
    if (!ski_trace_given(&trace) || all_zero(trace.span_id, sizeof trace.span_id)) return false;
    trace.sampled = flags & 1;
    *ret_trace = trace;
    return true;
}

void ski_trace_print(const ski_trace *trace, char ret_text[SKI_TRACE_TEXT + 1])
{
    memcpy(ret_text, "00-", 3);
    ski_hex_put(trace->trace_id, sizeof trace->trace_id, ret_text + 3);
    ret_text[35] = '-';
    ski_hex_put(trace->span_id, sizeof trace->span_id, ret_text + 36);
    memcpy(ret_text + 52, trace->sampled ? "-01" : "-00", 4); // with its end
}

// next_number is never 0: that would be no id.
static uint64_t next_number(ski_tracer *tracer)
{
    uint64_t number = mix(tracer->seed + ++tracer->serial * GOLDEN);

    return number ? number : 1;
}

ski_trace ski_trace_root(ski_tracer *tracer)
{
    ski_trace trace = {0};
    uint64_t low = next_number(tracer);

    ski_be64_put(trace.trace_id, mix(tracer->seed));
    ski_be64_put(trace.trace_id + 8, low);
    ski_be64_put(trace.span_id, next_number(tracer));
    trace.sampled = low % million < tracer->sampled_of_million;
    return trace;
}

ski_trace ski_trace_child(ski_tracer *tracer, const ski_trace *parent)
{
    ski_trace trace = *parent;

    ski_be64_put(trace.span_id, next_number(tracer));
    return trace;
}

ski_trace ski_trace_child_of(const ski_tracer *tracer, const ski_trace *parent, uint64_t number)
{
    ski_trace trace = *parent;
    uint64_t mixed = mix(mix(tracer->seed) ^ number * GOLDEN);

    ski_be64_put(trace.span_id, mixed ? mixed : 1);
    return trace;
}
