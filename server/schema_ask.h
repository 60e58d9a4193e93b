// SPDX-License-Identifier: Apache-2.0
// server/schema_ask.h - the part of skald schema that talks to a server.
#ifndef SKALD_SERVER_SCHEMA_ASK_H
#define SKALD_SERVER_SCHEMA_ASK_H

#include "cli.h"

// schema_ask does what args say: list, show, put, or check with --type. text is that of the file
// that put and check are given, else not given. It gives how to end, having said why.
int schema_ask(const cli_args *args, skald_str text);

#endif
