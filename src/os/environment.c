// SPDX-License-Identifier: Apache-2.0
#include "os/environment.h"

#include <unistd.h>

const char *ski_environment_at(size_t n)
{
    return environ ? environ[n] : NULL;
}
