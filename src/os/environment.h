// SPDX-License-Identifier: Apache-2.0
// os/environment.h - all variables of the environment. One is asked for with getenv.
#ifndef SKI_OS_ENVIRONMENT_H
#define SKI_OS_ENVIRONMENT_H

#include <skald/base.h>

// ski_environment_at is the n-th variable, "NAME=value"; NULL behind the last. While nobody changes
// the environment.
const char *ski_environment_at(size_t n);

#endif
