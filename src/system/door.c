// SPDX-License-Identifier: Apache-2.0
// What lets a server listen.
//
// Nothing here guesses: half a certificate, or production in the clear before the world, is refused
// and the error says what to write instead.
#include "system/door.h"
#include "base/buf.h"
#include "base/str.h"
#include "os/kernel.h"
#include "store/store.h"
#include "system/parts.h"

#include <arpa/inet.h>
#include <string.h>

bool ski_door_loopback(const char *host)
{
    skald_str text = skald_str_of(host);

    return ski_str_begins(text, SKALD_STR("127.")) ||
           skald_str_equal(text, SKALD_STR("localhost")) ||
           skald_str_equal(text, SKALD_STR("::1")) || skald_str_equal(text, SKALD_STR("[::1]"));
}

bool ski_door_has_tls(const ski_config *config)
{
    return config->tls_certificate[0] && strcmp(config->tls, "off") != 0;
}

static skald_err check_limits(const ski_config *config, skald_error *reterr_error)
{
    if (config->bodies_bytes_max < config->body_bytes_max) {
        skald_err err = skald_fail(reterr_error, SKALD_EINVALID,
                                   "bodies_bytes_max is less than body_bytes_max: no body of that "
                                   "size could ever be taken");
        return ski_setting_blame(config, SKI_SETTING_bodies_bytes_max, SKI_SETTING_body_bytes_max,
                                 err, reterr_error);
    }
    if (config->append_bytes_max < config->event_bytes_max) {
        skald_err err = skald_fail(reterr_error, SKALD_EINVALID,
                                   "append_bytes_max is less than event_bytes_max: no event of "
                                   "that size could ever be stored");
        return ski_setting_blame(config, SKI_SETTING_append_bytes_max, SKI_SETTING_event_bytes_max,
                                 err, reterr_error);
    }
    return SKALD_OK;
}

static skald_err check_listen(const char *host, skald_error *reterr_error)
{
    char plain[INET6_ADDRSTRLEN];
    size_t len = strcspn(host, "%"); // behind it stands the interface of a link's own address
    struct in6_addr address;

    if (strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &address) == 1) return SKALD_OK;
    if (len < sizeof plain && (!host[len] || host[len + 1])) {
        memcpy(plain, host, len);
        plain[len] = 0;
        if (inet_pton(AF_INET6, plain, &address) == 1) return SKALD_OK;
    }
    return skald_fail(reterr_error, SKALD_EINVALID,
                      "listen is '%s' but must be an IP address of this machine, or localhost: "
                      "127.0.0.1 is this machine alone, 0.0.0.0 all of its networks",
                      host);
}

static skald_err check_data(const char *data, skald_error *reterr_error)
{
    skald_error cause = {0};
    skald_err err = ski_store_url_check(data, &cause);

    return err ? skald_fail(reterr_error, err, "data: %s", cause.text) : SKALD_OK;
}

// check_api: what the API would refuse when it starts.
static skald_err check_api(const ski_config *config, skald_error *reterr_error)
{
    ski_config_list algorithms, origins;
    const ski_api_options options = {
        .cors_origins = origins,
        .tokens =
            {
                .keys_file = config->jwt_keys_file[0] ? config->jwt_keys_file : NULL,
                .keys_url = config->jwt_keys_url[0] ? config->jwt_keys_url : NULL,
                .issuer = config->jwt_issuer,
                .audience = config->jwt_audience,
                .algorithms = algorithms,
            },
    };

    skald_error cause = {0};
    size_t setting = SKI_SETTINGS;
    bool file_named;

    ski_list_spaced(config->jwt_algorithms, algorithms);
    ski_list_spaced(config->cors_origins, origins);
    skald_err err = ski_api_check(&options, &cause);
    if (!err) return err;
    // Of tokens the URL is what asks for the rest.
    if (ski_config_setting(skald_str_of(cause.field), &setting, &file_named) &&
        config->origins[setting].source == SKI_SOURCE_DEFAULT)
        setting = SKI_SETTING_jwt_keys_url;
    if (reterr_error) *reterr_error = cause;
    return ski_setting_blame(config, setting, SKI_SETTINGS, err, reterr_error);
}

