// SPDX-License-Identifier: Apache-2.0
// net/http.h - an HTTP/1.1 server: connections, requests, replies. libuv moves the bytes, llhttp
// reads them.
//
// One thread runs the loop. A route's handler is called on the loop and must not wait; one that
// must (a route with .worker) is called on a pool thread instead. A handler replies before it
// returns or keeps request->id and replies later, from any thread. Replies of pipelined requests
// leave in the order of the requests.
//
// A request and all it points to is borrowed until its reply is complete (or until gone is called),
// not only until the handler returns: so what is parsed from a body may be used by a publish that
// ends later. When the client goes away first, the request is still kept until somebody replies to
// it; the reply is then thrown away.
#ifndef SKI_NET_HTTP_H
#define SKI_NET_HTTP_H

#include <skald/base.h>
#include <string.h>

typedef struct ski_http ski_http;

typedef struct ski_http_header {
    skald_str name, value; // as they came; trailing white space cut
} ski_http_header;

typedef struct ski_http_request ski_http_request;

typedef struct ski_http_request_id {
    uint64_t id; // never reused
} ski_http_request_id;

struct ski_http_request {
    ski_http *http;
    ski_http_request_id id;
    skald_str method, path; // path: decoded per segment is the router's; as it came, without the
                            // query
    skald_str query;        // behind '?', as it came; not given: none
    skald_str peer;         // "127.0.0.1:51234", "[::1]:51234", "local"
    const ski_http_header *headers;
    size_t header_count;
    skald_str body; // whole, when the route buffers; SKI_JSON_PAD readable bytes stand behind it
    skald_arena *scratch;               // goes with the request
    void *context;                      // of the routes
    void *user;                         // the handler's own, NULL at first
    const struct ski_http_route *route; // NULL: no such path or method
                                        // (seen by guard and observe only)
    skald_str parameters[4]; // the {…} of the route's path in order, percent-decoded, in scratch
    // The guard may set it, in scratch: every reply then has it as X-Correlation-ID (unless the
    // reply brings its own), and every problem as correlationId.
    skald_str correlation_id;
    // Likewise "traceparent" (W3C): what this request is in a trace.
    skald_str traceparent;
    // The guard may set these too, in scratch: headers of every reply that does not bring one of
    // that name, and who asks, which is nothing to the server.
    const ski_http_header *reply_headers;
    size_t reply_header_count;
    const void *identity;
    void *call; // the guard's own for the time of the request, in scratch
};

// How a streaming route is fed. more: the next bytes of the body, borrowed for the call, on the
// loop; end: once, behind the last. When more returns false the server stops reading from that
// connection until ski_http_resume. gone: the client went away or was cut before the handler
// replied: no more bytes come; the handler must still reply once to release the request (and when
// it replies from another thread, gone may cross it). All three on the loop.
typedef struct ski_http_body {
    bool (*more)(ski_http_request *request, skald_str bytes);
    void (*end)(ski_http_request *request);
    void (*gone)(ski_http_request *request);
} ski_http_body;

// The handler returns OK having replied or meaning to; any other error becomes the problem+json
// that goes with it.
typedef skald_err ski_http_handler(ski_http_request *request, skald_error *reterr_error);

typedef struct ski_http_route {
    const char *method; // a table ends with NULL
    const char *path;   // "/api/streams/{stream}"; fixed segments win over {…}
    ski_http_handler *handle;
    const ski_http_body *body; // NULL: the body is read whole first (413 beyond body_bytes_max)
    // streams, with body: asked once, when the head is there, whether this request's body is
    // streamed (handle is called at once, body follows) or read whole first like any other. NULL:
    // always streamed.
    bool (*streams)(const ski_http_request *request);
    uint64_t body_bytes_max; // 0: the server's default; UINT64_MAX: no end (streaming only)
    bool worker;             // handle runs on a pool thread; not together with body
    // now, with worker: asked on the loop first, without waiting. True: it has replied; false: it
    // has not, and handle is called by a worker. NULL: always a worker.
    bool (*now)(ski_http_request *request);
    uint8_t scope, rate; // the guard's own
    const void *of;      // whatever the table was made from
} ski_http_route;

skald_str ski_http_header_find(const ski_http_request *request, skald_str name); // not given
                                                                                 // without one
static inline skald_str ski_http_header_get(const ski_http_request *request, const char *name)
{
    return ski_http_header_find(request, (skald_str){name, strlen(name)}); // known when compiled
}

// ski_http_decode undoes percent-encoding (and, with plus, '+' for a space), borrowing where there
// is none. Fails: INVALID (a bad escape, %00, bytes that are not UTF-8), NOMEM.
skald_err ski_http_decode(skald_str text, bool plus, skald_arena *arena, skald_str *ret_text)
    SKALD_CHECK;

