// SPDX-License-Identifier: Apache-2.0
// GET /api/events/trace/{correlationId}: what belongs together, as a tree, and who received each.
//
// A reply that nests as deep as a chain is long could not be read by anybody's parser. Below
// depth_max an event stands beside its cause instead of under it; its causationId says so still.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"

enum { depth_max = 30, no_node = -1 };

// A tree of indexes: of each node its first child and its next sibling.
typedef struct trace_tree {
    const skald_trace *trace;
    int64_t *first, *last, *next;
    uint32_t *depth, *parent;
    int64_t root_first, root_last;
} trace_tree;

static void tree_add(trace_tree *tree, size_t index)
{
    uint32_t parent = tree->trace->nodes[index].parent;
    bool root = parent == SKALD_TRACE_ROOT;

    if (!root && tree->depth[parent] == depth_max) parent = tree->parent[parent];
    tree->parent[index] = parent;
    tree->depth[index] = root ? 1 : tree->depth[parent] + 1;
    tree->first[index] = tree->last[index] = tree->next[index] = no_node;
    int64_t *first = root ? &tree->root_first : &tree->first[parent];
    int64_t *last = root ? &tree->root_last : &tree->last[parent];

    if (*first == no_node)
        *first = (int64_t)index;
    else
        tree->next[*last] = (int64_t)index;
    *last = (int64_t)index;
}

// tree_make: a parent comes before its children, so one pass is enough.
static skald_err tree_make(const skald_trace *trace, skald_arena *arena, trace_tree *ret_tree)
{
    size_t count = trace->count;
    trace_tree tree = {.trace = trace,
                       .first = skald_arena_get(arena, count * sizeof(int64_t)),
                       .last = skald_arena_get(arena, count * sizeof(int64_t)),
                       .next = skald_arena_get(arena, count * sizeof(int64_t)),
                       .depth = skald_arena_get(arena, count * sizeof(uint32_t)),
                       .parent = skald_arena_get(arena, count * sizeof(uint32_t)),
                       .root_first = no_node,
                       .root_last = no_node};

    if (!tree.first || !tree.last || !tree.next || !tree.depth || !tree.parent) return SKALD_ENOMEM;
    for (size_t i = 0; i < count; i++) tree_add(&tree, i);
    *ret_tree = tree;
    return SKALD_OK;
}

static skald_err put_delivery(skald_buf *buf, const skald_trace_delivery *delivery)
{
    char at[SKALD_TIME_TEXT + 1];

    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"subscription\":")));
    SKALD_TRY(ski_json_put_string(buf, delivery->subscription));
    SKALD_TRY(ski_buf_print(buf, ",\"outcome\":\"%s\"", delivery->outcome));
    if (delivery->at) {
        skald_time_print(delivery->at, at);
        SKALD_TRY(ski_buf_print(buf, ",\"at\":\"%s\",\"delayMs\":%.3f", at,
                                (double)delivery->delay_us / 1000));
    } else {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"at\":null,\"delayMs\":null")));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"reason\":")));
    SKALD_TRY(ski_json_put_string(buf, delivery->reason));
    return ski_buf_byte(buf, '}');
}

static skald_err put_node(skald_buf *buf, const skald_trace_node *node)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"event\":")));
    SKALD_TRY(skald_event_json(node->event, false, buf));
    SKALD_TRY(
        ski_buf_print(buf, ",\"delayMs\":%.3f,\"deliveries\":[", (double)node->delay_us / 1000));
    for (size_t i = 0; i < node->delivery_count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(put_delivery(buf, &node->deliveries[i]));
    }
    return skald_buf_put(buf, SKALD_STR("],\"children\":["));
}

// put_tree walks down to the first child, along to the next sibling, and up where there is none.
static skald_err put_tree(skald_buf *buf, const trace_tree *tree)
{
    int64_t at = tree->root_first;

    while (at != no_node) {
        SKALD_TRY(put_node(buf, &tree->trace->nodes[at]));
        if (tree->first[at] != no_node) {
            at = tree->first[at];
            continue;
        }
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("]}")));
        while (tree->next[at] == no_node && tree->parent[at] != SKALD_TRACE_ROOT) {
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("]}")));
            at = tree->parent[at];
        }
        at = tree->next[at];
        if (at != no_node) SKALD_TRY(ski_buf_byte(buf, ','));
    }
    return SKALD_OK;
}

skald_err ski_get_trace(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    skald_trace trace = {0};
    trace_tree tree = {0};
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, true, "a trace", reterr_error));
    SKALD_TRY(skald_bus_trace(ski_api_of(request)->bus, query.read.filter.tenant,
                              request->parameters[0], query.limit, request->scratch, &trace,
                              reterr_error));
    SKALD_TRY(ski_auth_trace(request, &trace));
    SKALD_TRY(tree_make(&trace, request->scratch, &tree));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":["));
    if (!err) err = put_tree(&buf, &tree);
    if (!err) err = ski_buf_print(&buf, "],\"truncated\":%s}", trace.truncated ? "true" : "false");
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}
