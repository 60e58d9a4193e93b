// SPDX-License-Identifier: Apache-2.0
// The workloads: small ones, since nearly every fault of a store shows in a few operations when
// every operation is tried. world.h says how to read the words. Segments hold a few large events,
// so that several of them roll over to the next segment.
#include "sim/sim_case.h"

const sim_workload sim_workloads[] = {
    {"open-only", "!"},
    {"one", "+a"},
    {"few", "+a +b +a ?"},
    {"batches", "+aab +abc +cc ? +ab"},
    {"tenants", "+aA +A +abAB ? +BA"},
    {"streamless", "+- +a-b +-- ?"},
    {"values", "+x +y +x +X ?"},
    {"values-events", "+ax +by +axy +aY ?"},
    {"big", "+a1 +b3 +a2A1 ?"},
    {"big-and-small", "+a +b2 +a +b1 +a ?"},
    {"expects", "+=a +=a +#a +=ab &a &=a &#a &=b . ?"},
    {"group", "&a &b &a &c . ?"},
    {"groups", "&a &ab . &b1 &xa . &a2 . ?"},
    {"group-mixed", "&a +b &A &x +c ?"},
    {"weak", "+ma +wb +a +wa +mb ?"},
    {"weak-last", "+a +wb +mc"},
    {"weak-group", "&a &mb &wc &a . ?"},
    {"weak-values", "+wx +my +az +wZ"},
    {"idle", "+a ~ +b ~ ~ +a"},
    {"reopen", "+a ! +b ! ? +a ?"},
    {"reopen-values", "+ax ! +by ! +aX ! ?"},
    {"reopen-weak", "+wa +mb ! +a ?"},
    {"roll", "+a9 +b9 +a9 +b9 +a ?"},
    {"roll-twice", "+a9b9 +a9 +b9a9 +a9 +b9 +a ?"},
    {"roll-batches", "+a9b9 +a9A9 +b9c9 +a ?"},
    {"roll-idle", "+a9 ~ +b9a9 ~ +a9 ~ ?"},
    {"roll-reopen", "+a9 +b9x ! +a9 +b9 ! +a9 ?"},
    {"roll-values", "+xy +a9b9 +X +a9b9 +z ! ?"},
    {"roll-group", "&a9 &b9 &x &a9 &b9 &a . ?"},
    {NULL, NULL},
};
