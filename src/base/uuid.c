// SPDX-License-Identifier: Apache-2.0
// UUIDs: text form, version 5 (a name in a space) and version 7 (time ordered), RFC 9562.
//
// Version 7 is laid out as 48 bits of milliseconds, 42 bits of counter (12 in rand_a, 30 in rand_b)
// and 32 random bits.
//
// Invariants of a maker:
//   1. (last_ms, counter) rises with every id, whatever the clock does: so do the ids.
//   2. A fresh millisecond starts the counter in its lower half: at least 2^41 ids of room. A full
//      counter borrows the next millisecond.
#include "base/uuid.h"

#include "base/be64.h"
#include "base/hex.h"
#include "base/str.h"

#include <openssl/evp.h>
#include <string.h>

enum {
    us_per_ms = 1000,
    counter_bits = 42,
    sha1_bytes = 20,
};

static const uint64_t ms_max = (UINT64_C(1) << 48) - 1;
static const uint64_t counter_max = (UINT64_C(1) << counter_bits) - 1;

bool skald_uuid_given(skald_uuid uuid)
{
    return !skald_uuid_equal(uuid, (skald_uuid){{0}});
}

bool skald_uuid_equal(skald_uuid a, skald_uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

// hex_value is 0..15, or -1.
static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

// hyphen_before: does a hyphen stand in front of this byte's digits?
static bool hyphen_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

skald_err skald_uuid_parse(skald_str text, skald_uuid *ret_uuid)
{
    skald_uuid uuid;
    const char *at = text.ptr;

    if (text.len != SKALD_UUID_TEXT) return SKALD_EINVALID;
    for (size_t i = 0; i < sizeof uuid.bytes; i++) {
        if (hyphen_before(i) && *at++ != '-') return SKALD_EINVALID;

        int high = hex_value(at[0]), low = hex_value(at[1]);

        if (high < 0 || low < 0) return SKALD_EINVALID;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *ret_uuid = uuid;
    return SKALD_OK;
}

void skald_uuid_print(skald_uuid uuid, char ret_text[SKALD_UUID_TEXT + 1])
{
    char digits[2 * sizeof uuid.bytes];

    ski_hex_put(uuid.bytes, sizeof uuid.bytes, digits);
    memcpy(ret_text, digits, 8);
    memcpy(ret_text + 9, digits + 8, 4);
    memcpy(ret_text + 14, digits + 12, 4);
    memcpy(ret_text + 19, digits + 16, 4);
    memcpy(ret_text + 24, digits + 20, 12);
    ret_text[8] = ret_text[13] = ret_text[18] = ret_text[23] = '-';
    ret_text[SKALD_UUID_TEXT] = 0;
}

static void uuid_mark(skald_uuid *uuid, unsigned version)
{
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | version << 4);
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

skald_uuid skald_uuid_named(skald_uuid space, skald_str name)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    skald_uuid uuid = {{0}};
    EVP_MD_CTX *sha1 = EVP_MD_CTX_new();

    if (sha1 && EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) &&
        EVP_DigestUpdate(sha1, space.bytes, sizeof space.bytes) &&
        EVP_DigestUpdate(sha1, name.len ? name.ptr : "", name.len) &&
        EVP_DigestFinal_ex(sha1, digest, NULL)) {
        _Static_assert(sha1_bytes >= sizeof uuid.bytes, "the digest is longer than an id");
        memcpy(uuid.bytes, digest, sizeof uuid.bytes);
        uuid_mark(&uuid, 5);
    }
    EVP_MD_CTX_free(sha1);
    return uuid;
}

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

// random_next is xoroshiro128+: ids must differ, they need not be secret.
static uint64_t random_next(ski_uuid_maker *maker)
{
    uint64_t a = maker->random[0], b = maker->random[1], result = a + b;

    b ^= a;
    maker->random[0] = rotate_left(a, 24) ^ b ^ b << 16;
    maker->random[1] = rotate_left(b, 37);
    return result;
}

void ski_uuid_seed(ski_uuid_maker *maker, const uint8_t random[16])
{
    memcpy(maker->random, random, sizeof maker->random);
    // All zero is the one state that the generator never leaves.
    if (!maker->random[0] && !maker->random[1]) maker->random[0] = 1;
}

// maker_step moves (last_ms, counter) on.
static void maker_step(ski_uuid_maker *maker, skald_time now)
{
    uint64_t now_ms = now > 0 ? (uint64_t)now / us_per_ms : 0;

    if (now_ms > ms_max) now_ms = ms_max;
    if (now_ms > maker->last_ms) {
        maker->last_ms = now_ms;
    } else if (maker->counter < counter_max) {
        maker->counter++;
        return;
    } else {
        maker->last_ms++;
    }
    maker->counter = random_next(maker) >> (64 - counter_bits + 1);
}

skald_uuid ski_uuid_v7(ski_uuid_maker *maker, skald_time now)
{
    skald_uuid uuid;
    uint64_t high, low;

    maker_step(maker, now);
    high = maker->last_ms << 16 | UINT64_C(7) << 12 | maker->counter >> 30;
    low = UINT64_C(1) << 63 | (maker->counter & ((UINT64_C(1) << 30) - 1)) << 32 |
          random_next(maker) >> 32;
    ski_be64_put(uuid.bytes, high);
    ski_be64_put(uuid.bytes + 8, low);
    return uuid;
}
