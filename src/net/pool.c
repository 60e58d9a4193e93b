// SPDX-License-Identifier: Apache-2.0
// Threads that run the handlers which may wait. A bounded queue of exchanges; each was handed over
// and stays until it is answered, so a plain pointer is enough.
//
// What one turn of the loop hands over goes into the queue together and calls one thread; who takes
// something and leaves something calls the next. So short work does not wake a thread each, and
// long work keeps none waiting.
#include "net/server.h"

#include "base/alloc.h"

enum { fresh_max = 64 };

struct ski_pool {
    ski_http *http;
    // loop
    ski_exchange *fresh[fresh_max]; // of this turn, not in the queue yet
    uint32_t fresh_count;
    // lock
    ski_mutex lock;
    ski_cond more;
    ski_exchange **queue; // a ring of queue_max
    uint32_t queue_max, head;
    _Atomic uint32_t count; // read without it, too: only the loop makes it more
    uint32_t idle;          // threads that wait
    bool called;            // one of them was called, and has not come yet
    bool stopping;
    uint32_t thread_count;
    ski_thread threads[];
};

// call wakes a thread, if one sleeps and none is on its way. The lock is held.
static void call(ski_pool *pool)
{
    if (pool->count == 0 || pool->idle == 0 || pool->called) return;
    pool->called = true;
    ski_cond_signal(&pool->more);
}

static void pool_main(void *argument)
{
    ski_pool *pool = argument;

    for (;;) {
        ski_mutex_lock(&pool->lock);
        while (pool->count == 0 && !pool->stopping) {
            pool->idle++;
            ski_cond_wait(&pool->more, &pool->lock);
            pool->idle--;
            pool->called = false;
        }
        bool stop = pool->stopping;
        ski_exchange *exchange = pool->queue[pool->head];
        if (!stop) {
            pool->head = (pool->head + 1) % pool->queue_max;
            pool->count--;
            call(pool);
        }
        ski_mutex_unlock(&pool->lock);
        if (stop) return;
        ski_exchange_run(exchange);
    }
}

skald_err ski_pool_new(ski_http *http, uint32_t threads, uint32_t queue_max, ski_pool **ret_pool)
{
    ski_pool *pool = ski_alloc_zeroed(1, sizeof *pool + threads * sizeof pool->threads[0]);

    if (pool == NULL) return SKALD_ENOMEM;
    pool->queue = ski_alloc_zeroed(queue_max, sizeof(ski_exchange *));
    if (pool->queue == NULL) {
        ski_free(pool);
        return SKALD_ENOMEM;
    }
    pool->http = http;
    pool->queue_max = queue_max;
    ski_mutex_init(&pool->lock);
    ski_cond_init(&pool->more);
    for (uint32_t i = 0; i < threads; i++) {
        skald_err err = http->kernel->spawn(http->kernel->context, "http-worker", pool_main, pool,
                                            &pool->threads[i]);
        if (err) {
            ski_pool_stop(pool);
            ski_pool_free(pool);
            return err;
        }
        pool->thread_count++;
    }
    *ret_pool = pool;
    return SKALD_OK;
}

void ski_pool_flush(ski_pool *pool)
{
    if (pool == NULL || pool->fresh_count == 0) return;
    ski_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->fresh_count; i++) {
        pool->queue[(pool->head + pool->count) % pool->queue_max] = pool->fresh[i];
        pool->count++;
    }
    pool->fresh_count = 0;
    call(pool);
    ski_mutex_unlock(&pool->lock);
}

bool ski_pool_push(ski_pool *pool, ski_exchange *exchange)
{
    if (pool->fresh_count == fresh_max) ski_pool_flush(pool);
    if (pool->count + pool->fresh_count >= pool->queue_max) return false;
    pool->fresh[pool->fresh_count++] = exchange;
    return true;
}

uint32_t ski_pool_waiting(ski_pool *pool)
{
    return pool ? pool->count : 0;
}

void ski_pool_stop(ski_pool *pool)
{
    if (pool == NULL) return;
    ski_pool_flush(pool); // the loop has ended
    ski_mutex_lock(&pool->lock);
    pool->stopping = true;
    ski_cond_broadcast(&pool->more);
    ski_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++) {
        pool->http->kernel->join(pool->http->kernel->context, pool->threads[i]);
    }
    pool->thread_count = 0;
    for (; pool->count > 0; pool->count--) { // nobody runs these;
                                             // each must be answered all the same
        skald_error error = {0};
        (void)skald_fail(&error, SKALD_ECLOSED, "the server is stopping");
        (void)ski_http_problem(pool->http, pool->queue[pool->head]->request.id, &error);
        pool->head = (pool->head + 1) % pool->queue_max;
    }
}

void ski_pool_free(ski_pool *pool)
{
    if (pool == NULL) return;
    ski_mutex_fini(&pool->lock);
    ski_cond_fini(&pool->more);
    ski_free(pool->queue);
    ski_free(pool);
}
