// SPDX-License-Identifier: Apache-2.0
// POST /api/events with application/x-ndjson: any number of events, one a line, appended in groups.
//
// Two groups take turns: while one is being made durable the next is filled from the body, so a
// group is as large as the disk is slow, with no timer. One group in flight keeps the order of the
// lines. A group is appended as one; when the store refuses it, its events are tried one by one, so
// that a line can only fail for itself.
//
// Invariants:
//   1. All state is touched on the loop only; the store's answer is posted there.
//   2. At most input_bytes_max + two groups of memory, whatever the body's length: then the body is
//   not read.
//   3. An event's text lies in its group and lives until the group has been answered.
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "event/event_json.h"

#include <assert.h>
#include <string.h>

enum {
    group_events_max = 4096,
    group_bytes_max = 1024 * 1024,   // unless one line is longer
    input_bytes_max = 256 * 1024,    // read ahead of the groups, then the body waits
    envelope_bytes_max = 256 * 1024, // what a line may have beside its data
    errors_max = 100,                // described one by one; the rest is counted
    group_arena_max = 64 * 1024 * 1024,
};

typedef struct line_group {
    skald_buf text; // the lines; never grown while events borrow from it
    skald_arena *arena;
    skald_event events[group_events_max];
    skald_expect expects[group_events_max];
    bool expecting[group_events_max]; // expects[i] is given
    uint64_t lines[group_events_max];
    size_t count;
    size_t alone; // when the group was refused: the event tried now; else count
} line_group;

typedef struct ndjson_intake {
    ski_http_request *request;
    skald_durability durability;
    skald_buf input; // bytes of the body not yet in a group
    line_group *filling, *flying;
    bool in_flight, ended, gone, answered;
    bool skipping; // the rest of a line that was too long
    uint64_t line; // of the body, from 1
    uint64_t accepted, rejected, position_last, errors_told;
    skald_buf errors; // JSON objects, between commas
    // What the store answered, from its thread to the loop.
    skald_err outcome;
    skald_error outcome_error;
    uint64_t outcome_position;
} ndjson_intake;

static void intake_go_on(ndjson_intake *intake);

static void group_free(line_group *group)
{
    if (!group) return;
    skald_buf_fini(&group->text);
    skald_arena_free(group->arena);
    ski_free(group);
}

static line_group *group_new(void)
{
    line_group *group = ski_alloc_zeroed(1, sizeof *group);

    if (!group) return NULL;
    group->text.bytes_max = SKALD_EVENT_BYTES_LIMIT + envelope_bytes_max + group_bytes_max;
    if (!skald_arena_new(group_arena_max, &group->arena)) return group;
    ski_free(group);
    return NULL;
}

static void group_clear(line_group *group)
{
    group->text.len = 0;
    group->count = 0;
    group->alone = 0;
    skald_arena_reset(group->arena);
}

static void intake_free(ndjson_intake *intake)
{
    group_free(intake->filling);
    group_free(intake->flying);
    skald_buf_fini(&intake->input);
    skald_buf_fini(&intake->errors);
    ski_free(intake);
}

static void reject_line(ndjson_intake *intake, uint64_t line, skald_err err,
                        const skald_error *error)
{
    skald_error plain = {0};
    size_t mark = intake->errors.len;
    skald_err full;

    intake->rejected++;
    if (intake->errors_told == errors_max) return;
    if (!error->err) {
        skald_fail(&plain, err, "%s", skald_err_text(err));
        error = &plain;
    }
    full =
        ski_buf_print(&intake->errors,
                      "%s{\"line\":%llu,\"code\":\"%s\",\"field\":", intake->errors_told ? "," : "",
                      (unsigned long long)line, ski_http_code_of(error));
    if (!full) full = ski_json_put_string(&intake->errors, skald_str_of(error->field));
    if (!full) full = skald_buf_put(&intake->errors, SKALD_STR(",\"message\":"));
    if (!full) full = ski_json_put_string(&intake->errors, skald_str_of(error->text));
    if (!full) full = ski_buf_byte(&intake->errors, '}');
    if (full)
        intake->errors.len = mark; // counted, not described
    else
        intake->errors_told++;
}

