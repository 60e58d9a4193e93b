// SPDX-License-Identifier: Apache-2.0
// base/json_plain.h - what is short and plain, told without the parser.
#ifndef SKI_BASE_JSON_PLAIN_H
#define SKI_BASE_JSON_PLAIN_H

#include <skald/base.h>

enum { SKI_JSON_PLAIN_BYTES_MAX = 512 }; // beyond it the parser is as quick

// ski_json_plain: true: text is one valid JSON value. False (of anything beyond the limit, too)
// says nothing: ask the parser. It reads no byte behind text. Any thread.
bool ski_json_plain(skald_str text);

#endif
