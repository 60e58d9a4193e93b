// SPDX-License-Identifier: Apache-2.0
// Pull groups: POST and DELETE /api/subscriptions, and taking, ending deliveries over HTTP.
//
// A group is a durable subscription whose deliveries are taken by remote workers. Its definition is
// a value in the store beside the subscription's checkpoint, so it runs again after a restart.
//
// Invariants:
//   1. The list of groups is guarded by pulls->lock; a group's polls are touched on the loop only.
//   2. A group lives until its subscription has ended (group_end); deleting only asks for that.
//   3. A delivery id can be made by this run of the server alone and names the subscription
//      (api_pull_id.c): an old one, or another group's, is refused.
//   4. A group that was drained stays in the list, ended, until its definition is posted again or
//      it is deleted.
#include "api/api_pull.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdatomic.h>
#include <string.h>

enum {
    groups_max = 1024,
    polls_max = 256,               // waiting at once, of one group
    ends_max = 10000,              // deliveries in one ack or nack
    reply_bytes = 4 * 1024 * 1024, // a reply is cut behind the delivery that passes this
    kept_bytes_max = 64 * 1024 * 1024,
};

static const char value_prefix[] = "pull/";

// A poll waits for deliveries until its time is over. It has one owner at a time: the group's list,
// or the timer once it has been answered.
typedef struct pull_poll {
    ski_http_request *request;
    struct pull_group *group; // NULL: answered or group ended
    uint32_t count_max;
    struct pull_poll *next;
} pull_poll;

typedef struct pull_group {
    ski_pulls *pulls;
    ski_pull_definition definition;
    ski_http_request *deleting; // asked for the end of it, and is waiting; under the lock
    skald_subscription subscription;
    pull_poll *polls; // oldest first
    size_t poll_count;
    _Atomic bool ended;  // nothing comes any more; written under the lock
    _Atomic bool posted; // group_serve is on its way
    _Atomic int owners;  // the list, the subscription, each poll and each posted call
    struct pull_group *next;
} pull_group;

struct ski_pulls {
    ski_api *api;
    ski_mutex lock;
    pull_group *groups;
    size_t group_count;
    ski_pull_secret secret; // of delivery ids
    ski_http *http;         // NULL: not serving; then nobody polls
};

static void group_leave(pull_group *group)
{
    if (atomic_fetch_sub(&group->owners, 1) > 1) return;
    ski_pull_definition_fini(&group->definition);
    ski_free(group);
}

typedef struct pull_taking {
    pull_group *group;
    skald_buf *buf;
    bool failed;
} pull_taking;

static skald_err put_delivery(const pull_taking *taking, const skald_delivery *delivery)
{
    skald_buf *buf = taking->buf;
    bool first = buf->ptr[buf->len - 1] == '[';

    SKALD_TRY(skald_buf_put(buf, first ? SKALD_STR("{\"deliveryId\":\"")
                                       : SKALD_STR(",{\"deliveryId\":\"")));
    SKALD_TRY(ski_pull_id_put(&taking->group->pulls->secret, taking->group->subscription,
                              delivery->id, buf));
    SKALD_TRY(ski_buf_print(buf, "\",\"attempt\":%u,\"event\":", delivery->attempt));
    SKALD_TRY(skald_event_json(delivery->event, false, buf));
    return ski_buf_byte(buf, '}');
}

static skald_outcome take_one(const skald_delivery *delivery)
{
    pull_taking *taking = delivery->context;
    size_t mark = taking->buf->len;

    if (!put_delivery(taking, delivery)) return SKALD_PENDING;
    taking->buf->len = mark;
    taking->failed = true;
    return SKALD_RETRY;
}

// take writes at most count_max deliveries as a reply's body; it gives how many.
static uint32_t take(pull_group *group, uint32_t count_max, skald_buf *buf)
{
    pull_taking taking = {.group = group, .buf = buf};
    uint32_t count = 0;
    uint32_t one = 1;

    if (skald_buf_put(buf, SKALD_STR("{\"data\":["))) return 0;
    while (count < count_max && one && !taking.failed && buf->len < reply_bytes) {
        if (skald_subscription_take(group->pulls->api->bus, group->subscription, 1, take_one,
                                    &taking, &one)) {
            break;
        }
        if (one && !taking.failed) count++;
    }
    return count;
}

