// SPDX-License-Identifier: Apache-2.0
// base/hash.h - checksums and hashes.
#ifndef SKI_BASE_HASH_H
#define SKI_BASE_HASH_H

#include <skald/base.h>

// ski_crc32c continues a CRC-32C (Castagnoli, RFC 3720 B.4), 0 to begin: crc32c("123456789") is
// 0xE3069283. With SSE4.2 or ARMv8 instructions where the machine has them, else by table.
uint32_t ski_crc32c(uint32_t crc, const void *bytes, size_t len);

// ski_crc32c_portable is the same without special instructions: what the other falls back to.
uint32_t ski_crc32c_portable(uint32_t crc, const void *bytes, size_t len);

uint64_t ski_hash64(uint64_t seed, const void *bytes, size_t len); // XXH3, stable across versions

#endif
