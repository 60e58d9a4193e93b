// SPDX-License-Identifier: Apache-2.0
// event/schema/uri.h - references resolved against where they stand (RFC 3986, 5.2).
#ifndef SKI_EVENT_SCHEMA_URI_H
#define SKI_EVENT_SCHEMA_URI_H

#include <skald/base.h>

// ski_uri_resolve gives the absolute form of reference without its fragment, and that fragment,
// "not given" where there is no '#'. base may be empty. Both borrow from the arguments or the
// arena. Fails: NOMEM.
skald_err ski_uri_resolve(skald_str base, skald_str reference, skald_arena *arena,
                          skald_str *ret_uri, skald_str *ret_fragment) SKALD_CHECK;

// ski_uri_decode undoes %XX. Fails: NOMEM.
skald_err ski_uri_decode(skald_str text, skald_arena *arena, skald_str *ret_text) SKALD_CHECK;

#endif