static void reply_deliveries(ski_http_request *request, skald_buf *buf)
{
    skald_err err = skald_buf_put(buf, SKALD_STR("]}"));

    if (!err) err = ski_reply_json(request, 200, ski_buf_str(buf));
    if (err && err != SKALD_ESTALE) ski_reply_fail(request, err, NULL);
}

// poll_unlink takes a poll out of its group's list and leaves the group.
static void poll_unlink(pull_poll *poll)
{
    pull_group *group = poll->group;
    struct pull_poll **at = &group->polls;

    while (*at != poll) at = &(*at)->next;
    *at = poll->next;
    group->poll_count--;
    poll->group = NULL;
    group_leave(group);
}

static void poll_answer(pull_poll *poll, skald_buf *buf)
{
    ski_http_request *request = poll->request;

    poll_unlink(poll);
    poll->request = NULL;
    reply_deliveries(request, buf);
}

// poll_holds: its key is still good.
static bool poll_holds(const pull_poll *poll)
{
    ski_auth_ticket ticket = ski_auth_ticket_of(poll->request);

    return ski_auth_ticket_holds(ski_api_of(poll->request)->auth, &ticket);
}

// group_serve gives waiting polls what there is. On the loop.
static void group_serve(void *context)
{
    pull_group *group = context;

    atomic_store(&group->posted, false);
    while (group->polls) {
        pull_poll *poll = group->polls;
        skald_buf buf = ski_reply_buf();
        bool alive = !atomic_load(&group->ended) &&
                     ski_http_alive(poll->request->http, poll->request->id) && poll_holds(poll);
        uint32_t count = alive ? take(group, poll->count_max, &buf) : 0;

        if (!alive) (void)!skald_buf_put(&buf, SKALD_STR("{\"data\":["));
        if (count || !alive) poll_answer(poll, &buf);
        skald_buf_fini(&buf);
        if (!count && alive) break;
    }
    group_leave(group);
}

// group_ready is told by the bus, on any thread.
static void group_ready(void *context)
{
    pull_group *group = context;
    ski_pulls *pulls = group->pulls;
    bool posted = false;

    if (atomic_exchange(&group->posted, true)) return;
    atomic_fetch_add(&group->owners, 1);
    ski_mutex_lock(&pulls->lock);
    if (pulls->http) posted = ski_http_post(pulls->http, group_serve, group);
    ski_mutex_unlock(&pulls->lock);
    if (posted) return;
    atomic_store(&group->posted, false);
    group_leave(group);
}

static skald_err reply_deleted(ski_http_request *request)
{
    return ski_reply_json(request, 200, SKALD_STR("{\"data\":{\"deleted\":true}}"));
}

static void group_end(void *context)
{
    pull_group *group = context;
    ski_pulls *pulls = group->pulls;
    ski_http_request *deleting;

    ski_mutex_lock(&pulls->lock);
    atomic_store(&group->ended, true);
    deleting = group->deleting;
    ski_mutex_unlock(&pulls->lock);
    if (deleting) (void)!reply_deleted(deleting);
    group_ready(group); // nothing comes any more to those that wait
    group_leave(group);
}

static void poll_over(void *context, bool cancelled)
{
    pull_poll *poll = context;
    skald_buf buf = ski_reply_buf();

    (void)cancelled;
    if (poll->group && !skald_buf_put(&buf, SKALD_STR("{\"data\":["))) poll_answer(poll, &buf);
    skald_buf_fini(&buf);
    ski_free(poll);
}

static pull_group *pulls_find(ski_pulls *pulls, skald_str name)
{
    pull_group *found;

    ski_mutex_lock(&pulls->lock);
    found = pulls->groups;
    while (found && !skald_str_equal(found->definition.name, name)) found = found->next;
    if (found) atomic_fetch_add(&found->owners, 1);
    ski_mutex_unlock(&pulls->lock);
    return found;
}