// answer replies once, when the body has ended and every group is stored.
static void answer(ndjson_intake *intake)
{
    ski_http_request *request = intake->request;
    skald_buf buf = ski_reply_buf();
    skald_err err;

    if (intake->answered) return;
    intake->answered = true;
    err = ski_buf_print(&buf, "{\"data\":{\"accepted\":%llu,\"rejected\":%llu,\"lastPosition\":",
                        (unsigned long long)intake->accepted, (unsigned long long)intake->rejected);
    if (!err && intake->position_last)
        err = ski_buf_u64(&buf, intake->position_last);
    else if (!err)
        err = skald_buf_put(&buf, SKALD_STR("null"));
    if (!err) err = skald_buf_put(&buf, SKALD_STR(",\"errors\":["));
    if (!err) err = skald_buf_put(&buf, ski_buf_str(&intake->errors));
    if (!err) err = skald_buf_put(&buf, SKALD_STR("]}}"));
    request->user = NULL;
    if (!err) {
        err = ski_reply_position(request, 200, ski_buf_str(&buf), intake->position_last,
                                 (skald_str){0});
    }
    if (err && err != SKALD_ESTALE) ski_reply_fail(request, err, NULL);
    skald_buf_fini(&buf);
    intake_free(intake);
}

// group_answered runs on the loop: what became of the group, or of one event of a group that was
// refused.
static void group_answered(void *context)
{
    ndjson_intake *intake = context;
    line_group *group = intake->flying;

    intake->in_flight = false;
    if (intake->outcome_position > intake->position_last) {
        intake->position_last = intake->outcome_position;
    }
    if (group->alone < group->count) {
        if (intake->outcome) {
            reject_line(intake, group->lines[group->alone], intake->outcome,
                        &intake->outcome_error);
        } else {
            intake->accepted++;
        }
        group->alone++;
    } else if (!intake->outcome) {
        intake->accepted += group->count;
    } else if (group->count == 1) {
        reject_line(intake, group->lines[0], intake->outcome, &intake->outcome_error);
    } else {
        group->alone = 0;
        intake_go_on(intake);
        return;
    }
    if (group->alone >= group->count) group_clear(group);
    intake_go_on(intake);
}

static void group_published(void *context, const skald_published *published)
{
    ndjson_intake *intake = context;

    intake->outcome = published->err;
    intake->outcome_error = published->error;
    intake->outcome_position = published->err ? 0 : published->appended.position_last;
    if (ski_http_post(intake->request->http, group_answered, intake)) return;
    // The loop has ended and the client is cut off: nobody else touches the intake any more.
    ski_reply_fail(intake->request, SKALD_ECLOSED, NULL);
    intake_free(intake);
}

// still_let_in: a body may go on for hours, and whose key is not good any more stores nothing.
static skald_err still_let_in(ndjson_intake *intake)
{
    ski_auth_ticket ticket = ski_auth_ticket_of(intake->request);

    intake->outcome_error = (skald_error){0};
    if (ski_auth_ticket_holds(ski_api_of(intake->request)->auth, &ticket)) return SKALD_OK;
    return skald_fail(&intake->outcome_error, SKALD_EAUTH,
                      "the key was revoked, or has expired, since this request began");
}

// group_send publishes events [first, first + count) of the group in flight. False: it was refused
// at once, and why is in outcome.
static bool group_send(ndjson_intake *intake, size_t first, size_t count)
{
    line_group *group = intake->flying;
    skald_publish_options options = {
        .append = {.durability = intake->durability},
        .reterr_error = &intake->outcome_error,
    };
    skald_str correlation = intake->request->correlation_id, trace = intake->request->traceparent;
    skald_expect *expects = &group->expects[first];
    size_t expect_count = 0;
    skald_err err = still_let_in(intake);

    // With several events each expectation stands where its event does, for it may have to be tried
    // alone.
    skald_expect *dense = skald_arena_get(group->arena, count * sizeof *dense);
    for (size_t i = 0; dense && i < count; i++) {
        if (group->expecting[first + i]) dense[expect_count++] = expects[i];
    }
    for (size_t i = first; i < first + count; i++) {
        skald_event *event = &group->events[i];
        if (!event->correlation_id.len && correlation.len) event->correlation_id = correlation;
        if (!event->traceparent.len && trace.len) event->traceparent = trace;
    }
    options.append.expect = dense;
    options.append.expect_count = expect_count;
    intake->outcome_position = 0;
    intake->in_flight = true;
    if (!err && !dense) err = SKALD_ENOMEM;
    if (!err)
        err = ski_publish_checked_start(ski_api_of(intake->request)->bus, &group->events[first],
                                        count, &options, group_published, intake);
    if (!err) return true;
    intake->in_flight = false;
    intake->outcome = err;
    return false;
}

