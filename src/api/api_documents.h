// SPDX-License-Identifier: Apache-2.0
// api/api_documents.h - what the API says of itself: OpenAPI, AsyncAPI, a page. All made from the
// table of routes, the registry of types and the files of documents/, which are compiled in.
#ifndef SKI_API_API_DOCUMENTS_H
#define SKI_API_API_DOCUMENTS_H

#include <skald/typed.h>

typedef struct ski_document {
    const char *name; // "schemas.json"
    skald_str text;
} ski_document;
extern const ski_document ski_documents[]; // ends with a NULL name
skald_str ski_document_find(const char *name);

// ski_openapi_put appends the OpenAPI document, ski_docs_put the page, ski_asyncapi_put the
// AsyncAPI document of the types there are. Fail: FULL, NOMEM.
skald_err ski_openapi_put(skald_buf *buf) SKALD_CHECK;
skald_err ski_docs_put(skald_buf *buf) SKALD_CHECK;
skald_err ski_asyncapi_put(const skald_types *types, skald_buf *buf) SKALD_CHECK;

#endif
