// SPDX-License-Identifier: Apache-2.0
// event/typed_contract.h - the parts of contracts. All of them: FULL, NOMEM, and perhaps some of it
// written.
#ifndef SKI_EVENT_TYPED_CONTRACT_H
#define SKI_EVENT_TYPED_CONTRACT_H

#include <skald/types.h>

// ski_contract_schema appends the schema of a type's data, whole: as a document of its own.
skald_err ski_contract_schema(const skald_event_type *type, bool whole, skald_buf *buf) SKALD_CHECK;
// ski_contract_message appends a message object; type NULL: only its names are known.
skald_err ski_contract_message(skald_str name, const skald_texts *aliases,
                               const skald_event_type *type, skald_buf *buf) SKALD_CHECK;

// TypeScript: one exported interface, or a module of all types.
skald_err ski_contract_interface(const skald_event_type *type, skald_buf *buf) SKALD_CHECK;
skald_err ski_contract_module(const skald_type_row *rows, size_t count, skald_buf *buf) SKALD_CHECK;

#endif