// Replies. status is any of 200..599; content_type NULL: application/json; headers: more of them,
// count may be 0. Everything is copied. Date, Connection, Content-Length, Transfer-Encoding are the
// server's. Fails: STALE (answered already), INVALID (a status, or a header that HTTP does not
// allow or that is the server's; the request is not answered), NOMEM (the connection is cut; it
// counts as answered).
typedef struct ski_http_reply {
    unsigned status;
    const char *content_type;
    skald_str body;
    const ski_http_header *headers;
    size_t header_count;
} ski_http_reply;
skald_err ski_http_reply_send(ski_http *http, ski_http_request_id id, const ski_http_reply *reply);
// ski_http_problem replies with RFC 9457; error's code, field and text make it. correlation_id may
// be not given. With CONFLICT the problem also has the members expectedVersion (unless UINT64_MAX)
// and actualVersion. Overload (FULL, READONLY, UNAVAILABLE) has Retry-After.
skald_err ski_http_problem(ski_http *http, ski_http_request_id id, const skald_error *error);
unsigned ski_http_status_of(const skald_error *error);  // 409 for CONFLICT …
const char *ski_http_code_of(const skald_error *error); // "CONCURRENCY_CONFLICT" …

// A place in a feed, below: the last position, and the last number of what is loose.
typedef struct ski_feed_at {
    uint64_t position, loose;
} ski_feed_at;
typedef struct ski_http_feed ski_http_feed;

// A reply whose body comes in pieces, chunked: SSE, long exports. begin sends the head; write
// queues bytes, copied, and says how many wait to be sent (ret_queued, may be NULL); beyond
// write_bytes_max it takes nothing and is FULL: wait for drained. What is written while nothing
// waits is always taken. end completes it. Any thread. Fails: as a reply does; a begin that failed
// does not call gone. drained and gone are called on the loop.
typedef struct ski_http_stream {
    void (*drained)(void *context); // everything queued so far was
                                    // handed to the kernel, after a FULL
    void (*gone)(void *context);    // last call: the client is gone,
                                    // or the stream was ended, or the server stops
    void *context;
    size_t write_bytes_max; // 1 MiB
    uint32_t heartbeat_ms;  // after so long a silence heartbeat is sent; 0: never
    skald_str heartbeat;    // copied: ": \n\n"
    // Asked before each heartbeat, on the loop: false ends the stream instead. NULL: it goes on.
    bool (*goes_on)(void *context);
    // Of streams that follow a feed, on the loop. behind: it follows no more, what comes above
    // after is to be written to it; needed. given: frames of it went out. goes_on is asked first.
    void (*behind)(void *context, ski_feed_at after);
    void (*given)(void *context, size_t frames);
} ski_http_stream;
skald_err ski_http_stream_begin(ski_http *http, ski_http_request_id id, const ski_http_reply *head,
                                const ski_http_stream *stream);
skald_err ski_http_stream_write(ski_http *http, ski_http_request_id id, skald_str bytes,
                                size_t *ret_queued);
skald_err ski_http_stream_end(ski_http *http, ski_http_request_id id);

// A feed is what many streams are given alike: written down once, and each costs one call of the
// kernel for all that came meanwhile. What is put has a position, rising, or it is loose and has a
// number, rising too; between the two there is no order. A stream follows it from a place on and is
// given what is above that, as long as the feed still has it: a few hundred KiB. If it has not, now
// or later, since the client reads slowly, the stream is told that it is behind, and may follow
// again once it has been written what it missed.
//
// new: everything above the place will be put. put: of at one is 0; bytes are copied; more: another
// put follows at once; FULL: wait for room, which is called on the loop; one client at a time puts.
// reaches: whoever stands at position may follow. follow: nothing above after was written to the
// stream yet; not twice without behind. end: nothing is put any more, on the loop; those that
// follow stay. Any thread but for end. Fails: NOMEM, STALE, UNSUPPORTED (HTTP/1.0 has no frames).
skald_err ski_http_feed_new(ski_http *http, ski_feed_at at, void (*room)(void *context),
                            void *context, ski_http_feed **ret_feed) SKALD_CHECK;
void ski_http_feed_end(ski_http_feed *feed); // NULL: nothing
skald_err ski_http_feed_put(ski_http_feed *feed, ski_feed_at at, skald_str bytes, bool more)
    SKALD_CHECK;
bool ski_http_feed_reaches(const ski_http_feed *feed, uint64_t position);
skald_err ski_http_stream_follow(ski_http *http, ski_http_request_id id, ski_http_feed *feed,
                                 ski_feed_at after) SKALD_CHECK;

// ski_http_resume goes on reading the body of a streaming route. Any thread.
void ski_http_resume(ski_http *http, ski_http_request_id id);

// ski_http_post runs fn on the loop, soon; any thread. False: the loop has ended, or too many
// calls wait; then fn is not called.
bool ski_http_post(ski_http *http, void (*fn)(void *context), void *context);

// ski_http_later runs fn on the loop after delay_ms, or when the server stops (it is called then
// too: cancelled true). On the loop. Fails: NOMEM, CLOSED.
skald_err ski_http_later(ski_http *http, uint32_t delay_ms,
                         void (*fn)(void *context, bool cancelled), void *context) SKALD_CHECK;