// pulls_find_seen finds the group that the path names, if the asker may see what it delivers.
static pull_group *pulls_find_seen(const ski_http_request *request)
{
    pull_group *group = pulls_find(ski_api_of(request)->pulls, request->parameters[0]);

    if (!group || ski_auth_sees_all(request, &group->definition.options.filter)) return group;
    group_leave(group);
    return NULL;
}

skald_err ski_pulls_drained(const ski_http_request *request, skald_subscription_state *state,
                            skald_str *ret_definition)
{
    pull_group *group = state->id.id ? NULL : pulls_find(ski_api_of(request)->pulls, state->name);
    skald_err err = SKALD_OK;

    if (group && atomic_load(&group->ended)) {
        const skald_subscription_options *options = &group->definition.options;
        skald_str text = ski_pull_definition_shown(request, group->definition.text);
        bool copied = ski_filter_copy(request->scratch, &options->filter, &state->filter);

        *ret_definition = skald_arena_copy(request->scratch, text);
        if (options->key_pointer) {
            state->key_pointer =
                skald_arena_copy(request->scratch, skald_str_of(options->key_pointer));
            copied = copied && state->key_pointer.ptr;
        }
        state->order = options->order;
        state->on_exhausted = options->on_exhausted;
        state->timeout_ms = options->retry.timeout_ms;
        if (!copied || !text.ptr || !ret_definition->ptr) err = SKALD_ENOMEM;
    }
    if (group) group_leave(group);
    return err;
}

static skald_err not_found(skald_str name, skald_error *reterr_error)
{
    return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "name",
                         "there is no pull group '%.*s'; POST /api/subscriptions makes one",
                         SKALD_FMT(name));
}

static skald_err has_ended(const pull_group *group, skald_error *reterr_error)
{
    return skald_fail_at(reterr_error, SKALD_ESTATE, "name",
                         "the group '%.*s' was drained; POST /api/subscriptions with its "
                         "definition lets it go on",
                         SKALD_FMT(group->definition.name));
}

static skald_err poll_wait(pull_group *group, ski_http_request *request, const ski_query *query,
                           skald_error *reterr_error)
{
    pull_poll *waiting;
    pull_poll **at = &group->polls;
    skald_err err;

    if (group->poll_count == polls_max) {
        return skald_fail(reterr_error, SKALD_EFULL, "%d polls of this group wait already",
                          polls_max);
    }
    waiting = ski_alloc_zeroed(1, sizeof *waiting);
    if (!waiting) return SKALD_ENOMEM;
    *waiting = (pull_poll){.request = request, .group = group, .count_max = query->count_max};
    err = ski_http_later(request->http, (uint32_t)query->wait_ms, poll_over, waiting);
    if (err) {
        ski_free(waiting);
        return err;
    }
    while (*at) at = &(*at)->next;
    *at = waiting;
    group->poll_count++;
    atomic_fetch_add(&group->owners, 1);
    return SKALD_OK;
}

skald_err ski_get_deliveries(ski_http_request *request, skald_error *reterr_error)
{
    pull_group *group = pulls_find_seen(request);
    skald_buf buf = ski_reply_buf();
    ski_query query;
    skald_err err = SKALD_OK;

    if (!group) return not_found(request->parameters[0], reterr_error);
    err = ski_query_read(request, &query, reterr_error);
    if (!err && atomic_load(&group->ended)) err = has_ended(group, reterr_error);
    if (!err && (take(group, query.count_max, &buf) || !query.wait_ms)) {
        reply_deliveries(request, &buf);
    } else if (!err) {
        err = poll_wait(group, request, &query, reterr_error);
    }
    skald_buf_fini(&buf);
    group_leave(group);
    return err;
}

