// SPDX-License-Identifier: Apache-2.0
// system/door.h - what lets a server listen: addresses, limits that fit together, the certificate.
#ifndef SKI_SYSTEM_DOOR_H
#define SKI_SYSTEM_DOOR_H

#include "api/proxies.h"
#include "net/tls.h"
#include "system/config.h"

// ski_door_loopback: only this machine reaches host.
bool ski_door_loopback(const char *host);
bool ski_door_has_tls(const ski_config *config);
// ski_door_check looks at what no single setting can tell. Fails: INVALID (two that do not go
// together), DENIED (production in the clear, on an address that others reach).
skald_err ski_door_check(const ski_config *config, skald_error *reterr_error) SKALD_CHECK;
// ski_door_proxies reads proxy.*. Fails: INVALID (the item).
skald_err ski_door_proxies(const ski_config *config, ski_proxies *ret_proxies,
                           skald_error *reterr_error) SKALD_CHECK;
// ski_door_tls reads certificate and key; NULL: there is none. Fails: INVALID (which file, what is
// wrong with it), NOTFOUND, IO, NOMEM.
skald_err ski_door_tls(const ski_config *config, ski_tls_context **ret_context,
                       skald_error *reterr_error) SKALD_CHECK;

#endif
