// SPDX-License-Identifier: Apache-2.0
// Trace context: "00-" trace id "-" span id "-" flags, all in lower case hexadecimal.
//
// Ids need not be secret, only different: they are a counter, begun at random, through a mixer that
// loses nothing. So making one costs no call of the kernel and no lock.
#include "base/trace.h"

#include "base/be64.h"

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

static int nibble(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return -1;
}

static bool hex_read(const char *text, size_t bytes, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = nibble(text[2 * i]);
        int low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool ski_trace_parse(skald_str text, ski_trace *ret_trace)
{
    ski_trace trace = {0};
    uint8_t version = 0;
    uint8_t flags = 0;

    if (text.len < SKI_TRACE_TEXT) return false;
    if (text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-') return false;
    if (!hex_read(text.ptr, 1, &version) || !hex_read(text.ptr + 3, 16, trace.trace_id) ||
        !hex_read(text.ptr + 36, 8, trace.span_id) || !hex_read(text.ptr + 53, 1, &flags))
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

static char *hex_put(char *to, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    return to;
}

void ski_trace_print(const ski_trace *trace, char ret_text[SKI_TRACE_TEXT + 1])
{
    char *to = ret_text;

    memcpy(to, "00-", 3);
    to = hex_put(to + 3, trace->trace_id, sizeof trace->trace_id);
    *to++ = '-';
    to = hex_put(to, trace->span_id, sizeof trace->span_id);
    memcpy(to, trace->sampled ? "-01" : "-00", 4); // with its end
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
