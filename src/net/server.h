// SPDX-License-Identifier: Apache-2.0
// net/server.h - what the files of the server share; nobody else includes it, but tests.
//
// One connection has a line of exchanges (a request and its reply), oldest first. Reading fills the
// newest, writing empties the oldest. Who owns what:
//
//   - Everything is the loop thread's, but for what stands under "lock" below.
//   - An exchange is in the pool (FREE), or it is of a connection, or it is an orphan: its client
//     is gone, but a handler has it and must still answer. Nothing that was given to a handler goes
//     back to the pool before.
//   - Other threads name an exchange by its id only. They find it, change its stage and put it on
//     the ready list under the lock; the loop settles that list at the end of whatever it was
//     doing. An exchange on the list is not reused before it was taken off.
//   - The sender thread has descriptor and bytes of one reply for the time of a call of the kernel;
//   that exchange stays in line, and that connection open, until the loop knows what came of it.
//   - A connection is freed by the close callback of its socket, and by nothing else.
#ifndef SKI_NET_SERVER_H
#define SKI_NET_SERVER_H

#include "net/codec.h"
#include "net/coding.h"
#include "net/http.h"
#include "net/router.h"
#include "net/tls.h"
#include "os/kernel.h"
#include "os/thread.h"
#include <stdatomic.h>
#include <uv.h>

enum {
    SKI_SLAB_EXCHANGES = 64,                   // allocated at once
    SKI_READ_BYTES = 64 * 1024,                // of the loop's one read buffer
    SKI_UNSENT_BYTES_MAX = 256 * 1024,         // replies waiting beyond it: no more
                                               // requests are taken from that client
    SKI_POOLED_BYTES_MAX = 4096,               // a buffer up to this stays with a pooled exchange
    SKI_POOLED_EXCHANGES_MAX = 256,            // so many exchanges in the pool keep their memory
    SKI_SCRATCH_BYTES_MAX = 256 * 1024 * 1024, // of one request's arena
    SKI_PREFIX_BYTES = 160, // room before a reply for its status line, Date and Connection
    SKI_SWALLOW_BYTES_MAX = 64 * 1024, // so much of an unwanted body is read so that the connection
                                       // can go on
    SKI_LINGER_MS = 1000,              // a closing connection waits so long for the client to close
    SKI_LINGER_STOP_MS = 200,          // the same, when the server stops
    SKI_READ_STOP_MS = 1000, // what comes in, when the server stops: without progress, it is over
    SKI_LINGER_BYTES_MAX = 32 * 1024 * 1024,
    SKI_LINGER_REFUSED_MAX = 256,   // connections beyond connections_max
                                    // that are told so before they are closed
    SKI_BODY_PROGRESS_BYTES = 1024, // less is no progress of a buffered body
    SKI_PIECES_MAX = 64,            // replies in one writev
    SKI_FLUSH_ROUNDS = 16,          // calls of the kernel for one connection
                                    // before it is the others' turn
    SKI_DECODERS_MAX = 64,          // coded bodies coming in at once; each may need 8 MiB
    SKI_PEER_TEXT = 56,
    SKI_TLS_ROUND_BYTES = 64 * 1024, // of replies encrypted before they are written
    SKI_FEED_BLOCKS = 64,            // of a feed, each what came between two passes
    SKI_FEED_SLICE = 8, // streams that are written to from feeds in one turn of the loop
    SKI_TLS_BUFFER = SKI_READ_BYTES + SKI_TLS_RECORD,
};

typedef struct ski_conn ski_conn;
typedef struct ski_exchange ski_exchange;
typedef struct ski_stream ski_stream;
typedef struct ski_pool ski_pool;
typedef struct ski_later ski_later;
typedef struct ski_sender ski_sender;
typedef struct ski_send_job ski_send_job;

