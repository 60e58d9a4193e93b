// SPDX-License-Identifier: Apache-2.0
// api/api_assets.h - the files of the page, made from web/ when the program is built.
#ifndef SKI_API_API_ASSETS_H
#define SKI_API_API_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ski_asset {
    const char *name;
    const char *content_type;
    const unsigned char *bytes;
    size_t len;
    bool hashed; // its name changes with its bytes
} ski_asset;

extern const ski_asset ski_assets[]; // ends with a NULL name

#endif
