// SPDX-License-Identifier: Apache-2.0
// api/proxies.h - who a client is, in the words of proxies that are trusted.
#ifndef SKI_API_PROXIES_H
#define SKI_API_PROXIES_H

#include "net/http.h"

enum { SKI_PROXIES_MAX = 64, SKI_FORWARDED_HOPS_MAX = 32 };

// ski_proxies is a list of addresses and networks, and the one header they write. Zero it; a value.
// Once filled it may be read by any thread.
typedef struct ski_network {
    uint8_t address[16]; // IPv4 as ::ffff:a.b.c.d
    uint8_t bits;        // that count; of 128
} ski_network;
typedef struct ski_proxies {
    ski_network networks[SKI_PROXIES_MAX];
    uint32_t count;
    bool local;     // whoever comes by the local socket
    bool forwarded; // they write Forwarded (RFC 7239), else X-Forwarded-For
} ski_proxies;

// ski_proxies_read takes "10.0.0.0/8,::1,local". Fails: INVALID (the item).
skald_err ski_proxies_read(skald_str list, ski_proxies *ret_proxies, skald_error *reterr_error)
    SKALD_CHECK;

// ski_proxies_peer makes peer of request that of the client, where the peer is a proxy that is
// trusted and says who that is: the last address in its header that is none of the trusted ones.
// The port is 0 then, for no proxy tells it. Anything else leaves peer as it is.
void ski_proxies_peer(const ski_proxies *proxies, ski_http_request *request);

#endif
