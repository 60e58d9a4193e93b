// SPDX-License-Identifier: Apache-2.0
// api/api_version.h - which version of the API a request is answered in, and what old versions
// looked like.
#ifndef SKI_API_API_VERSION_H
#define SKI_API_API_VERSION_H

#include "api/routes.h"

// ski_version_choose reads the path, X-API-Version and Accept, which must agree in the major
// number; without any it is the newest. Fails: INVALID (they disagree, or an unknown one, the
// field), UNSUPPORTED (406: an unknown one in Accept).
skald_err ski_version_choose(const ski_http_request *request, unsigned *ret_version,
                             skald_error *reterr_error) SKALD_CHECK;
skald_str ski_version_text(unsigned version); // "2.0.0"
bool ski_version_deprecated(unsigned version);
// ski_version_vendor reads application/vnd.skald.vN+json; false: it is something else. 0: a number
// there never was.
bool ski_version_vendor(skald_str media, unsigned *ret_version);
// ski_version_headers adds what a reply in that version has beside its body.
void ski_version_headers(ski_http_request *request, unsigned version);

// ski_version_down turns the body of a reply, whose schema is the component of that name, into what
// it was in an older version, step by step. False: it is the same there, and ret_body is not
// written. Fails: NOMEM, FULL.
skald_err ski_version_down(const char *component, unsigned version, skald_str body,
                           skald_buf *ret_body, bool *ret_changed) SKALD_CHECK;

#endif