// ski_http_alive: the request is not answered yet and its client is still there. On the loop.
bool ski_http_alive(ski_http *http, ski_http_request_id id);

// ski_http_turn asks for options.turned at the end of this turn of the loop, once however often it
// is asked. False: the caller is not on the loop, and nothing will be called.
bool ski_http_turn(ski_http *http);

// The guard sees every request once its headers are there, before any body, also those that no
// route takes: not OK refuses it. On the loop.
typedef skald_err ski_http_guard(ski_http_request *request, skald_error *reterr_error);
// observe is told of every reply that was handed to the kernel, for metrics: on the loop. Where the
// head could not be read, method and path are empty and route is NULL.
typedef void ski_http_observe(void *context, const ski_http_request *request, unsigned status,
                              uint64_t took_ns);

typedef struct ski_http_options {
    const char *host; // "127.0.0.1"
    uint16_t port;    // 0: any free one
    // A socket in the file system beside the port, for this machine alone: its owner may write to
    // it, nobody else; never TLS; the peer of its requests is "local". One that is left over from a
    // process that is gone is replaced. NULL: none.
    const char *local_path;
    const ski_http_route *routes;
    void *context; // of the routes
    ski_http_guard *guard;
    ski_http_observe *observe;
    const skald_log *log;
    const struct ski_kernel *kernel; // clock
    uint32_t connections_max;        // 20000, then a new one is answered 503 and closed
    uint32_t pipeline_max;           // 64 requests of one connection at once, then it is not read
    uint32_t header_bytes_max;       // 32 KiB; 431
    uint32_t headers_max;            // 100; 431
    uint32_t uri_bytes_max;          // 8 KiB; 414
    uint64_t body_bytes_max;         // 16 MiB; 413
    uint64_t bodies_bytes_max;       // 256 MiB of all buffered bodies together; 503
    uint64_t heads_bytes_max;   // 128 MiB of all heads together, whole or not; beyond it the oldest
                                // of those that are not are cut, then 503
    uint64_t unsent_bytes_max;  // 256 MiB of whole replies that wait for their clients to read, and
                                // of requests that wait for those before them; beyond it those are
                                // cut who have not read for longest, then who lets them lie behind
                                // a request that is not over
    uint64_t streams_bytes_max; // 128 MiB that wait in all streams; a write then fails with FULL
    uint32_t header_timeout_ms; // 10000 from the first byte to the last of a head; 408
    uint32_t body_timeout_ms;   // 30000 without progress; 408
    uint32_t idle_timeout_ms;   // 60000 between requests; closed
    uint32_t workers_max;       // 4 pool threads
    uint32_t workers_queue_max; // 1024 requests wait for one, then 503
    uint32_t requests_max;      // 32768 at once over all connections, then 503
    uint32_t processors;        // those of this process; one: the loop sends all replies itself
    uint32_t write_timeout_ms;  // 30000 in which the client takes nothing of a reply: cut
    const ski_http_header *headers; // of every reply where neither it nor the guard brings one of
                                    // that name; borrowed until stop
    size_t header_count;
    // Every connection is TLS (net/tls.h). Taken on success; NULL: none is.
    struct ski_tls_context *take_tls;
    void (*turned)(void *context); // see ski_http_turn; context is that of the routes
} ski_http_options;

// ski_http_start binds, listens and begins on a thread of its own. Routes and all that options
// points to are borrowed until the stop. Fails: UNAVAILABLE (the address is in use), DENIED,
// INVALID, NOMEM.
skald_err ski_http_start(const ski_http_options *options, ski_http **ret_http,
                         skald_error *reterr_error) SKALD_CHECK;
uint16_t ski_http_port(const ski_http *http);
// ski_http_stop takes no new connections, lets requests end within timeout_ms (replies say
// Connection: close), ends streams that have a heartbeat, closes the rest and frees http. A request
// that nobody has answered by then may still be answered, which does nothing; http lives until the
// last one. Not from the loop. Fails: TIMEOUT (some were cut).
skald_err ski_http_stop(ski_http *http, uint32_t timeout_ms);

// ski_http_tls_set gives connections to come another certificate; the server has one already. Any
// thread. Those there are go on with what they began with.
void ski_http_tls_set(ski_http *http, struct ski_tls_context *take_context);

typedef struct ski_http_counters {
    uint64_t requests, connections_now, connections_accepted, connections_refused, bytes_in,
        bytes_out;
    uint64_t bodies_bytes_now, streams_now, timeouts, bad_requests;
    uint64_t requests_now, workers_queue_now; // not answered; of them, those that wait for a worker
    uint64_t connections_max, requests_max, workers_queue_max, bodies_bytes_max; // as configured
    uint64_t heads_bytes_now, heads_bytes_max;
    uint64_t unsent_bytes_now, unsent_bytes_max, streams_bytes_now, streams_bytes_max;
    skald_time certificate_expires_at; // 0: it is not TLS
} ski_http_counters;
void ski_http_counters_get(const ski_http *http, ski_http_counters *ret_counters);

#endif
