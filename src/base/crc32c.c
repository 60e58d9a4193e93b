// SPDX-License-Identifier: Apache-2.0
// CRC-32C: polynomial 0x1EDC6F41, bits reflected, begun and ended with all bits turned.
//
// Portable: eight tables, eight bytes a step. A table is linear (the entry of a^b is the entry of a
// xor that of b), so each is written down as its eight entries of one bit, and the compiler fills
// in the rest.
//
// x86-64: the crc32 instruction has one result a cycle but takes three, so long input goes as three
// lanes side by side. Their results are joined by multiplying with x^n, n the bits that follow the
// lane: a carry-less product of two reflected 32-bit numbers is x^1 too much and the crc32
// instruction that reduces it gives x^32, so the constants are x^(n-33) modulo the polynomial.
#include "base/hash.h"

#include <string.h>

#define ENTRY(i, b0, b1, b2, b3, b4, b5, b6, b7)                                             \
    (((i)&1 ? (b0) : 0u) ^ ((i)&2 ? (b1) : 0u) ^ ((i)&4 ? (b2) : 0u) ^ ((i)&8 ? (b3) : 0u) ^ \
     ((i)&16 ? (b4) : 0u) ^ ((i)&32 ? (b5) : 0u) ^ ((i)&64 ? (b6) : 0u) ^ ((i)&128 ? (b7) : 0u))
#define ENTRIES_4(i, ...)                                                        \
    ENTRY(i, __VA_ARGS__), ENTRY(i + 1, __VA_ARGS__), ENTRY(i + 2, __VA_ARGS__), \
        ENTRY(i + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                   \
    ENTRIES_4(i, __VA_ARGS__), ENTRIES_4(i + 4, __VA_ARGS__), ENTRIES_4(i + 8, __VA_ARGS__), \
        ENTRIES_4(i + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                                                        \
    ENTRIES_16(i, __VA_ARGS__), ENTRIES_16(i + 16, __VA_ARGS__), ENTRIES_16(i + 32, __VA_ARGS__), \
        ENTRIES_16(i + 48, __VA_ARGS__)
#define TABLE(...)                                                                             \
    {                                                                                          \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__), \
            ENTRIES_64(192, __VA_ARGS__)                                                       \
    }

// tables[k][i] is the remainder of byte i with k zero bytes behind it.
static const uint32_t tables[8][256] = {
    TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
          0x82f63b78),
    TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
          0xfbc3faf9),
    TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
          0x8b277743),
    TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
          0x52a0c93f),
    TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
          0x6ea2d55c),
    TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
          0x1c08b7d6),
    TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
          0xf56e0ef4),
    TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
          0x34019664),
};

static uint32_t load_u32_le(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t ski_crc32c_portable(uint32_t crc, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    crc = ~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint32_t low = load_u32_le(at) ^ crc, high = load_u32_le(at + 4);

        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
              tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
              tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; len; len--, at++) crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return ~crc;
}

#if defined(__x86_64__)

#include <immintrin.h>

// Long lanes for what is read and written in bulk, short ones for one event. Longer ones gain
// nothing, and shorter ones lose to the joining.
enum { long_lane_bytes = 256, short_lane_bytes = 64 };
static const uint32_t behind_one_long = 0xb9e02b86;  // x^(8 * 256 - 33)
static const uint32_t behind_two_long = 0xdd7e3b0c;  // x^(16 * 256 - 33)
static const uint32_t behind_one_short = 0x9e4addf8; // x^(8 * 64 - 33)
static const uint32_t behind_two_short = 0x0d3b6092; // x^(16 * 64 - 33)

static inline uint64_t load_u64(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

__attribute__((target("pclmul"))) static inline uint64_t multiply(uint64_t a, uint32_t b)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)a), _mm_cvtsi32_si128((int32_t)b), 0);

    return (uint64_t)_mm_cvtsi128_si64(product);
}

// crc_lanes goes over three lanes side by side; one and two are x^n of what lies behind a lane.
__attribute__((target("sse4.2,pclmul"), always_inline)) static inline uint64_t crc_lanes(
    uint64_t crc, const uint8_t *at, size_t lane_bytes, uint32_t one, uint32_t two)
{
    uint64_t a = crc, b = 0, c = 0;

    for (size_t i = 0; i < lane_bytes; i += 8) {
        a = _mm_crc32_u64(a, load_u64(at + i));
        b = _mm_crc32_u64(b, load_u64(at + lane_bytes + i));
        c = _mm_crc32_u64(c, load_u64(at + 2 * lane_bytes + i));
    }
    return _mm_crc32_u64(0, multiply(a, two) ^ multiply(b, one)) ^ c;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc_machine(uint32_t crc,
                                                                     const uint8_t *at, size_t len)
{
    enum { long_bytes = 3 * long_lane_bytes, short_bytes = 3 * short_lane_bytes };
    uint64_t a = ~crc;

    for (; len >= long_bytes; len -= long_bytes, at += long_bytes) {
        a = crc_lanes(a, at, long_lane_bytes, behind_one_long, behind_two_long);
    }
    for (; len >= short_bytes; len -= short_bytes, at += short_bytes) {
        a = crc_lanes(a, at, short_lane_bytes, behind_one_short, behind_two_short);
    }
    for (; len >= 8; len -= 8, at += 8) a = _mm_crc32_u64(a, load_u64(at));
    for (; len; len--, at++) a = _mm_crc32_u8((uint32_t)a, *at);
    return ~(uint32_t)a;
}

static bool machine_has_crc(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

static uint32_t crc_machine(uint32_t crc, const uint8_t *at, size_t len)
{
    crc = ~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word = (uint64_t)load_u32_le(at + 4) << 32 | load_u32_le(at);

        crc = __crc32cd(crc, word);
    }
    for (; len; len--, at++) crc = __crc32cb(crc, *at);
    return ~crc;
}

static bool machine_has_crc(void)
{
    return true; // the compiler was told so
}

#else

static uint32_t crc_machine(uint32_t crc, const uint8_t *at, size_t len)
{
    return ski_crc32c_portable(crc, at, len);
}

static bool machine_has_crc(void)
{
    return false;
}

#endif

uint32_t ski_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    return machine_has_crc() ? crc_machine(crc, bytes, len) : ski_crc32c_portable(crc, bytes, len);
}
