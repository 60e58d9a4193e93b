// SPDX-License-Identifier: Apache-2.0
// Sending whole replies with two threads: on one machine most of what a short reply costs is the
// call of the kernel that takes it to its reader.
//
// When the loop settles, each connection with one whole reply at its front puts a job into a batch;
// then the loop works the batch off, and if there is enough of it, the sender with it: each takes
// the next job until none is left. The loop waits for nobody: where the sender gets no processor,
// the loop does it all. The sender is woken once for a batch that is whole, and not under the lock:
// on the loop's own processor it would run at once, into that lock, and back, time and again.
//
// Invariants:
//   1. The sender sees a job's descriptor and bytes, and nothing else. As long as a job is there
//   its exchange stays in line and is not written by others; what became of it the loop applies.
//   2. Between two settlings at most one job is under way: the one that the sender is at.
//   3. A connection that is cut takes its job back, or waits for the one call that has begun and
//   does not block: after that its descriptor may be closed.
#include "net/server.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "os/socket.h"
#include <assert.h>

enum {
    jobs_max = 64,
    jobs_shared_min = 8,       // fewer are sent before the sender is awake
    job_bytes_max = 64 * 1024, // of a reply; more may take its time
};

typedef enum job_stage {
    job_none, // or taken back
    job_waits,
    job_runs, // on the sender
    job_over, // its outcome is to be applied
} job_stage;

struct ski_send_job {
    // loop
    ski_conn *conn;
    // lock; whoever took it reads them without
    job_stage stage;
    int fd;
    skald_str bytes;
    bool broken;
    size_t sent;
};

struct ski_sender {
    ski_http *http;
    ski_thread thread;
    bool alone; // there is no thread
    ski_mutex lock;
    // lock
    ski_cond more, ended;
    size_t shown; // of the jobs; those the sender may take
    size_t next;  // to be taken
    bool runs;    // one job, on the sender
    bool awaited; // the loop waits for ended
    bool wake;    // the loop sleeps, and is to hear of it
    bool stopping;
    ski_send_job jobs[jobs_max];
    // loop
    size_t count; // of jobs
};

static void job_send(ski_send_job *job)
{
    job->sent = 0;
    job->broken = !ski_socket_send(job->fd, job->bytes, &job->sent);
}

// job_take gives the next job, NULL if there is none. The lock is held.
static ski_send_job *job_take(ski_sender *sender)
{
    while (sender->next < sender->shown) {
        ski_send_job *job = &sender->jobs[sender->next++];
        if (job->stage != job_waits) continue; // taken back
        job->stage = job_runs;
        return job;
    }
    return NULL;
}

static void sender_main(void *argument)
{
    ski_sender *sender = argument;

    // A loop that is put aside for it could have sent by itself.
    if (!ski_thread_patient()) {
        ski_log_line(sender->http->options.log, SKALD_DEBUG,
                     "http-sender may not have SCHED_BATCH: replies may take a little longer",
                     (char *)NULL);
    }
    ski_mutex_lock(&sender->lock);
    while (!sender->stopping) {
        ski_send_job *job = job_take(sender);
        if (job == NULL) {
            ski_cond_wait(&sender->more, &sender->lock);
            continue;
        }
        sender->runs = true;
        ski_mutex_unlock(&sender->lock);
        job_send(job);
        ski_mutex_lock(&sender->lock);
        job->stage = job_over;
        sender->runs = false;
        if (sender->awaited) ski_cond_signal(&sender->ended);
        if (sender->wake) uv_async_send(&sender->http->wake); // there while a job is
        sender->awaited = sender->wake = false;
    }
    ski_mutex_unlock(&sender->lock);
}

skald_err ski_sender_new(ski_http *http, ski_sender **ret_sender)
{
    ski_sender *sender = ski_alloc_zeroed(1, sizeof *sender);
    skald_err err = SKALD_OK;

    if (sender == NULL) return SKALD_ENOMEM;
    sender->http = http;
    ski_mutex_init(&sender->lock);
    ski_cond_init(&sender->more);
    ski_cond_init(&sender->ended);
    sender->alone = http->options.processors == 1;
    if (!sender->alone) {
        err = http->kernel->spawn(http->kernel->context, "http-sender", sender_main, sender,
                                  &sender->thread);
    }
    if (err) {
        sender->alone = true;
        ski_sender_free(sender);
        return err;
    }
    *ret_sender = sender;
    return SKALD_OK;
}

void ski_sender_stop(ski_sender *sender)
{
    if (sender == NULL || sender->alone) return;
    ski_mutex_lock(&sender->lock);
    sender->stopping = true;
    ski_cond_signal(&sender->more);
    ski_mutex_unlock(&sender->lock);
    sender->http->kernel->join(sender->http->kernel->context, sender->thread);
    sender->alone = true;
}