// Time. Each kind of deadline has one duration, so its list is in order and its first is the next.
typedef enum ski_deadline_kind {
    SKI_DEADLINE_NONE,
    SKI_DEADLINE_IDLE,   // between requests
    SKI_DEADLINE_HEAD,   // from the first byte of a head to its last
    SKI_DEADLINE_BODY,   // without progress of a body
    SKI_DEADLINE_LINGER, // closing
    SKI_DEADLINE_WRITE,  // without the client taking anything
    SKI_DEADLINES,
} ski_deadline_kind;

typedef struct ski_deadline {
    struct ski_deadline *prev, *next;
    ski_conn *conn;
    uint64_t at_ms;
    uint8_t kind;
} ski_deadline;

// Where an exchange stands, as the threads see it (lock).
typedef enum ski_stage {
    SKI_STAGE_FREE,
    SKI_STAGE_OPEN,     // nobody has answered
    SKI_STAGE_BUILDING, // one thread does
    SKI_STAGE_ANSWERED, // the reply is there, whole
    SKI_STAGE_STREAM,   // its head is there; pieces follow
    SKI_STAGE_STREAM_ENDED,
} ski_stage;

enum { // due: what the loop has to look at
    SKI_DUE_REPLY = 1,
    SKI_DUE_STREAM = 2,
    SKI_DUE_RESUME = 4,
    SKI_DUE_CUT = 8, // the reply cannot be made: no memory
};

struct ski_exchange {
    ski_http_request request; // first: a handler's pointer is ours
    // lock
    _Atomic uint8_t stage; // read without it, too
    uint8_t due;
    bool listed;   // on the ready list
    bool released; // while listed or taken: goes to the pool when it is neither
    ski_exchange *ready_next;
    // loop
    ski_exchange *next; // of its connection, or of the pool
    ski_conn *conn;     // NULL: an orphan, or in the pool
    uint32_t index;
    bool taken;        // off the ready list, and not settled yet
    bool handed;       // a handler has it: it must be answered before it is released
    bool streams_body; // route->body is fed
    bool in_line;      // of its connection
    bool body_done, answered, prefixed, ends, begun;
    bool head_only, http10, keep_alive, expect_continue;
    uint64_t begun_ns;
    skald_buf head; // the gathered bytes of the head
    size_t head_charged;
    char *body; // buffered
    size_t body_len, body_size, body_charged;
    uint64_t body_announced; // Content-Length
    ski_decoder *decoder;    // of a body that comes coded
    bool chunked;
    char peer[SKI_PEER_TEXT];
    // the reply: written by the thread that answers, then the loop's
    unsigned status;
    skald_buf out; // SKI_PREFIX_BYTES of room, then headers and body
    size_t sent;   // of out, the unused room counted
    size_t out_charged;
    ski_stream *stream;
};

// A reply in pieces. pending collects under the lock what the loop then moves to the exchange's
// out.
struct ski_stream {
    ski_http_stream options; // heartbeat copied behind the struct
    // lock
    skald_buf pending; // framed
    size_t queued;     // framed bytes in pending and out that the kernel has not got
    bool full;
    ski_http_feed *wanted; // the loop is to follow it; NULL: none
    ski_feed_at wanted_after;
    // loop
    ski_exchange *exchange;
    ski_stream *prev, *next; // of the list of streams
    uint64_t quiet_since_ms;
    bool chunked, sending_last, counting;
    // of a feed that it follows; NULL: none
    ski_http_feed *feed;
    ski_stream *feed_prev, *feed_next; // of its followers
    ski_feed_at after;                 // what it came with: what is not above is passed over
    uint64_t place;                    // the block, and of that
    size_t mark;                       // the next frame
};

// A frame of a block: where it ends, and what it was put with.
typedef struct ski_mark {
    ski_feed_at at;
    size_t end;
} ski_mark;

// What a feed was given between two passes.
typedef struct ski_block {
    ski_feed_at before, through; // the last before it, and up to its end
    bool loose;                  // it holds such
    skald_buf text;
    ski_mark *marks;
    size_t mark_count, mark_size;
} ski_block;