// pulls_start runs a group. Not OK: there is none.
static skald_err pulls_start(ski_pulls *pulls, ski_pull_definition *take_definition,
                             skald_error *reterr_error)
{
    pull_group *group = ski_alloc_zeroed(1, sizeof *group);
    skald_subscription_options options = take_definition->options;
    skald_subscription subscription = {0};
    skald_err err;

    if (!group) return SKALD_ENOMEM;
    group->pulls = pulls;
    atomic_init(&group->owners, 2);
    options.kind = "pull";
    options.handler = (skald_handler){.ready = group_ready, .context = group, .end = group_end};
    group->definition = *take_definition;
    err = skald_subscribe(pulls->api->bus, &options, &subscription, reterr_error);
    if (err) {
        group->definition = (ski_pull_definition){0};
        group_leave(group);
        return err;
    }
    *take_definition = (ski_pull_definition){0};
    ski_mutex_lock(&pulls->lock);
    group->subscription = subscription;
    group->next = pulls->groups;
    pulls->groups = group;
    pulls->group_count++;
    ski_mutex_unlock(&pulls->lock);
    return SKALD_OK;
}

static void kept_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// keep_value writes or removes (bytes not given) a group's definition, durably.
static skald_err keep_value(ski_pulls *pulls, skald_str name, skald_str bytes)
{
    skald_buf key = {.bytes_max = 512};
    skald_err outcome = SKALD_OK;
    skald_store_value value = {.bytes = bytes};
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .done = kept_done, .context = &outcome};
    skald_err err = ski_buf_print(&key, "%s%.*s", value_prefix, SKALD_FMT(name));

    value.name = ski_buf_str(&key);
    if (!err) err = ski_store_commit(pulls->api->store, &batch);
    skald_buf_fini(&key);
    return err ? err : outcome;
}

