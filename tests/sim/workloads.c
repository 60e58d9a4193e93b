// SPDX-License-Identifier: Apache-2.0
// The workloads: small ones, since nearly every fault of a store shows in a few operations when
// every operation is tried. world.h says how to read the words. Segments hold a few large events,
// so that several of them roll over to the next segment.
#include "sim/sim_case.h"

const sim_workload sim_workloads[] = {
    {"open-only", "!", 1},
    {"one", "+a", 1},
    {"few", "+a +b +a ?", 1},
    {"batches", "+aab +abc +cc ? +ab", 1},
    {"tenants", "+aA +A +abAB ? +BA", 1},
    {"streamless", "+- +a-b +-- ?", 1},
    {"values", "+x +y +x +X ?", 1},
    {"values-events", "+ax +by +axy +aY ?", 1},
    {"big", "+a1 +b3 +a2A1 ?", 1},
    {"big-and-small", "+a +b2 +a +b1 +a ?", 1},
    {"expects", "+=a +=a +#a +=ab &a &=a &#a &=b . ?", 1},
    {"group", "&a &b &a &c . ?", 1},
    {"groups", "&a &ab . &b1 &xa . &a2 . ?", 1},
    {"group-mixed", "&a +b &A &x +c ?", 1},
    // What a torn group leaves behind its first frame would fit exactly behind what a recovery and
    // one more append write: it must not be taken for theirs.
    {"stale", "&a0 &a0 &a0 &a0 . ?", 8},
    {"stale-later", "+a &a0 &b0 &a0 &b0 . ?", 8},
    {"weak", "+ma +wb +a +wa +mb ?", 1},
    {"weak-last", "+a +wb +mc", 1},
    {"weak-group", "&a &mb &wc &a . ?", 1},
    {"weak-values", "+wx +my +az +wZ", 1},
    {"idle", "+a ~ +b ~ ~ +a", 1},
    {"reopen", "+a ! +b ! ? +a ?", 1},
    {"reopen-values", "+ax ! +by ! +aX ! ?", 1},
    {"reopen-weak", "+wa +mb ! +a ?", 1},
    {"roll", "+a9 +b9 +a9 +b9 +a ?", 1},
    {"roll-twice", "+a9b9 +a9 +b9a9 +a9 +b9 +a ?", 1},
    {"roll-batches", "+a9b9 +a9A9 +b9c9 +a ?", 1},
    {"roll-idle", "+a9 ~ +b9a9 ~ +a9 ~ ?", 1},
    {"roll-reopen", "+a9 +b9x ! +a9 +b9 ! +a9 ?", 1},
    {"roll-values", "+xy +a9b9 +X +a9b9 +z ! ?", 1},
    {"roll-group", "&a9 &b9 &x &a9 &b9 &a . ?", 1},
    {NULL, NULL, 0},
};