// fly sends what there is to send; a group that was refused as a whole goes event by event.
static void fly(ndjson_intake *intake)
{
    while (!intake->in_flight) {
        line_group *group = intake->flying;

        if (!group->count && intake->filling->count) {
            intake->flying = intake->filling;
            intake->filling = group;
            group = intake->flying;
            group->alone = group->count;
        }
        if (!group->count) return;
        if (group->alone < group->count) {
            if (group_send(intake, group->alone, 1)) return;
            reject_line(intake, group->lines[group->alone], intake->outcome,
                        &intake->outcome_error);
            group->alone++;
            if (group->alone == group->count) group_clear(group);
            continue;
        }
        if (group_send(intake, 0, group->count)) return;
        group->alone = 0;
    }
}

// take_line reads one line into the filling group, which has room for it.
static void take_line(ndjson_intake *intake, skald_str line)
{
    line_group *group = intake->filling;
    skald_event *event = &group->events[group->count];
    ski_event_expect expect = {0};
    const ski_api *api = ski_api_of(intake->request);
    skald_error error = {0};
    skald_str text = {0};
    skald_err err = skald_buf_put(&group->text, line);

    if (!err) {
        text = ski_str(group->text.ptr + group->text.len - line.len, line.len);
        err = ski_json_door_check(text, true, &error);
    }
    if (!err && ski_json_kind_of(text) != SKI_JSON_OBJECT) {
        err = skald_fail(&error, SKALD_EINVALID, "a line must be one event, a JSON object");
    }
    if (!err) err = ski_event_read(text, 0, group->arena, event, &expect, &error);
    if (!err) err = ski_auth_stamp(intake->request, event, group->arena, &error);
    if (!err && event->data.len > api->options.event_bytes_max) {
        err = skald_fail_at(&error, SKALD_ETOOBIG, "data", "%zu bytes, at most %u are allowed",
                            event->data.len, api->options.event_bytes_max);
    }
    if (!err && (expect.deliver_at || expect.expires_at)) {
        err = skald_fail_at(&error, SKALD_EINVALID, expect.deliver_at ? "deliverAt" : "expiresAt",
                            "cannot be given in a stream of lines; publish it as JSON");
    }
    group->expecting[group->count] = !err && expect.expected != SKI_EXPECT_ANY;
    if (group->expecting[group->count]) {
        err = ski_api_expect(event, &expect, &group->expects[group->count], &error);
    }
    if (err) {
        group->text.len -= text.len;
        reject_line(intake, intake->line, err, &error);
        return;
    }
    group->lines[group->count++] = intake->line;
}

static bool group_has_room(const line_group *group, size_t line_len)
{
    if (!group->count) return true;
    return group->count < group_events_max &&
           group->text.len + line_len + SKI_JSON_PAD <= group_bytes_max;
}

// make_room gives the group's text its full size before any event borrows from it.
static bool make_room(line_group *group, size_t line_len)
{
    size_t size = line_len > group_bytes_max ? line_len : group_bytes_max;

    if (group->count) return true;
    return !ski_buf_room(&group->text, size + 2 * SKI_JSON_PAD);
}

static void reject_long_line(ndjson_intake *intake)
{
    skald_error error = {0};

    skald_fail(&error, SKALD_ETOOBIG, "the line is longer than an event may be");
    intake->line++;
    reject_line(intake, intake->line, SKALD_ETOOBIG, &error);
}

// next_line finds the next whole line of the input, or what is left of it at the end.
static bool next_line(ndjson_intake *intake, size_t at, skald_str *ret_line, size_t *ret_next)
{
    const char *begin = intake->input.ptr + at;
    size_t rest = intake->input.len - at;
    const char *end = rest ? memchr(begin, '\n', rest) : NULL;

    if (!end && !(intake->ended && rest)) return false;
    *ret_line = ski_str(begin, end ? (size_t)(end - begin) : rest);
    *ret_next = at + ret_line->len + (end ? 1 : 0);
    return true;
}

