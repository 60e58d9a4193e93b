// SPDX-License-Identifier: Apache-2.0
// base/json_fault.h - where a JSON text that the door refused goes wrong.
#ifndef SKI_BASE_JSON_FAULT_H
#define SKI_BASE_JSON_FAULT_H

#include "base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

// ski_json_fault reads text slowly and strictly and says what is wrong first, and where: "line 1
// column 5: ...". OK: nothing is, as far as it looks (it does not know the range of doubles).
// Fails: INVALID, TOOBIG (too deep).
skald_err ski_json_fault(skald_str text, skald_error *reterr_error);

// ski_json_form is the same for a text whose numbers may have any size, for those who read numbers
// as they are written. Any thread.
skald_err ski_json_form(skald_str text, skald_error *reterr_error);

#ifdef __cplusplus
}
#endif
#endif