void ski_sender_free(ski_sender *sender)
{
    if (sender == NULL) return;
    assert(sender->alone);
    ski_mutex_fini(&sender->lock);
    ski_cond_fini(&sender->more);
    ski_cond_fini(&sender->ended);
    ski_free(sender);
}

// fits: what can be written over conn now is one whole reply of a moderate size.
static bool fits(const ski_conn *conn)
{
    const ski_exchange *first = conn->first;
    const ski_exchange *next = first != NULL ? first->next : NULL;

    if (conn->tls || conn->writing || conn->job || conn->closing || conn->lingering) return false;
    if (first == NULL || !first->answered || first->out.len > job_bytes_max) return false;
    return next == NULL || (!next->answered && !next->begun);
}

bool ski_sender_put(ski_sender *sender, ski_conn *conn)
{
    uv_buf_t pieces[SKI_PIECES_MAX];
    uv_os_fd_t fd;
    size_t bytes;

    if (sender->count == jobs_max || !fits(conn)) return false;
    int failed = uv_fileno((uv_handle_t *)&conn->stream, &fd);
    assert(failed == 0); // it is open
    (void)failed;
    unsigned count = ski_output_collect(conn, false, pieces, &bytes);
    assert(count == 1);
    conn->job = &sender->jobs[sender->count++];
    *conn->job = (ski_send_job){
        .conn = conn,
        .stage = job_waits,
        .fd = fd,
        .bytes = ski_str(pieces[0].base, pieces[0].len),
    };
    conn->unsettled_bytes = 0;
    return true;
}

// job_apply goes on with the connection of a job that is over.
static void job_apply(ski_send_job *job)
{
    ski_conn *conn = job->conn;

    job->stage = job_none;
    conn->job = NULL;
    if (job->broken) {
        ski_conn_cut(conn);
    } else {
        ski_output_sent(conn, job->sent);
        ski_conn_continue(conn); // what the kernel did not take is the loop's
    }
}

// over_apply goes on with those that the sender is through with. A batch of which nothing is left
// begins anew.
static void over_apply(ski_sender *sender)
{
    ski_send_job *over[jobs_max];
    size_t over_count = 0;

    ski_mutex_lock(&sender->lock);
    bool runs = sender->runs;
    for (size_t i = 0; i < sender->next; i++) {
        if (sender->jobs[i].stage == job_over) over[over_count++] = &sender->jobs[i];
    }
    ski_mutex_unlock(&sender->lock);
    for (size_t i = 0; i < over_count; i++) { // one that is applied may take another back
        if (over[i]->stage == job_over) job_apply(over[i]);
    }
    if (runs) return;
    ski_mutex_lock(&sender->lock);
    sender->next = sender->shown = sender->count = 0;
    ski_mutex_unlock(&sender->lock);
}

void ski_sender_run(ski_sender *sender)
{
    ski_send_job *job;

    if (sender->count == 0) return;
    ski_mutex_lock(&sender->lock);
    bool shared = sender->count - sender->shown >= jobs_shared_min;
    sender->shown = sender->count;
    ski_mutex_unlock(&sender->lock);
    if (shared) ski_cond_signal(&sender->more);
    do {
        ski_mutex_lock(&sender->lock);
        job = job_take(sender);
        ski_mutex_unlock(&sender->lock);
        if (job != NULL) {
            job_send(job);
            job_apply(job);
        }
    } while (job != NULL);
    over_apply(sender);
}

bool ski_sender_ended(ski_sender *sender, bool waking)
{
    if (sender->count == 0) return false;
    ski_mutex_lock(&sender->lock);
    bool runs = sender->runs;
    sender->wake = runs && waking;
    ski_mutex_unlock(&sender->lock);
    return !runs;
}

void ski_sender_take_back(ski_conn *conn)
{
    ski_sender *sender = conn->http->sender;
    ski_send_job *job = conn->job;

    if (job == NULL) return;
    ski_mutex_lock(&sender->lock);
    while (job->stage == job_runs) {
        sender->awaited = true;
        ski_cond_wait(&sender->ended, &sender->lock);
    }
    bool whole = job->stage == job_over && !job->broken && job->sent == job->bytes.len;
    job->stage = job_none;
    ski_mutex_unlock(&sender->lock);
    conn->job = NULL;
    ski_http_count(conn->http, SKI_COUNT_OUT, (int64_t)job->sent);
    if (whole) ski_exchange_sent(conn->first);
}