// fill moves whole lines from the input into the filling group, as far as it has room.
static void fill(ndjson_intake *intake)
{
    size_t line_max = ski_api_of(intake->request)->options.event_bytes_max + envelope_bytes_max;
    size_t at = 0;
    size_t next = 0;
    skald_str line;

    while (next_line(intake, at, &line, &next)) {
        if (intake->skipping) {
            intake->skipping = false;
        } else if (line.len > line_max) {
            reject_long_line(intake);
        } else {
            skald_str text = ski_str_trim(line);
            if (text.len && text.ptr[text.len - 1] == '\r') text.len--;
            if (text.len && !group_has_room(intake->filling, text.len)) break;
            intake->line++;
            if (text.len && make_room(intake->filling, text.len))
                take_line(intake, text);
            else if (text.len)
                reject_line(intake, intake->line, SKALD_ENOMEM, &(skald_error){0});
        }
        at = next;
    }
    ski_buf_drop(&intake->input, at);
    // No end in sight: this line is given up now, so that it need not be kept.
    if (intake->input.len > line_max && !memchr(intake->input.ptr, '\n', intake->input.len)) {
        if (!intake->skipping) reject_long_line(intake);
        intake->skipping = true;
        intake->input.len = 0;
    }
}

static void intake_go_on(ndjson_intake *intake)
{
    bool waited = intake->input.len > input_bytes_max;

    do {
        fill(intake);
        fly(intake);
    } while (!intake->in_flight && intake->filling->count);
    if (intake->in_flight) {
        if (waited && intake->input.len <= input_bytes_max) {
            ski_http_resume(intake->request->http, intake->request->id);
        }
        return;
    }
    if (intake->ended || intake->gone) {
        answer(intake);
    } else if (waited) {
        ski_http_resume(intake->request->http, intake->request->id);
    }
}

static bool body_more(ski_http_request *request, skald_str bytes)
{
    ndjson_intake *intake = request->user;

    if (!intake) return true; // refused already; the rest is passed over
    if (skald_buf_put(&intake->input, bytes)) {
        skald_error error = {0};
        skald_fail(&error, SKALD_ENOMEM, "no memory to take more of the body");
        reject_line(intake, intake->line + 1, SKALD_ENOMEM, &error);
        intake->ended = true;
        intake->input.len = 0;
    }
    intake_go_on(intake);
    // go_on may have answered and freed it, which it does only at the end.
    if (request->user != intake) return true;
    return intake->input.len <= input_bytes_max;
}

static void body_end(ski_http_request *request)
{
    ndjson_intake *intake = request->user;

    if (!intake) return;
    intake->ended = true;
    intake_go_on(intake);
}

static void body_gone(ski_http_request *request)
{
    ndjson_intake *intake = request->user;

    if (!intake) return;
    // What came whole is stored; the cut line is not.
    intake->gone = true;
    if (!intake->in_flight) answer(intake);
}

const ski_http_body ski_ndjson_body = {.more = body_more, .end = body_end, .gone = body_gone};

bool ski_post_events_streams(const ski_http_request *request)
{
    return ski_body_media(request) == SKI_MEDIA_NDJSON;
}

skald_err ski_post_events(ski_http_request *request, skald_error *reterr_error)
{
    ndjson_intake *intake;
    ski_query query;

    if (!ski_post_events_streams(request)) {
        return ski_events_publish(request, (skald_str){0}, reterr_error);
    }
    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    intake = ski_alloc_zeroed(1, sizeof *intake);
    if (!intake) return SKALD_ENOMEM;
    intake->request = request;
    intake->durability = query.durability;
    intake->input.bytes_max =
        (size_t)SKALD_EVENT_BYTES_LIMIT + 2 * envelope_bytes_max + input_bytes_max;
    intake->errors.bytes_max = 128 * 1024;
    intake->filling = group_new();
    intake->flying = group_new();
    if (!intake->filling || !intake->flying) {
        intake_free(intake);
        return SKALD_ENOMEM;
    }
    request->user = intake;
    return SKALD_OK;
}
