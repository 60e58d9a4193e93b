// SPDX-License-Identifier: Apache-2.0
// event/schema/registry.h - what other floors need of the registry besides skald/schema.h.
#ifndef SKI_EVENT_SCHEMA_REGISTRY_H
#define SKI_EVENT_SCHEMA_REGISTRY_H

#include <skald/schema.h>

// ski_schema_registry_check is skald_schemas_check for data that has passed the door: what a
// publish calls. registry NULL, a type without a schema, and data that is not given pass. Any
// thread.
skald_err ski_schema_registry_check(skald_schemas *registry, skald_str type, uint32_t version,
                                    skald_json data, skald_error *reterr_error) SKALD_CHECK;

// ski_schema_registry_name is the name a version is saved under: "schema/<type>/<version>".
enum { SKI_SCHEMA_NAME_BYTES = 512 };
bool ski_schema_registry_name(skald_str type, uint32_t version,
                              char ret_name[SKI_SCHEMA_NAME_BYTES]);
#define SKI_SCHEMA_NAME_PREFIX "schema/"

#endif