static skald_err reply_definition(ski_http_request *request, unsigned status, skald_str text)
{
    skald_buf buf = ski_reply_buf();
    skald_str shown = ski_pull_definition_shown(request, text);
    skald_err err =
        shown.ptr ? ski_buf_print(&buf, "{\"data\":%.*s}", SKALD_FMT(shown)) : SKALD_ENOMEM;

    if (!err) err = ski_reply_json(request, status, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static bool pulls_remove(ski_pulls *pulls, pull_group *group)
{
    struct pull_group **at = &pulls->groups;
    bool there;

    ski_mutex_lock(&pulls->lock);
    while (*at && *at != group) at = &(*at)->next;
    there = *at != NULL;
    if (there) {
        *at = group->next;
        pulls->group_count--;
        atomic_fetch_sub(&group->owners, 1); // the list's; the caller has one of its own
    }
    ski_mutex_unlock(&pulls->lock);
    return there;
}

// pulls_full: as many as there may be.
static bool pulls_full(ski_pulls *pulls)
{
    ski_mutex_lock(&pulls->lock);
    bool full = pulls->group_count >= groups_max;

    ski_mutex_unlock(&pulls->lock);
    return full;
}

// group_cancel ends a group whose definition could not be kept: it must not run until the next
// start and then be gone. forget: it began with it.
static void group_cancel(ski_pulls *pulls, skald_str name, bool forget)
{
    pull_group *group = pulls_find(pulls, name);

    if (!group) return;
    if (pulls_remove(pulls, group)) {
        (void)skald_unsubscribe(pulls->api->bus, group->subscription, forget);
    }
    group_leave(group);
}

static skald_err make_group(ski_http_request *request, ski_pull_definition *definition,
                            skald_error *reterr_error)
{
    ski_pulls *pulls = ski_api_of(request)->pulls;
    skald_str text = skald_arena_copy(request->scratch, definition->text);
    skald_str name = skald_arena_copy(request->scratch, definition->name);
    skald_subscription_state known;
    skald_err err;

    if (!text.ptr || !name.ptr) return SKALD_ENOMEM;
    if (pulls_full(pulls)) {
        return skald_fail(reterr_error, SKALD_EFULL, "there are %d pull groups already",
                          groups_max);
    }
    bool is_new = ski_subscription_state(request, name, &known, NULL) == SKALD_ENOTFOUND;

    SKALD_TRY(pulls_start(pulls, definition, reterr_error));
    // Kept last: what could not start is not there after a restart either.
    err = keep_value(pulls, name, text);
    if (err) {
        group_cancel(pulls, name, is_new);
        return err;
    }
    return reply_definition(request, 201, text);
}

// group_again answers for a definition that is there; one that was drained goes on.
static skald_err group_again(ski_http_request *request, pull_group *there,
                             ski_pull_definition *definition, skald_error *reterr_error)
{
    ski_pulls *pulls = there->pulls;
    skald_str text = there->definition.text;

    if (!skald_str_equal(text, definition->text)) {
        return skald_fail_at(reterr_error, SKALD_EEXISTS, "name",
                             "there is a group '%.*s' with another definition; delete it first or "
                             "choose another name",
                             SKALD_FMT(definition->name));
    }
    if (atomic_load(&there->ended) && pulls_remove(pulls, there))
        SKALD_TRY(pulls_start(pulls, definition, reterr_error));
    return reply_definition(request, 200, text);
}

skald_err ski_post_subscription(ski_http_request *request, skald_error *reterr_error)
{
    ski_pulls *pulls = ski_api_of(request)->pulls;
    ski_pull_definition definition = {0};
    pull_group *there;
    skald_err err;

    SKALD_TRY(ski_pull_definition_own(request, &definition, reterr_error));
    there = pulls_find(pulls, definition.name);
    if (there)
        err = group_again(request, there, &definition, reterr_error);
    else
        err = make_group(request, &definition, reterr_error);
    if (there) group_leave(there);
    ski_pull_definition_fini(&definition);
    return err;
}

static void pulls_add(ski_pulls *pulls, pull_group *group)
{
    ski_mutex_lock(&pulls->lock);
    group->next = pulls->groups;
    pulls->groups = group;
    pulls->group_count++;
    atomic_fetch_add(&group->owners, 1);
    ski_mutex_unlock(&pulls->lock);
}

// deletes says who is answered when the group has ended. False: it has.
static bool deletes(pull_group *group, ski_http_request *request)
{
    ski_mutex_lock(&group->pulls->lock);
    bool runs = !atomic_load(&group->ended);

    if (runs) group->deleting = request;
    ski_mutex_unlock(&group->pulls->lock);
    return runs;
}

// delete_group: the definition goes first. Whatever fails then, the same call can be made again,
// and the group does not begin anew meanwhile.
static skald_err delete_group(ski_http_request *request, pull_group *group,
                              skald_error *reterr_error)
{
    ski_pulls *pulls = group->pulls;
    skald_actor by = ski_api_actor(request);
    skald_str name = group->definition.name;

    SKALD_TRY(keep_value(pulls, name, (skald_str){0}));
    if (!pulls_remove(pulls, group)) return not_found(name, reterr_error); // another was first
    bool runs = deletes(group, request);
    skald_err err = skald_subscription_delete(pulls->api->bus, name, &by);

    // It ended by itself just now; or it had ended before anything was kept of it.
    if (err == SKALD_ESTALE) err = skald_subscription_delete(pulls->api->bus, name, NULL);
    if (err == SKALD_ENOTFOUND) err = SKALD_OK;
    if (!err) return runs ? SKALD_OK : reply_deleted(request);
    (void)deletes(group, NULL);
    pulls_add(pulls, group);
    return err;
}

// delete_other: nobody runs it here, or a program does, which would go on handling into the void.
static skald_err delete_other(ski_http_request *request, skald_error *reterr_error)
{
    skald_bus *bus = ski_api_of(request)->bus;
    skald_actor by = ski_api_actor(request);
    skald_subscription_state state;

    SKALD_TRY(ski_subscription_state(request, request->parameters[0], &state, reterr_error));
    if (state.id.id) {
        return skald_fail_at(
            reterr_error, SKALD_ESTATE, "name",
            "'%.*s' belongs to a program that runs here; only pull groups, and what nobody runs, "
            "can be deleted",
            SKALD_FMT(state.name));
    }
    SKALD_TRY(skald_subscription_delete(bus, request->parameters[0], &by));
    return reply_deleted(request);
}

skald_err ski_delete_subscription(ski_http_request *request, skald_error *reterr_error)
{
    pull_group *group = pulls_find_seen(request);
    skald_err err;

    if (!group) return delete_other(request, reterr_error);
    err = delete_group(request, group, reterr_error);
    group_leave(group);
    return err;
}

// id_read reads a delivery's id; NULL: done, else why not. One that is refused names nothing.
static const char *id_read(const pull_group *group, skald_str text, skald_delivery_id *ret_delivery)
{
    skald_subscription subscription = {0};
    skald_delivery_id delivery = {0};

    *ret_delivery = delivery;
    switch (ski_pull_id_parse(&group->pulls->secret, text, &subscription, &delivery)) {
    case SKALD_OK: break;
    case SKALD_ESTALE: return "STALE"; // of a server that is gone, or of nobody's
    default: return "INVALID";
    }
    if (subscription.id != group->subscription.id) return "NOT_FOUND"; // another group's
    *ret_delivery = delivery;
    return NULL;
}

static skald_err put_refused(skald_buf *buf, skald_str text, const char *code)
{
    if (buf->len) SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"deliveryId\":")));
    SKALD_TRY(ski_json_put_string(buf, text));
    return ski_buf_print(buf, ",\"code\":\"%s\"}", code);
}

