// SPDX-License-Identifier: Apache-2.0
// Two relaxed additions for each thing that took time. Who reads sees each counter as it was at
// some moment; all is made of the counts, so a histogram that is shown always adds up.
#include "base/histogram.h"

#include <stdatomic.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

const uint64_t ski_histogram_bounds_ns[SKI_HISTOGRAM_BOUNDS] = {
    50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US, 5 * MS,     10 * MS,
    25 * MS, 50 * MS,  100 * MS, 250 * MS, 500 * MS, 2500 * MS, 10000 * MS,
};

void ski_histogram_add(ski_histogram *histogram, uint64_t took_ns)
{
    size_t bucket = 0;

    while (bucket < SKI_HISTOGRAM_BOUNDS && took_ns > ski_histogram_bounds_ns[bucket]) bucket++;
    atomic_fetch_add_explicit(&histogram->counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, took_ns, memory_order_relaxed);
}

void ski_histogram_copy(const ski_histogram *histogram,
                        uint64_t ret_counts[SKI_HISTOGRAM_BOUNDS + 1])
{
    for (size_t i = 0; i <= SKI_HISTOGRAM_BOUNDS; i++)
        ret_counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
}

void ski_histogram_see(const ski_histogram *histogram, ski_histogram_seen *ret_seen)
{
    *ret_seen = (ski_histogram_seen){
        .sum_ns = atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed)};
    ski_histogram_copy(histogram, ret_seen->counts);
    for (size_t i = 0; i <= SKI_HISTOGRAM_BOUNDS; i++) ret_seen->all += ret_seen->counts[i];
}
