// SPDX-License-Identifier: Apache-2.0
// Ids of deliveries as remote workers get them: "SUBSCRIPTION-DELIVERY-SEAL", each a hexadecimal
// number.
//
// The numbers alone could be guessed, and a worker of one group could end the deliveries of
// another. The seal is 64 bits of an HMAC over them with a key that lives as long as the server.
#include "api/api_pull.h"
#include "base/buf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { digits_max = 16, digit_bits = 4 };

static skald_err seal(const ski_pull_secret *secret, uint64_t subscription, uint64_t delivery,
                      uint64_t *ret_seal)
{
    unsigned char text[2 * sizeof(uint64_t)];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    memcpy(text, &subscription, sizeof subscription);
    memcpy(text + sizeof subscription, &delivery, sizeof delivery);
    if (!HMAC(EVP_sha256(), secret->bytes, sizeof secret->bytes, text, sizeof text, digest, &len))
        return SKALD_ENOMEM;
    memcpy(ret_seal, digest, sizeof *ret_seal);
    return SKALD_OK;
}

skald_err ski_pull_id_put(const ski_pull_secret *secret, skald_subscription subscription,
                          skald_delivery_id delivery, skald_buf *buf)
{
    uint64_t sealed = 0;

    SKALD_TRY(seal(secret, subscription.id, delivery.id, &sealed));
    return ski_buf_print(buf, "%llx-%llx-%016llx", (unsigned long long)subscription.id,
                         (unsigned long long)delivery.id, (unsigned long long)sealed);
}

// take_hex reads lower case digits up to the end of text or a '-', which it takes too.
static bool take_hex(skald_str *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t i = 0;

    for (; i < text->len && text->ptr[i] != '-'; i++) {
        char digit = text->ptr[i];

        if (i == digits_max) return false;
        if (digit >= '0' && digit <= '9')
            number = number << digit_bits | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            number = number << digit_bits | (uint64_t)(digit - 'a' + 10);
        else
            return false;
    }
    if (!i) return false;
    if (i < text->len) i++;
    *text = (skald_str){text->ptr + i, text->len - i};
    *ret_number = number;
    return true;
}

skald_err ski_pull_id_parse(const ski_pull_secret *secret, skald_str text,
                            skald_subscription *ret_subscription, skald_delivery_id *ret_delivery)
{
    uint64_t subscription = 0, delivery = 0, sealed = 0, due = 0;

    if (!take_hex(&text, &subscription) || !take_hex(&text, &delivery) || text.len != digits_max ||
        !take_hex(&text, &sealed) || text.len)
        return SKALD_EINVALID;
    SKALD_TRY(seal(secret, subscription, delivery, &due));
    if (sealed != due) return SKALD_ESTALE;
    ret_subscription->id = subscription;
    ret_delivery->id = delivery;
    return SKALD_OK;
}
