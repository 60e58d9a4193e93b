// SPDX-License-Identifier: Apache-2.0
// Who a client is, in the words of proxies.
//
// Invariants:
//   1. Only what a trusted proxy wrote counts. Each appends the address it was asked from, so the
//      list is read from its end, and what stands in front of the first address that is not trusted
//      may be the client's own invention.
//   2. One header is read, the one the operator named: a proxy that writes the one passes a forged
//      other one on.
//   3. What is not an address ends the search: the last one that was understood stays.
#include "api/proxies.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { address_text_max = 46 };

typedef struct address {
    uint8_t bytes[16];
    bool four; // written as IPv4
} address;

// read_address takes an IPv4 or IPv6 address, alone.
static bool read_address(skald_str text, address *ret_address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    address found = {0};
    char name[address_text_max + 1];

    if (!text.len || text.len > address_text_max || memchr(text.ptr, 0, text.len)) return false;
    memcpy(name, text.ptr, text.len);
    name[text.len] = 0;
    memcpy(found.bytes, mapped, sizeof mapped);
    if (inet_pton(AF_INET, name, found.bytes + sizeof mapped) == 1) {
        found.four = true;
    } else if (inet_pton(AF_INET6, name, found.bytes) != 1) {
        return false;
    }
    if (memcmp(found.bytes, mapped, sizeof mapped) == 0) found.four = true;
    *ret_address = found;
    return true;
}

// read_host takes an address with or without a port: 1.2.3.4, 1.2.3.4:80, ::1, [::1], [::1]:80.
static bool read_host(skald_str text, address *ret_address)
{
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    const char *end = text.len ? memchr(text.ptr, ']', text.len) : NULL;

    if (text.len && text.ptr[0] == '[') {
        if (!end || (end + 1 < text.ptr + text.len && end[1] != ':')) return false;
        return read_address(ski_str(text.ptr + 1, (size_t)(end - text.ptr) - 1), ret_address);
    }
    if (colon && !memchr(colon + 1, ':', (size_t)(text.ptr + text.len - colon) - 1))
        text.len = (size_t)(colon - text.ptr);
    return read_address(text, ret_address);
}

static skald_err read_network(skald_str item, ski_network *ret_network, skald_error *reterr_error)
{
    skald_str bits_text = {0};
    skald_str name = ski_str_cut(item, '/', &bits_text);
    uint64_t bits = 0;
    address found;

    if (!read_address(name, &found)) {
        return skald_fail(
            reterr_error, SKALD_EINVALID,
            "proxy.trusted: '%.*s' is no address, as 10.1.2.3 or ::1, and no network, "
            "as 10.0.0.0/8",
            (int)(item.len > 60 ? 60 : item.len), item.ptr);
    }
    if (!bits_text.ptr) {
        bits = 128;
    } else if (ski_str_u64(bits_text, &bits) || bits > (found.four ? 32 : 128)) {
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "proxy.trusted: '%.*s' must end with a number of bits up to %d",
                          (int)(item.len > 60 ? 60 : item.len), item.ptr, found.four ? 32 : 128);
    } else if (found.four) {
        bits += 96;
    }
    memcpy(ret_network->address, found.bytes, sizeof found.bytes);
    ret_network->bits = (uint8_t)bits;
    return SKALD_OK;
}

skald_err ski_proxies_read(skald_str list, ski_proxies *ret_proxies, skald_error *reterr_error)
{
    ski_proxies proxies = {.forwarded = ret_proxies->forwarded};
    skald_str rest = list;

    while (rest.len) {
        skald_str next = {0};
        skald_str item = ski_str_cut(rest, ',', &next);
        rest = next;
        if (skald_str_equal(item, SKALD_STR("local"))) {
            proxies.local = true;
            continue;
        }
        if (proxies.count == SKI_PROXIES_MAX) {
            return skald_fail(reterr_error, SKALD_EINVALID, "proxy.trusted has more than %d items",
                              SKI_PROXIES_MAX);
        }
        SKALD_TRY(read_network(item, &proxies.networks[proxies.count], reterr_error));
        proxies.count++;
    }
    *ret_proxies = proxies;
    return SKALD_OK;
}

static bool is_in(const ski_network *network, const address *of)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    return memcmp(network->address, of->bytes, whole) == 0 &&
           (!rest || ((network->address[whole] ^ of->bytes[whole]) & mask) == 0);
}

static bool is_trusted(const ski_proxies *proxies, const address *of)
{
    for (uint32_t i = 0; i < proxies->count; i++) {
        if (is_in(&proxies->networks[i], of)) return true;
    }
    return false;
}

// cut_last takes the last item off a list; a separator between quotes is none.
static skald_str cut_last(skald_str *list, char separator)
{
    bool quoted = false;
    skald_str last;
    size_t at = list->len;

    while (at > 0) {
        char byte = list->ptr[at - 1];
        if (byte == '"') quoted = !quoted;
        if (byte == separator && !quoted) break;
        at--;
    }
    last = ski_str(list->ptr + at, list->len - at);
    list->len = at ? at - 1 : 0;
    return ski_str_trim(last);
}

// forwarded_for is the "for" of one element of Forwarded, without its quotes.
static skald_str forwarded_for(skald_str element)
{
    while (element.len) {
        skald_str value = {0};
        skald_str pair = cut_last(&element, ';');
        skald_str name = ski_str_trim(ski_str_cut(pair, '=', &value));
        if (!ski_str_equal_nocase(name, SKALD_STR("for"))) continue;
        value = ski_str_trim(value);
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
            value = ski_str(value.ptr + 1, value.len - 2);
        return value;
    }
    return (skald_str){0};
}

static void print_peer(const address *of, ski_http_request *request)
{
    char name[address_text_max + 1];
    skald_str peer;

    if (!inet_ntop(of->four ? AF_INET : AF_INET6, of->four ? of->bytes + 12 : of->bytes, name,
                   sizeof name))
        return;
    peer = skald_arena_print(request->scratch, of->four ? "%s:0" : "[%s]:0", name);
    if (peer.len) request->peer = peer;
}

// read_header goes over one header's value from its end; false: the search is over.
static bool read_header(const ski_proxies *proxies, skald_str list, uint32_t *hops,
                        address *ret_last, bool *ret_found)
{
    while (list.len && (*hops)++ < SKI_FORWARDED_HOPS_MAX) {
        skald_str item = cut_last(&list, ',');
        address next;
        if (!read_host(proxies->forwarded ? forwarded_for(item) : item, &next)) return false;
        *ret_last = next;
        *ret_found = true;
        if (!is_trusted(proxies, &next)) return false;
    }
    return *hops < SKI_FORWARDED_HOPS_MAX;
}

void ski_proxies_peer(const ski_proxies *proxies, ski_http_request *request)
{
    skald_str name =
        proxies && proxies->forwarded ? SKALD_STR("forwarded") : SKALD_STR("x-forwarded-for");
    address peer = {0};
    uint32_t hops = 0;
    bool found = false;

    if (!proxies || (!proxies->count && !proxies->local)) return;
    if (skald_str_equal(request->peer, SKALD_STR("local"))) {
        if (!proxies->local) return;
    } else if (!read_host(request->peer, &peer) || !is_trusted(proxies, &peer)) {
        return;
    }
    // A header that stands several times is one list (RFC 9110), whose end is the last.
    for (size_t i = request->header_count; i-- > 0;) {
        if (!ski_str_equal_nocase(request->headers[i].name, name)) continue;
        if (!read_header(proxies, request->headers[i].value, &hops, &peer, &found)) break;
    }
    if (found) print_peer(&peer, request);
}
