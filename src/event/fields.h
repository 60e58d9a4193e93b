// SPDX-License-Identifier: Apache-2.0
// event/fields.h - what encoder, decoder and contracts share: where in a document they are, and the
// values JSON has no kind for.
#ifndef SKI_EVENT_FIELDS_H
#define SKI_EVENT_FIELDS_H

#include <skald/types.h>

// ski_place is a member of a document, or an item of a list: a chain outwards, ended by NULL. It
// lives on the stack.
typedef struct ski_place {
    const struct ski_place *outer;
    const char *name; // NULL: an item
    size_t index;
} ski_place;

// ski_place_fail fills error, its field being the way to place: "lines[2].vatCode".
skald_err ski_place_fail(skald_error *error, const ski_place *place, skald_err err,
                         const char *format, ...) SKALD_PRINTF(4, 5);

// Numbers are printed and read as JSON has them, whatever the locale. ski_f64_print gives the
// shortest text that reads back the same; number is finite. ski_f64_parse: text is a JSON number.
// Fails: INVALID (longer than any double needs).
enum { SKI_F64_TEXT = 32 };
void ski_f64_print(double number, char ret_text[SKI_F64_TEXT]);
skald_err ski_f64_parse(skald_str text, double *ret_number) SKALD_CHECK;

// Amounts of money: "2799.26", with as many digits behind the point as the currency has.
enum { SKI_AMOUNT_TEXT = 32 };
bool ski_currency_known(const char currency[4]); // three capital letters, terminated
void ski_amount_print(const skald_money *money, char ret_text[SKI_AMOUNT_TEXT]);
skald_err ski_amount_parse(skald_str text, const char currency[4], int64_t *ret_minor) SKALD_CHECK;
int ski_currency_digits(const char currency[4]);

const char *ski_field_due(const skald_field *field); // "a UUID"

static inline const void *ski_field_at(const skald_field *field, const void *object)
{
    return (const char *)object + field->offset;
}

static inline bool ski_field_given(const skald_field *field, const void *object)
{
    if (!(field->flags & SKALD_OPTIONAL)) return true;
    return *(const bool *)((const char *)object + field->has_offset);
}

// ski_decode_checked is skald_decode for data that has passed the door already.
skald_err ski_decode_checked(const skald_record *record, skald_json json, skald_arena *arena,
                             const void **ret_object, skald_error *reterr_error) SKALD_CHECK;

// A list of any record; x_list is the same with another pointer.
typedef struct ski_items {
    const void *items;
    size_t count;
} ski_items;

#endif