// What became of the deliveries of an ending, each with a place in these.
typedef struct ended_all {
    skald_delivery_id *ids;
    const char **codes; // why an id is none of the group's; or NULL
    bool *each;
    size_t accepted;
} ended_all;

static skald_err reply_ended(ski_http_request *request, const ski_pull_ending *ending,
                             const ended_all *all)
{
    skald_buf refused = ski_reply_buf();
    skald_buf buf = ski_reply_buf();
    skald_err err = SKALD_OK;

    for (size_t i = 0; i < ending->count && !err; i++)
        if (!all->each[i])
            err = put_refused(&refused, ending->deliveries[i],
                              all->codes[i] ? all->codes[i] : "STALE");
    if (!err) err = ski_buf_print(&buf, "{\"data\":{\"accepted\":%zu,\"refused\":[", all->accepted);
    if (!err) err = skald_buf_put(&buf, ski_buf_str(&refused));
    if (!err) err = skald_buf_put(&buf, SKALD_STR("]}}"));
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&refused);
    skald_buf_fini(&buf);
    return err;
}

static skald_err end_all(pull_group *group, ski_http_request *request,
                         const ski_pull_ending *ending)
{
    skald_arena *arena = request->scratch;
    ended_all all = {
        .ids = skald_arena_get(arena, ending->count * sizeof *all.ids),
        .codes = skald_arena_get(arena, ending->count * sizeof *all.codes),
        .each = skald_arena_get(arena, ending->count * sizeof *all.each),
    };

    if (!all.ids || !all.codes || !all.each) return SKALD_ENOMEM;
    for (size_t i = 0; i < ending->count; i++)
        all.codes[i] = id_read(group, ending->deliveries[i], &all.ids[i]);
    SKALD_TRY(skald_deliveries_end(group->pulls->api->bus, all.ids, ending->count, ending->outcome,
                                   ending->delay_ms, ending->reason[0] ? ending->reason : NULL,
                                   all.each, &all.accepted));
    return reply_ended(request, ending, &all);
}

static skald_err end_deliveries(ski_http_request *request, skald_outcome outcome,
                                skald_error *reterr_error)
{
    pull_group *group = pulls_find_seen(request);
    ski_pull_ending ending = {.outcome = outcome};
    skald_err err;

    if (!group) return not_found(request->parameters[0], reterr_error);
    err = ski_pull_ending_read(request, ends_max, &ending, reterr_error);
    if (!err) err = end_all(group, request, &ending);
    group_leave(group);
    return err;
}

skald_err ski_post_ack(ski_http_request *request, skald_error *reterr_error)
{
    return end_deliveries(request, SKALD_ACK, reterr_error);
}

skald_err ski_post_nack(ski_http_request *request, skald_error *reterr_error)
{
    return end_deliveries(request, SKALD_RETRY, reterr_error);
}

// Kept definitions, copied out of the store: its visitor must not call back in, and subscribing
// does.
typedef struct kept_texts {
    skald_arena *arena;
    skald_str names[groups_max], texts[groups_max];
    size_t count;
    skald_err err;
    skald_error *error;
} kept_texts;

