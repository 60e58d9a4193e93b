// SPDX-License-Identifier: Apache-2.0
// The door: simdjson's DOM parser, used to validate only. The one C++ file of the project; nothing
// of C++ (types, exceptions) leaves it.
//
// Invariants:
//   1. One parser per thread, made on first use. Its memory grows in powers of two with what it is
//      given; what more than kept_bytes_max needed goes back at once, so that one huge text does
//      not stay in every thread.
//   2. What it refuses is read again by ski_json_fault, which can say where.
#include "base/json.h"

#include "base/json_fault.h"

#include <simdjson.h>

namespace
{

constexpr size_t text_bytes_max = 17 << 20; // a body of 16 MiB, and its envelope
constexpr size_t text_bytes_min = 4 << 10;
constexpr size_t kept_bytes_max = 256 << 10;

thread_local simdjson::dom::parser parser{text_bytes_max};

simdjson::error_code parser_grow(size_t bytes) noexcept
{
    size_t capacity = text_bytes_min;

    if (parser.capacity() >= bytes && parser.doc.capacity() >= bytes) return simdjson::SUCCESS;
    while (capacity < bytes) capacity *= 2;
    if (capacity > text_bytes_max) capacity = text_bytes_max;
    simdjson::error_code error = parser.doc.allocate(capacity);
    return error ? error : parser.allocate(capacity, SKI_JSON_DEPTH_MAX);
}

simdjson::error_code parser_check(skald_str text, bool padded) noexcept
{
    simdjson::error_code error = parser_grow(text.len);

    if (!error) error = parser.parse(text.ptr, text.len, !padded).error();
    if (error == simdjson::MEMALLOC || text.len > kept_bytes_max) {
        parser = simdjson::dom::parser{text_bytes_max};
    }
    return error;
}

skald_err door_refuses(skald_str text, simdjson::error_code error,
                       skald_error *reterr_error) noexcept
{
    if (error == simdjson::MEMALLOC) {
        return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory while reading JSON");
    }
    skald_err err = ski_json_fault(text, reterr_error);
    if (err) return err;
    // The parser refuses the deepest level we allow unless it is empty; the slow reader is exact.
    if (error == simdjson::DEPTH_ERROR) return SKALD_OK;
    if (error == simdjson::NUMBER_ERROR || error == simdjson::NUMBER_OUT_OF_RANGE) {
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "a number is beyond the range of 64-bit integers and doubles; "
                          "write it as a string");
    }
    return skald_fail(reterr_error, SKALD_EINVALID, "not valid JSON: %s",
                      simdjson::error_message(error));
}

} // namespace

extern "C" skald_err ski_json_door_check(skald_str text, bool padded, skald_error *reterr_error)
{
    if (text.len == 0) {
        return skald_fail(reterr_error, SKALD_EINVALID, "line 1 column 1: the text is empty");
    }
    if (text.len > text_bytes_max) {
        return skald_fail(reterr_error, SKALD_ETOOBIG, "a JSON text of %zu bytes; at most %zu",
                          text.len, text_bytes_max);
    }
    if (text.len >= 3 && (unsigned char)text.ptr[0] == 0xef)
        return ski_json_fault(text, reterr_error);
    simdjson::error_code error = parser_check(text, padded);
    return error ? door_refuses(text, error, reterr_error) : SKALD_OK;
}
