// SPDX-License-Identifier: Apache-2.0
// store/sight.h - which events can be seen at a moment: what the metadata of streams and the
// retention of the log hide, and what is the store's own. Any thread.
#ifndef SKI_STORE_SIGHT_H
#define SKI_STORE_SIGHT_H

#include "store/rules.h"
#include <skald/store_driver.h>

typedef struct ski_sight {
    bool rules;     // some stream has metadata
    skald_time now; // 0: nobody asks for it
    uint64_t floor; // positions up to here are hidden
} ski_sight;

// ski_sight_take says what is hidden now; erasing: and may be erased. The store is entered.
skald_err ski_sight_take(skald_store *store, bool erasing, ski_sight *ret_sight,
                         skald_error *reterr_error) SKALD_CHECK;
// ski_sight_narrow moves the bounds of a read over what is hidden, so that it is not even looked
// at.
skald_err ski_sight_narrow(skald_store *store, const ski_sight *sight, skald_read *read)
    SKALD_CHECK;
// ski_sight_filter takes out of a page what the metadata of streams hides.
skald_err ski_sight_filter(skald_store *store, const ski_sight *sight, skald_store_page *page)
    SKALD_CHECK;
// ski_sight_dead says whether one event is hidden, for whoever is about to erase it: without
// an answer it is not.
bool ski_sight_dead(skald_store *store, const ski_sight *sight, const skald_store_mark *mark);
// ski_sight_beginning completes what a stream's rule hides, for whoever has indexes to ask.
void ski_sight_beginning(skald_store *store, const ski_sight *sight, const ski_rule *rule,
                         skald_store_beginning *beginning);
// ski_sight_stream_gone says of a stream whether all of it is hidden as far as that can be said
// without reading: it calls nothing of the driver. *ret_max_age is that of the stream, if it has
// one.
bool ski_sight_stream_gone(skald_store *store, const ski_sight *sight, skald_str tenant,
                           const skald_counted *stream, skald_time *ret_max_age);

// ski_reserved_hidden: the event is the store's own and the filter, which lets it through, does not
// name it.
bool ski_reserved_hidden(const skald_filter *filter, const skald_event *event);

#endif