struct ski_http_feed {
    ski_http *http;
    void *context;
    _Atomic uint64_t near; // whoever stands here may join
    // lock
    uint32_t refs; // its owner, the list of those due, streams
    bool due, woken, full;
    ski_http_feed *due_next;
    ski_block pending;
    // loop
    void (*room)(void *context);
    ski_block blocks[SKI_FEED_BLOCKS]; // by serial, modulo their number
    uint64_t first, next;              // serials: the oldest, and the one to come
    ski_feed_at through;               // the last in it
    size_t bytes;
    ski_stream *followers;
    ski_stream *turn;            // whose it is in this pass; NULL: none is under way
    bool passing;                // a pass is under way, or its last writing
    uint64_t took_ns, worked_ns; // its own work in this pass, and when that was last
    uint64_t rests_until_ns;
};

struct ski_conn {
    union { // first
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe; // of the local socket
    };
    ski_http *http;
    ski_conn *prev, *next;
    ski_conn *flush_next; // of the list of connections to be looked at
    ski_codec codec;
    ski_exchange *first, *last; // oldest, newest
    ski_exchange *reading;      // whose head or body comes in; NULL: none, or it is thrown away
    uint32_t exchange_count, open_count; // in line; handed and not answered
    size_t unsent_bytes;                 // of whole replies in line
    size_t unsettled_bytes;              // of those made since the loop settled last
    char *rest;                          // read but not fed yet
    size_t rest_len, rest_at, rest_charged;
    uint64_t discarded_bytes; // while lingering
    size_t progress_bytes;    // of the body since its deadline was set
    size_t unsent_seen;       // libuv's queue when the write deadline was set
    ski_deadline read_deadline, write_deadline;
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool reads;        // uv_read_start is on
    bool touched;      // on the flush list
    bool held;         // the newest exchange waits for the older ones before it is handed over
    bool body_paused;  // a streaming handler asked for it
    bool writing;      // write is under way
    ski_send_job *job; // the reply at the front is with the sender; NULL: it is not
    bool last_reply;   // nothing is read any more: the reply that closes is in line
    bool eof, lingering, closing;
    bool refused;       // beyond connections_max
    uint8_t open_class; // of the requests that are open (input.c)
    size_t writing_bytes;
    ski_tls *tls; // NULL: plain
    char *cipher; // encrypted, on its way to the kernel
    bool secured; // tls has taken something
    char peer[SKI_PEER_TEXT];
};

typedef struct ski_post {
    void (*fn)(void *context);
    void *context;
    struct ski_post *next;
} ski_post;

typedef enum ski_counter {
    SKI_COUNT_REQUESTS,
    SKI_COUNT_CONNECTIONS,
    SKI_COUNT_ACCEPTED,
    SKI_COUNT_REFUSED,
    SKI_COUNT_IN,
    SKI_COUNT_OUT,
    SKI_COUNT_BODIES,
    SKI_COUNT_HEADS,
    SKI_COUNT_UNSENT,
    SKI_COUNT_STREAMS,
    SKI_COUNT_TIMEOUTS,
    SKI_COUNT_BAD,
    SKI_COUNT_OPEN,
    SKI_COUNTERS,
} ski_counter;

