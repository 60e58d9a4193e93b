// SPDX-License-Identifier: Apache-2.0
// The workloads: small ones, since nearly every fault of a store shows in a few operations when
// every operation is tried. world.h says how to read the words. Segments hold a few large events,
// so that several of them roll over to the next segment.
#include "sim/sim_case.h"

enum { segment_small = 64 * 1024, segment_large = 256 * 1024 };

const sim_workload sim_workloads[] = {
    {"open-only", "!", segment_small},
    {"one", "+a", segment_small},
    {"few", "+a +b +a ?", segment_small},
    {"batches", "+aab +abc +cc ? +ab", segment_small},
    {"tenants", "+aA +A +abAB ? +BA", segment_small},
    {"streamless", "+- +a-b +-- ?", segment_small},
    {"values", "+x +y +x +X ?", segment_small},
    {"values-events", "+ax +by +axy +aY ?", segment_small},
    {"big", "+a1 +b3 +a2A1 ?", segment_large},
    {"big-and-small", "+a +b2 +a +b1 +a ?", segment_large},
    {"expects", "+=a +=a +#a +=ab &a &=a &#a &=b . ?", segment_small},
    {"group", "&a &b &a &c . ?", segment_small},
    {"groups", "&a &ab . &b1 &xa . &a2 . ?", segment_small},
    {"group-mixed", "&a +b &A &x +c ?", segment_small},
    {"weak", "+ma +wb +a +wa +mb ?", segment_small},
    {"weak-last", "+a +wb +mc", segment_small},
    {"weak-group", "&a &mb &wc &a . ?", segment_small},
    {"weak-values", "+wx +my +az +wZ", segment_small},
    {"idle", "+a ~ +b ~ ~ +a", segment_small},
    {"reopen", "+a ! +b ! ? +a ?", segment_small},
    {"reopen-values", "+ax ! +by ! +aX ! ?", segment_small},
    {"reopen-weak", "+wa +mb ! +a ?", segment_small},
    {"roll", "+a9 +b9 +a9 +b9 +a ?", segment_small},
    {"roll-twice", "+a9b9 +a9 +b9a9 +a9 +b9 +a ?", segment_small},
    {"roll-batches", "+a9b9 +a9A9 +b9c9 +a ?", segment_small},
    {"roll-idle", "+a9 ~ +b9a9 ~ +a9 ~ ?", segment_small},
    {"roll-reopen", "+a9 +b9x ! +a9 +b9 ! +a9 ?", segment_small},
    {"roll-values", "+xy +a9b9 +X +a9b9 +z ! ?", segment_small},
    {"roll-group", "&a9 &b9 &x &a9 &b9 &a . ?", segment_small},
    {NULL, NULL, 0},
};
