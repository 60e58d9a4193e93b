// SPDX-License-Identifier: Apache-2.0
// bus/link.h - doubly linked rings whose links stand inside what they link.
//
// A ring is a link of its own that is never an item. A link that is in no ring points to itself, so
// leaving twice is harmless. Guarded by whatever guards the items.
#ifndef SKI_BUS_LINK_H
#define SKI_BUS_LINK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ski_link {
    struct ski_link *prev, *next;
} ski_link;

// SKI_LINKED gives the item that link, the member of type, stands in.
#define SKI_LINKED(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void ski_link_init(ski_link *link)
{
    link->prev = link->next = link;
}

static inline bool ski_link_alone(const ski_link *link)
{
    return link->next == link;
}

static inline void ski_link_leave(ski_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    ski_link_init(link);
}

// ski_link_append puts link, which is alone, last in ring; one that is in a ring already stays.
static inline void ski_link_append(ski_link *ring, ski_link *link)
{
    if (!ski_link_alone(link)) return;
    link->prev = ring->prev;
    link->next = ring;
    ring->prev->next = link;
    ring->prev = link;
}

#endif
