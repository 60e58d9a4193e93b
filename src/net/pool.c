// SPDX-License-Identifier: Apache-2.0
// Threads that run the handlers which may wait. A bounded queue of exchanges; each was handed over
// and stays until it is answered, so a plain pointer is enough.
#include "net/server.h"

#include "base/alloc.h"

struct ski_pool {
    ski_http *http;
    ski_mutex lock;
    ski_cond more;
    ski_exchange **queue; // a ring of queue_max
    uint32_t queue_max, head, count;
    bool stopping;
    uint32_t thread_count;
    ski_thread threads[];
};

static void pool_main(void *argument)
{
    ski_pool *pool = argument;

    for (;;) {
        ski_mutex_lock(&pool->lock);
        while (pool->count == 0 && !pool->stopping) ski_cond_wait(&pool->more, &pool->lock);
        bool stop = pool->stopping;
        ski_exchange *exchange = pool->queue[pool->head];
        if (!stop) {
            pool->head = (pool->head + 1) % pool->queue_max;
            pool->count--;
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

bool ski_pool_push(ski_pool *pool, ski_exchange *exchange)
{
    ski_mutex_lock(&pool->lock);
    bool room = pool->count < pool->queue_max && !pool->stopping;
    if (room) {
        pool->queue[(pool->head + pool->count) % pool->queue_max] = exchange;
        pool->count++;
        ski_cond_signal(&pool->more);
    }
    ski_mutex_unlock(&pool->lock);
    return room;
}

uint32_t ski_pool_waiting(ski_pool *pool)
{
    if (pool == NULL) return 0;
    ski_mutex_lock(&pool->lock);
    uint32_t count = pool->count;
    ski_mutex_unlock(&pool->lock);
    return count;
}

void ski_pool_stop(ski_pool *pool)
{
    if (pool == NULL) return;
    ski_mutex_lock(&pool->lock);
    pool->stopping = true;
    ski_cond_broadcast(&pool->more);
    ski_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++) {
        pool->http->kernel->join(pool->http->kernel->context, pool->threads[i]);
    }
    pool->thread_count = 0;
    for (; pool->count > 0; pool->count--) { // nobody runs these; each must be answered all the
                                             // same
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
