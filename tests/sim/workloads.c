// SPDX-License-Identifier: Apache-2.0
// The workloads: small ones, since nearly every fault of a store shows in a few operations when
// every operation is tried. world.h says how to read the words. Segments hold a few large events,
// so that several of them roll over to the next segment.
#include "sim/sim_case.h"

const sim_workload sim_workloads[] = {
    {"open-only", "!", 1, 0},
    {"one", "+a", 1, 0},
    {"few", "+a +b +a ?", 1, 0},
    {"batches", "+aab +abc +cc ? +ab", 1, 0},
    {"tenants", "+aA +A +abAB ? +BA", 1, 0},
    {"streamless", "+- +a-b +-- ?", 1, 0},
    {"values", "+x +y +x +X ?", 1, 0},
    {"values-events", "+ax +by +axy +aY ?", 1, 0},
    {"big", "+a1 +b3 +a2A1 ?", 1, 0},
    {"big-and-small", "+a +b2 +a +b1 +a ?", 1, 0},
    {"expects", "+=a +=a +#a +=ab &a &=a &#a &=b . ?", 1, 0},
    {"group", "&a &b &a &c . ?", 1, 0},
    {"groups", "&a &ab . &b1 &xa . &a2 . ?", 1, 0},
    {"group-mixed", "&a +b &A &x +c ?", 1, 0},
    // What a torn group leaves behind its first frame would fit exactly behind what a recovery and
    // one more append write: it must not be taken for theirs.
    {"stale", "&a0 &a0 &a0 &a0 . ?", 8, 0},
    {"stale-later", "+a &a0 &b0 &a0 &b0 . ?", 8, 0},
    {"weak", "+ma +wb +a +wa +mb ?", 1, 0},
    {"weak-last", "+a +wb +mc", 1, 0},
    {"weak-group", "&a &mb &wc &a . ?", 1, 0},
    {"weak-values", "+wx +my +az +wZ", 1, 0},
    {"idle", "+a ~ +b ~ ~ +a", 1, 0},
    {"reopen", "+a ! +b ! ? +a ?", 1, 0},
    {"reopen-values", "+ax ! +by ! +aX ! ?", 1, 0},
    {"reopen-weak", "+wa +mb ! +a ?", 1, 0},
    {"roll", "+a9 +b9 +a9 +b9 +a ?", 1, 0},
    {"roll-twice", "+a9b9 +a9 +b9a9 +a9 +b9 +a ?", 1, 0},
    {"roll-batches", "+a9b9 +a9A9 +b9c9 +a ?", 1, 0},
    {"roll-idle", "+a9 ~ +b9a9 ~ +a9 ~ ?", 1, 0},
    {"roll-reopen", "+a9 +b9x ! +a9 +b9 ! +a9 ?", 1, 0},
    {"roll-values", "+xy +a9b9 +X +a9b9 +z ! ?", 1, 0},
    {"roll-group", "&a9 &b9 &x &a9 &b9 &a . ?", 1, 0},
    // Segments that are indexed: index files, state files, and after eight of them a run of the
    // stream directory; some while appends wait for it.
    {"seal", "+a9b9c9 +a9 ~ ? +b9c9x +a ~ ?", 1, 0},
    {"seal-reopen", "+a9b9x +c9 +a9y ~ ! +b9c9 +X ~ ! +A9 ?", 1, 0},
    {"seal-waits", "+a9b9c9 +a9b9c9x +a9b9c9 +A9B9C9y +a9 ?", 1, 0},
    {"seal-streams", "+a9a9a9 +b9b9b9 ~ +c9A9B9 ~ +a9b9C9 +=ab ~ ! +#a ?", 1, 0},
    {"seal-runs",
     "+a9b9c9 +a9b9c9 +a9b9c9 +a9b9c9x +A9B9C9 +a9b9c9 +a9b9c9 +a9b9c9 +a9b9a9 +a ~ ? +=abA ?", 1,
     61},
    // Segments that are rewritten: the one being written, sealed ones, wholly dead ones.
    {"erase", "+a1b1 +a +b _a ? +ab ?", 1, 0},
    {"erase-values", "+a1x +b1y +aX ! _a +z ! +=ab ?", 1, 2},
    {"erase-again", "+a1b1c1 _a +=ab1 _b ~ ? ! +abc ?", 1, 6},
    {"erase-sealed", "+a9b9c9 +a9xb9c9 ~ _a +c9 _c ! +a ?", 1, 9},
    // A value is replaced, not durably, while the segment with the durable one is rewritten.
    {"erase-replaced", "+a9b9x +c9a9 ~ _awx +b ?", 1, 3},
    {"trim", "+a9b9x +c9a9y ~ +a _* +b ! +=aX ?", 1, 5},
    {"compact", "+a9b9a9 +a9xA9b9 ~ _A +c ! ?", 1, 3},
    // Copies: while something is in the segment being written; of sealed ones; of rewritten ones;
    // of a store that is read only.
    {"backup", "+abx ^ +a ?", 1, 0},
    {"backup-sealed", "+a9b9x +c9a9 ~ ^ +b _a ?", 1, 3},
    {"backup-erased", "+a9b9x +c9a9 ~ _a ^ +b ?", 1, 5},
    {"salvage", "+ab9x +c9a9 ~ +a % +b ?", 1, 3},
    {NULL, NULL, 0, 0},
};
