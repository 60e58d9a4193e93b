// SPDX-License-Identifier: Apache-2.0
// event/types.h - what publishing and keeping ask of the registry of names beside skald/types.h.
#ifndef SKI_EVENT_TYPES_H
#define SKI_EVENT_TYPES_H

#include <skald/types.h>

// ski_types_look says what is known of a name; false: nothing. Never waits, takes no lock.
typedef struct ski_type_look {
    skald_str name; // the dotted one; lives as long as the registry
    bool transient;
} ski_type_look;
bool ski_types_look(const skald_types *types, skald_str name, ski_type_look *ret_look);
bool ski_types_any(const skald_types *types); // false: nothing is known of any name

// ski_types_admit says whether a strict registry lets events of this type be published; others let
// all. Fails: INVALID, with the name that may have been meant.
skald_err ski_types_admit(const skald_types *types, skald_str name, skald_error *reterr_error)
    SKALD_CHECK;

bool ski_types_are_strict(const skald_types *types);

// ski_types_change adds names to a type, as skald_types_put, in steps: when everything has been
// checked, keep is called with what the type will be; only if it succeeds is it so. Other changes
// wait meanwhile, looking does not.
typedef struct ski_type_change {
    skald_str type;
    skald_texts aliases;                                         // to be added
    const bool *transient;                                       // NULL: as it is
    skald_err (*keep)(void *context, const skald_type_row *row); // NULL: nothing to keep
    void *context;
} ski_type_change;
skald_err ski_types_change(skald_types *types, const ski_type_change *change,
                           skald_error *reterr_error) SKALD_CHECK;

// ski_types_declare is skald_types_add for one; one that is there already costs a look.
skald_err ski_types_declare(skald_types *types, const skald_event_type *declared,
                            skald_error *reterr_error) SKALD_CHECK;

// ski_types_row gives one type by any of its names. Fails: NOTFOUND, NOMEM.
skald_err ski_types_row(const skald_types *types, skald_str name, skald_arena *arena,
                        skald_type_row *ret_row) SKALD_CHECK;

#endif
