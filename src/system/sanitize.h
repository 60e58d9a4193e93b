// SPDX-License-Identifier: Apache-2.0
// system/sanitize.h - an event's data as a log may show it.
#ifndef SKI_SYSTEM_SANITIZE_H
#define SKI_SYSTEM_SANITIZE_H

#include <skald/types.h>

// ski_sanitize appends valid JSON with "***" for every member whose name says that it is a secret
// (password, token, card number …) and for every field that record marks as personal. record may be
// NULL. Any thread. Fails: FULL (buf then holds a part of it), NOMEM.
skald_err ski_sanitize(skald_str json, const skald_record *record, skald_buf *buf) SKALD_CHECK;

#endif