struct ski_http {
    ski_http_options options; // defaults filled in
    const ski_kernel *kernel;
    ski_router *router;
    ski_codec_limits limits;
    ski_pool *pool;
    ski_sender *sender;
    ski_thread thread;
    uv_thread_t loop_thread;
    uint16_t port;
    _Atomic uint64_t counters[SKI_COUNTERS]; // written by the loop
    // lock
    ski_mutex lock;
    ski_exchange **slabs; // of SKI_SLAB_EXCHANGES each; a slab stays until the server is freed
    uint32_t slab_count, slabs_max;
    ski_exchange *ready, *ready_last;
    ski_post *posts, *posts_last;
    uint64_t generation;
    uint32_t stop_timeout_ms, post_count;
    uint64_t streams_bytes; // queued in all streams, and pending in feeds
    ski_http_feed *feeds_due, *feeds_due_last;
    ski_tls_context *tls; // of connections to come; NULL: plain
    bool running;         // the loop thread knows itself
    bool stopping, loop_ended, stop_ended, was_cut;
    uint32_t owed;           // after the loop ended: exchanges not answered yet
    _Atomic uint32_t wakers; // about to wake the loop, without the lock; more only under it
    // loop
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_pipe_t local; // the other listener, with options.local_path
    uv_async_t wake;
    uv_timer_t timer; // the next deadline
    uv_timer_t drain;
    uv_check_t check;     // the end of a turn:
    uv_prepare_t prepare; // whatever it consisted of
    uint32_t reads_due;   // not settled yet
    bool turn_due;        // turned is to be called then
    uv_stream_t *shed_from;
    union {
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } shed; // a connection there is no memory for
    bool shedding, shed_again;
    ski_exchange *pool_first;
    ski_conn *conns, *flush;
    ski_stream *streams;
    size_t feeds_bytes;  // of blocks
    uint32_t slice_left; // of SKI_FEED_SLICE, in this turn of the loop
    ski_later *laters;
    ski_deadline deadlines[SKI_DEADLINES]; // heads of the lists
    uint32_t durations_ms[SKI_DEADLINES];
    uint64_t timer_at_ms; // 0: not set
    uint32_t exchanges_now, pooled_count, refused_now, decoders_now;
    uint64_t heartbeat_at_ms;
    int64_t date_s;
    uint64_t date_seen_ms; // of libuv's clock
    char date[40];         // "Date: …\r\n"
    bool draining, settling, finished;
    char *read_buffer;
    char *tls_buffer; // what one read decrypts to; NULL: without TLS
};

// server.c
void ski_http_count(ski_http *http, ski_counter counter, int64_t more);
bool ski_http_on_loop(const ski_http *http); // lock held
void ski_http_settle(ski_http *http);        // the end of everything the loop does, but for
void ski_http_settle_soon(ski_http *http);   // reading: many connections' replies leave together
void ski_http_wake(ski_http *http);          // lock held, or on the loop
// ski_http_unlock unlocks, and wakes the loop, if that is due: in this order, for a loop that is
// woken runs at once where there is no other processor, and wants the lock.
void ski_http_unlock(ski_http *http, bool wake);
void ski_http_fini(ski_http *http); // frees it: the loop has ended and nothing is owed

// listen.c
skald_err ski_listen(ski_http *http, skald_error *reterr_error); // binds and listens: both
// ski_listen_init makes the handle for what a listener accepts: tcp or pipe, which are one place.
int ski_listen_init(ski_http *http, const uv_stream_t *listener, uv_tcp_t *tcp, uv_pipe_t *pipe);

// deadline.c
void ski_deadlines_init(ski_http *http);
void ski_deadline_set(ski_deadline *deadline, ski_conn *conn, ski_deadline_kind kind); // anew
void ski_deadline_clear(ski_deadline *deadline);
void ski_deadlines_arm(ski_http *http); // the timer, for the next of all

// connection.c
void ski_conn_input_ended(ski_conn *conn); // the client sends nothing more
void ski_conn_accept(uv_stream_t *listener, int status);
void ski_conn_touch(ski_conn *conn);    // to be continued when the loop settles
void ski_conn_continue(ski_conn *conn); // writes what can be written, reads on, sets deadlines
void ski_conn_cut(ski_conn *conn);      // closes at once; its exchanges go, or become orphans
void ski_conn_goodbye(ski_conn *conn);  // the last reply is out
void ski_conn_drop_rest(ski_conn *conn);
void ski_conn_expired(ski_conn *conn, ski_deadline_kind kind);
// progressed: its client took something since the write deadline was set, which is set anew.
bool ski_conn_progressed(ski_conn *conn);
// read_no_more: whatever comes is thrown away; the newest reply in line is the last.
void ski_conn_read_no_more(ski_conn *conn);