static bool keep(void *context, const skald_store_value *value)
{
    kept_texts *kept = context;
    skald_str name = {value->name.ptr + sizeof value_prefix - 1,
                      value->name.len - (sizeof value_prefix - 1)};

    if (kept->count == groups_max) {
        kept->err = skald_fail(kept->error, SKALD_EFULL,
                               "the store has more than %d pull groups, '%.*s' among them",
                               groups_max, SKALD_FMT(name));
        return false;
    }
    skald_str *text = &kept->texts[kept->count], *named = &kept->names[kept->count];

    *text = skald_arena_copy(kept->arena, value->bytes);
    *named = skald_arena_copy(kept->arena, name);
    if (!text->ptr || !named->ptr) {
        kept->err = skald_fail(kept->error, SKALD_ENOMEM,
                               "no memory for the stored pull group '%.*s': together they may take "
                               "%d MiB",
                               SKALD_FMT(name), kept_bytes_max >> 20);
        return false;
    }
    kept->count++;
    return true;
}

static skald_err run_kept(ski_pulls *pulls, const kept_texts *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        ski_pull_definition definition = {0};
        skald_error error = {0};
        skald_err err = ski_pull_definition_kept(kept->texts[i], &definition, &error);

        if (!err) err = pulls_start(pulls, &definition, &error);
        ski_pull_definition_fini(&definition);
        if (!err) continue;
        const char *why = error.text[0] ? error.text : skald_err_text(err);
        skald_str definition_text =
            skald_arena_print(kept->arena, "%.*s", SKALD_FMT(kept->texts[i]));

        ski_log_line(ski_store_log_hook(pulls->api->store), SKALD_ERROR,
                     "a stored pull group cannot be run", "definition",
                     definition_text.ptr ? definition_text.ptr : "", "error", why, NULL);
        return skald_fail(kept->error, err, "the stored pull group '%.*s' cannot be run: %s",
                          SKALD_FMT(kept->names[i]), why);
    }
    return SKALD_OK;
}

static skald_err run_all_kept(ski_pulls *pulls, skald_error *reterr_error)
{
    kept_texts *all = ski_alloc_zeroed(1, sizeof *all);
    skald_err err = all ? skald_arena_new(kept_bytes_max, &all->arena) : SKALD_ENOMEM;

    if (all) all->error = reterr_error;
    if (!err) err = ski_store_value_each(pulls->api->store, skald_str_of(value_prefix), keep, all);
    if (!err) err = all->err;
    if (!err) err = run_kept(pulls, all);
    if (all) skald_arena_free(all->arena);
    ski_free(all);
    return err;
}

skald_err ski_pulls_new(ski_api *api, ski_pulls **ret_pulls, skald_error *reterr_error)
{
    ski_pulls *pulls = ski_alloc_zeroed(1, sizeof *pulls);
    const ski_kernel *kernel = ski_store_kernel(api->store);
    skald_err err;

    if (!pulls) return SKALD_ENOMEM;
    pulls->api = api;
    ski_mutex_init(&pulls->lock);
    kernel->random(kernel->context, &pulls->secret, sizeof pulls->secret);
    err = run_all_kept(pulls, reterr_error);
    if (err)
        ski_pulls_free(pulls);
    else
        *ret_pulls = pulls;
    return err;
}

void ski_pulls_attach(ski_pulls *pulls, ski_http *http)
{
    ski_mutex_lock(&pulls->lock);
    pulls->http = http;
    ski_mutex_unlock(&pulls->lock);
}

void ski_pulls_end(ski_pulls *pulls)
{
    while (pulls->groups) {
        pull_group *group = pulls->groups;
        pulls->groups = group->next;
        pulls->group_count--;
        (void)skald_unsubscribe(pulls->api->bus, group->subscription, false);
        group_leave(group);
    }
}

void ski_pulls_free(ski_pulls *pulls)
{
    if (!pulls) return;
    ski_pulls_end(pulls);
    ski_mutex_fini(&pulls->lock);
    ski_free(pulls);
}
