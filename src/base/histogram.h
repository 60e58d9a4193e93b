// SPDX-License-Identifier: Apache-2.0
// base/histogram.h - how long things took, in buckets that are the same everywhere. Zero it. Any
// thread, no lock.
#ifndef SKI_BASE_HISTOGRAM_H
#define SKI_BASE_HISTOGRAM_H

#include <skald/base.h>

enum { SKI_HISTOGRAM_BOUNDS = 15 };

// Upper bounds, inclusive: from what is answered out of memory to what waited for a disk in
// trouble.
extern const uint64_t ski_histogram_bounds_ns[SKI_HISTOGRAM_BOUNDS];

typedef struct ski_histogram {
    _Atomic uint64_t counts[SKI_HISTOGRAM_BOUNDS + 1]; // of each bucket alone; the last: longer
    _Atomic uint64_t sum_ns;
} ski_histogram;

// What one looks like at a moment.
typedef struct ski_histogram_seen {
    uint64_t counts[SKI_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_ns, all;
} ski_histogram_seen;

void ski_histogram_add(ski_histogram *histogram, uint64_t took_ns);
// ski_histogram_copy gives the counts alone.
void ski_histogram_copy(const ski_histogram *histogram,
                        uint64_t ret_counts[SKI_HISTOGRAM_BOUNDS + 1]);
void ski_histogram_see(const ski_histogram *histogram, ski_histogram_seen *ret_seen);

#endif