// output.c
void ski_conn_flush(ski_conn *conn);
void ski_conn_continue_send(ski_conn *conn); // 100 Continue
// ski_output_collect finds what can be written now, at most SKI_PIECES_MAX pieces; it prepares
// heads and takes what streams have; what is in feeds as it stands there (shared), which is good
// until the loop goes on, or copied. ski_output_sent: the first count bytes of it are out of our
// hands.
unsigned ski_output_collect(ski_conn *conn, bool shared, uv_buf_t pieces[SKI_PIECES_MAX],
                            size_t *ret_bytes);
void ski_output_sent(ski_conn *conn, size_t count);
void ski_output_wait(ski_conn *conn, uv_buf_t *pieces, unsigned count, size_t bytes); // for the
                                                                                      // kernel

// secure.c: what lies between a connection's codec and the network, when it is TLS
skald_err ski_secure_accept(ski_conn *conn); // fails: NOMEM
void ski_secure_read(ski_conn *conn, skald_str bytes);
void ski_secure_flush(ski_conn *conn);
void ski_secure_send(ski_conn *conn, skald_str text); // a few bytes at once, or the end
void ski_secure_goodbye(ski_conn *conn);

// input.c
extern const ski_codec_sink ski_conn_sink;    // what the codec tells of a connection
bool ski_conn_can_take(const ski_conn *conn); // more input
void ski_conn_feed(ski_conn *conn, skald_str bytes);
void ski_conn_take_rest(ski_conn *conn); // goes on with what waits in rest
// ski_conn_refuse_last answers what is being read with a problem, and the connection ends with
// that. Also while a handler is being fed: that one then holds an orphan.
void ski_conn_refuse_last(ski_conn *conn, const skald_error *error);
void ski_conn_reading_dropped(ski_conn *conn); // what is being read is never answered

// exchange.c
ski_exchange *ski_exchange_take(ski_http *http); // OPEN, with a new id; NULL: no memory
void ski_exchange_release(ski_http *http, ski_exchange *exchange);
ski_exchange *ski_exchange_find(ski_http *http, uint64_t id); // lock held; NULL: no such any more
// ski_exchange_head_charge counts what a head takes, and cuts the oldest of those that are not
// whole when all take too much; false: that did not help.
bool ski_exchange_head_charge(ski_exchange *exchange);
void ski_exchange_ready(ski_http *http, ski_exchange *exchange, unsigned due,
                        bool *ret_wake); // lock held
ski_stage ski_exchange_stage(const ski_exchange *exchange);
void ski_exchange_orphan(ski_exchange *exchange); // its connection is gone
void ski_exchange_run(ski_exchange *exchange);    // calls the handler, on the loop or in the pool
void ski_exchange_dispatch(ski_exchange *exchange);
skald_err ski_exchange_body_put(ski_exchange *exchange, skald_str bytes); // TOOBIG, FULL, NOMEM
void ski_exchange_settle(ski_exchange *exchange, unsigned due);
void ski_exchange_decoder_free(ski_exchange *exchange);
void ski_exchange_sent(ski_exchange *exchange); // its reply is with the kernel: observe

// reply.c
const char *ski_status_phrase(unsigned status);
skald_err ski_reply_check(const ski_http_reply *reply); // INVALID
// ski_reply_standing writes the headers of options, but for those that the reply brings or that the
// guard set; NULL: there is no request.
skald_err ski_reply_standing(const ski_http *http, const ski_http_request *request,
                             const ski_http_reply *reply, skald_buf *out);