skald_err ski_door_check(const ski_config *config, skald_error *reterr_error)
{
    skald_err err;

    SKALD_TRY(check_limits(config, reterr_error));
    err = check_data(config->data, reterr_error);
    if (err) return ski_setting_blame(config, SKI_SETTING_data, SKI_SETTINGS, err, reterr_error);
    err = check_listen(config->listen, reterr_error);
    if (err) return ski_setting_blame(config, SKI_SETTING_listen, SKI_SETTINGS, err, reterr_error);
    SKALD_TRY(check_api(config, reterr_error));
    if (!config->tls_certificate[0] != !config->tls_key[0]) {
        err = skald_fail(reterr_error, SKALD_EINVALID,
                         "tls.certificate and tls.key are given together: %s is missing",
                         config->tls_key[0] ? "tls.certificate" : "tls.key");
        return ski_setting_blame(config, SKI_SETTING_tls_certificate, SKI_SETTING_tls_key, err,
                                 reterr_error);
    }
    if (strcmp(config->preset, "production") != 0 || ski_door_loopback(config->listen) ||
        ski_door_has_tls(config) || strcmp(config->tls, "off") == 0)
        return SKALD_OK;
    err = skald_fail(reterr_error, SKALD_EDENIED,
                     "will not listen on %s in the clear: keys and events could be read on the "
                     "way. Give tls.certificate and tls.key, or say tls: off when a proxy in "
                     "front does TLS",
                     config->listen);
    return ski_setting_blame(config, SKI_SETTING_listen, SKI_SETTING_preset, err, reterr_error);
}

skald_err ski_door_proxies(const ski_config *config, ski_proxies *ret_proxies,
                           skald_error *reterr_error)
{
    ret_proxies->forwarded = strcmp(config->proxy_header, "forwarded") == 0;
    skald_err err =
        ski_proxies_read(skald_str_of(config->proxy_trusted), ret_proxies, reterr_error);
    if (!err) return err;
    return ski_setting_blame(config, SKI_SETTING_proxy_trusted, SKI_SETTINGS, err, reterr_error);
}

static skald_err read_pem(const char *path, skald_buf *buf, skald_error *reterr_error)
{
    *buf = (skald_buf){.bytes_max = SKI_TLS_PEM_BYTES_MAX};
    return ski_kernel_read_file(&ski_kernel_system, path, buf, reterr_error);
}

// buf_wipe forgets what a buffer held before it goes back to the heap: it may have been a key.
static void buf_wipe(skald_buf *buf)
{
    if (buf->ptr) explicit_bzero(buf->ptr, buf->size);
    skald_buf_fini(buf);
}

skald_err ski_door_tls(const ski_config *config, ski_tls_context **ret_context,
                       skald_error *reterr_error)
{
    skald_buf certificate = {0}, key = {0};
    skald_error cause = {0};
    skald_err err;

    if (!ski_door_has_tls(config)) {
        *ret_context = NULL;
        return SKALD_OK;
    }
    bool of_key = false;
    err = read_pem(config->tls_certificate, &certificate, reterr_error);
    if (!err) {
        err = read_pem(config->tls_key, &key, reterr_error);
        of_key = err;
    }
    if (!err) {
        err =
            ski_tls_context_new(ski_buf_str(&certificate), ski_buf_str(&key), ret_context, &cause);
        if (err) {
            of_key = strcmp(cause.field, "key") == 0;
            (void)!skald_fail(reterr_error, err, "tls.%s: %s: %s", of_key ? "key" : "certificate",
                              of_key ? config->tls_key : config->tls_certificate, cause.text);
        }
    }
    buf_wipe(&key);
    buf_wipe(&certificate);
    if (!err) return err;
    return ski_setting_blame(config, of_key ? SKI_SETTING_tls_key : SKI_SETTING_tls_certificate,
                             SKI_SETTINGS, err, reterr_error);
}

skald_err skald_config_check(const skald_system_options *options, skald_error *reterr_error)
{
    static const skald_system_options none = {0};
    ski_config config;
    ski_tls_context *context = NULL;
    ski_proxies proxies = {0};

    SKALD_TRY(ski_config_load(options ? options : &none, &config, reterr_error));
    SKALD_TRY(ski_door_check(&config, reterr_error));
    SKALD_TRY(ski_door_proxies(&config, &proxies, reterr_error));
    SKALD_TRY(ski_door_tls(&config, &context, reterr_error));
    ski_tls_context_free(context);
    return SKALD_OK;
}
