// SPDX-License-Identifier: Apache-2.0
// store/log/frame.h - the bytes of a frame, of the events and values in it: a codec without I/O.
//
// A frame is one atomic unit of the log: header, body, trailer, all multiples of 8 bytes, little
// endian. Any thread; nothing is kept. docs/internals/store.md explains the format.
#ifndef SKI_STORE_LOG_FRAME_H
#define SKI_STORE_LOG_FRAME_H

#include <skald/event.h>
#include <skald/store_driver.h>

enum {
    SKI_FRAME_HEADER = 64,
    SKI_FRAME_TRAILER = 8,
    SKI_FRAME_BYTES_MIN = SKI_FRAME_HEADER + SKI_FRAME_TRAILER,
    SKI_FRAME_BYTES_MAX = 32 * 1024 * 1024,
    SKI_RECORD_FIXED = 120, // bytes of a record before its texts, as this version writes them
    SKI_RECORD_TEXT_MAX = UINT16_MAX,
};

#define SKI_FRAME_MAGIC UINT32_C(0x4d524653) // "SFRM"

// What a frame is for. A kind with bit 5 set that is not known may be passed over; any other is
// refused.
typedef enum ski_frame_kind {
    SKI_FRAME_EVENTS = 1,  // events, then values
    SKI_FRAME_CONTROL = 2, // values only
    SKI_FRAME_PAD = 3,     // nothing: carries the watermark
    SKI_FRAME_OPEN = 4,    // nothing: the store was opened, a new incarnation begins
    SKI_FRAME_SEAL = 5,    // nothing: the segment ends here
    SKI_FRAME_STREAMS = 6, // in a rewritten segment: streams whose events are gone (gone.h)
    SKI_FRAME_IGNORABLE = 0x20,
} ski_frame_kind;

typedef struct ski_frame_header {
    uint32_t total_len;   // of the frame, a multiple of 8
    uint32_t body_len;    // of the body without padding
    uint64_t base_pos;    // of its first event, or that the next event will have
    uint64_t durable_pos; // when it was written every event up to here was on the device
    uint32_t durable_off; // and every byte of this segment before here
    int64_t append_us;    // never less than in the frame before
    uint32_t incarnation; // how often the store has been opened; never less than before
    uint32_t count;       // events
    uint32_t prev_crc;    // frame_crc of the frame before: the chain
    uint32_t segment_no;
    uint8_t kind; // ski_frame_kind
} ski_frame_header;

// ski_frame_len is the length of a frame with a body of body_len bytes.
size_t ski_frame_len(size_t body_len);

// ski_frame_seed is what header checksums of a segment begin with, from its salt.
uint32_t ski_frame_seed(uint64_t salt);

// ski_frame_seal writes header and trailer around the body, which is in place behind room for the
// header, and the zeros of the padding. total_len is computed. Returns frame_crc, the next one's
// prev_crc.
uint32_t ski_frame_seal(uint8_t *frame, const ski_frame_header *header, uint32_t seed);

// ski_frame_header_get reads SKI_FRAME_HEADER bytes. Fails: CORRUPT (not a header of this
// segment's), UNSUPPORTED (valid, but of a kind, version or flag that must be understood and is
// not).
skald_err ski_frame_header_get(const uint8_t *bytes, uint32_t seed, ski_frame_header *ret_header)
    SKALD_CHECK;

// ski_frame_check verifies the whole frame behind its valid header. Fails: CORRUPT.
skald_err ski_frame_check(const uint8_t *frame, const ski_frame_header *header, uint32_t *ret_crc)
    SKALD_CHECK;

// ski_record is one event as stored. Its texts point into the bytes it was read from.
typedef struct ski_record {
    skald_event event;
    uint64_t prev_pos; // of the event before in its stream; 0: none
    uint64_t stream_hash, content_hash;
    uint32_t len;
} ski_record;

// What is known of an event only when it is put in order.
typedef struct ski_record_order {
    uint64_t position, stream_version, prev_pos;
    int64_t recorded_at;
} ski_record_order;

// ski_record_len is how many bytes an event takes; 0: a text is too long for the format.
size_t ski_record_len(const skald_event *event);
// ski_record_put writes everything but the order, len bytes as ski_record_len gave them;
// ski_record_assign writes that and completes the checksum, touching few bytes, for it is done
// under a lock.
void ski_record_put(uint8_t *record, size_t len, const skald_event *event, uint64_t stream_hash,
                    uint64_t content_hash);
void ski_record_assign(uint8_t *record, const ski_record_order *order);
// ski_record_get reads and verifies one record of at most available bytes. Fails: CORRUPT,
// UNSUPPORTED.
skald_err ski_record_get(const uint8_t *bytes, size_t available, ski_record *ret_record)
    SKALD_CHECK;

// ski_record_right says whether there is one, and its checksum holds. ski_record_event reads the
// event of one for which that was said into place, and nothing else; event is written to, also when
// it fails. ski_record_size is how many bytes a record says it has; 0: none that has so few of
// them.
bool ski_record_right(const uint8_t *bytes, size_t available);
skald_err ski_record_event(const uint8_t *bytes, size_t available, skald_event *event) SKALD_CHECK;
size_t ski_record_size(const uint8_t *bytes, size_t available);

// ski_record_of_frame reads one of a frame that was verified, whose checksum covers it: it does not
// hold the record's own against it.
skald_err ski_record_of_frame(const uint8_t *bytes, size_t available, ski_record *ret_record)
    SKALD_CHECK;

// Values: a name and its bytes, or its removal. The frame's checksum covers them.
size_t ski_value_len(const skald_store_value *value); // 0: too long for the format
void ski_value_put(uint8_t *to, const skald_store_value *value);
skald_err ski_value_get(const uint8_t *bytes, size_t available, skald_store_value *ret_value,
                        size_t *ret_len) SKALD_CHECK;

#endif
