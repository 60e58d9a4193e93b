// SPDX-License-Identifier: Apache-2.0
// What others are given of the events that a program declares, without running it: the step of a
// build that writes types for a web page, or schemas for a team.
//
//     contract typescript > events.ts
//     contract json-schema > events.json      contract asyncapi > asyncapi.json
//     contract data                           an example of each event's data, one a line
#include <skald/skald.h>
#include <stdio.h>
#include <string.h>

#define WEIGHT(FIELD)          \
    FIELD(f64, grams, "grams") \
    FIELD(optional(text), unit, "unit")
SKALD_RECORD(weight, WEIGHT);

#define HAZARD(ONE) ONE(HAZARD_NONE, "none") ONE(HAZARD_FIRE, "on-fire")
SKALD_CHOICE(hazard, HAZARD);

// Every kind of field there is.
#define PARCEL_SENT(FIELD)                        \
    FIELD(text, parcel, "parcel")                 \
    FIELD(subject(uuid), sender, "sender-id")     \
    FIELD(personal(optional(text)), note, "note") \
    FIELD(flag, insured, "insured")               \
    FIELD(i64, stamps, "stamps")                  \
    FIELD(time, sent_at, "sentAt")                \
    FIELD(optional(date), due_on, "dueOn")        \
    FIELD(money, value, "value")                  \
    FIELD(json, extra, "extra")                   \
    FIELD(texts, labels, "labels")                \
    FIELD(uuids, seals, "seals")                  \
    FIELD(object(weight), whole, "whole")         \
    FIELD(list(weight), parts, "parts")           \
    FIELD(choice(hazard), danger, "danger")
SKALD_EVENT(parcel_sent, "parcel.sent", PARCEL_SENT, 1, .aliases = "PARCEL_SENT");

#define PARCEL_LOST(FIELD) FIELD(text, parcel, "parcel")
SKALD_EVENT(parcel_lost, "parcel.lost", PARCEL_LOST, 2);

static skald_event_type_fn *const events[] = {parcel_sent_type, parcel_lost_type, NULL};

static skald_err put_data(skald_buf *buf, skald_error *error)
{
    const skald_str labels[] = {SKALD_STR("\"up\""), SKALD_STR("bjørn")};
    const weight parts[] = {{.grams = 0.25}, {.grams = 1e3, .unit = {true, SKALD_STR("g")}}};
    const parcel_sent sent = {
        .parcel = SKALD_STR("P-7"),
        .sender = skald_uuid_named((skald_uuid){{1}}, SKALD_STR("kari")),
        .stamps = -3,
        .due_on = {true, 20000},
        .value = {4990, "NOK"},
        .extra = SKALD_STR("{\"any\":[1,null]}"),
        .labels = {labels, 2},
        .whole = {.grams = 1000.25},
        .parts = {parts, 2},
        .danger = HAZARD_FIRE,
    };
    const parcel_lost lost = {.parcel = SKALD_STR("P-7")};

    SKALD_TRY(skald_encode(parcel_sent_type()->record(), &sent, buf, error));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\n")));
    SKALD_TRY(skald_encode(parcel_lost_type()->record(), &lost, buf, error));
    return skald_buf_put(buf, SKALD_STR("\n"));
}

static skald_err put(const char *what, skald_buf *buf, skald_error *error)
{
    static const char *const names[] = {"json-schema", "asyncapi", "typescript"};
    skald_types *types = NULL;
    skald_err err;
    int i = 0;

    if (strcmp(what, "data") == 0) return put_data(buf, error);
    while (i < 3 && strcmp(what, names[i]) != 0) i++;
    if (i == 3) return SKALD_EINVALID;
    SKALD_TRY(skald_types_new(0, &types));
    err = skald_types_add(types, events, error);
    if (!err) err = skald_types_write(types, (skald_contract)i, buf);
    skald_types_free(types);
    return err;
}

int main(int argc, char **argv)
{
    skald_buf buf = {.bytes_max = 1 << 20};
    skald_error error = {0};
    skald_err err = argc == 2 ? put(argv[1], &buf, &error) : SKALD_EINVALID;

    if (!err) (void)fwrite(buf.ptr, 1, buf.len, stdout);
    if (err) (void)fprintf(stderr, "%s: %s\n", skald_err_name(err), error.text);
    skald_buf_fini(&buf);
    return err ? 1 : 0;
}