// ski_reply_guarded: the guard has set a header of that name.
bool ski_reply_guarded(const ski_http_request *request, skald_str name);
// ski_reply_build fills out and status; stream: the body follows in pieces.
skald_err ski_reply_build(ski_exchange *exchange, const ski_http_reply *reply, bool stream);
// ski_reply_claim gives an open exchange to the calling thread alone, ski_reply_done gives it to
// the loop. False: the loop has ended, nothing will be sent, and the exchange and perhaps the
// server are gone.
ski_exchange *ski_reply_claim(ski_http *http, uint64_t id); // NULL: answered, or no such any more
bool ski_reply_done(ski_http *http, ski_exchange *exchange, ski_stage stage, unsigned due);
void ski_reply_prefix(ski_http *http, ski_exchange *exchange, bool close); // on the loop,
                                                                           // before it leaves

// stream.c
// ski_stream_find gives the exchange of a stream that can still be written to. Lock held; NULL: it
// is none, or none any more.
ski_exchange *ski_stream_find(ski_http *http, ski_http_request_id id);
void ski_stream_begun(ski_exchange *exchange);
void ski_stream_refill(ski_exchange *exchange); // out is sent: pending becomes out
void ski_stream_sent(ski_exchange *exchange, size_t bytes);
void ski_stream_over(ski_exchange *exchange); // gone is called; the stream is freed
void ski_streams_heartbeat(ski_http *http);
void ski_streams_end(ski_http *http); // the server stops
skald_err ski_stream_frame(skald_buf *buf, skald_str bytes, bool chunked) SKALD_CHECK;

// feed.c
bool ski_feeds_settle(ski_http *http); // the next feed's pending becomes a block; false: none
void ski_feeds_fini(ski_http *http);
// ski_feed_worked: so long the loop was at a stream that follows.
void ski_feed_worked(ski_http_feed *feed, uint64_t began_ns, uint64_t now_ns);
void ski_stream_joins(ski_stream *stream);   // the feed it was told to follow, if any
void ski_stream_leaves(ski_stream *stream);  // its feed, if any
bool ski_stream_follows(ski_stream *stream); // and there is something for it now, and it may
unsigned ski_stream_collect(ski_stream *stream, uv_buf_t *pieces, unsigned count_max,
                            size_t *ret_bytes);
// ski_stream_fed: so many bytes of what was collected are with the kernel. False: no memory for the
// rest of a frame.
bool ski_stream_fed(ski_stream *stream, size_t bytes);
// ski_stream_keep copies the next frame, and more up to bytes_max, into out, which is sent.
bool ski_stream_keep(ski_stream *stream, size_t bytes_max);

// problem.c
skald_err ski_problem_send(ski_http *http, ski_http_request_id id, const skald_error *error,
                           const ski_http_header *header); // one more header, or NULL

// sender.c: all but new, stop and free are the loop's
skald_err ski_sender_new(ski_http *http, ski_sender **ret_sender);
// ski_sender_put: what conn has to write now is a job of the batch, and run continues conn when
// that is over. False: it is nothing for the sender.
bool ski_sender_put(ski_sender *sender, ski_conn *conn);
void ski_sender_run(ski_sender *sender); // the batch, but for the last that the sender has begun
// ski_sender_ended: run has something to do about that last one. waking: as long as it has not, the
// loop is woken when it will.
bool ski_sender_ended(ski_sender *sender, bool waking);
void ski_sender_take_back(ski_conn *conn); // its job, if any: its descriptor is not used any more
void ski_sender_stop(ski_sender *sender);  // the loop has ended; NULL: nothing
void ski_sender_free(ski_sender *sender);

// later.c
void ski_laters_cancel(ski_http *http); // the server stops

// pool.c
skald_err ski_pool_new(ski_http *http, uint32_t threads, uint32_t queue_max, ski_pool **ret_pool);
uint32_t ski_pool_waiting(ski_pool *pool); // for a worker
// ski_pool_push: of the loop; false: full. Workers see it after ski_pool_flush: the end of a turn.
bool ski_pool_push(ski_pool *pool, ski_exchange *exchange);
void ski_pool_flush(ski_pool *pool); // NULL: nothing
void ski_pool_stop(ski_pool *pool);  // what waits is refused; returns when what runs has ended
void ski_pool_free(ski_pool *pool);

#endif
