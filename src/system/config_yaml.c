// SPDX-License-Identifier: Apache-2.0
// The YAML file: keys and plain values; a key with a dot may also be written as a mapping in a
// mapping, and a list as a sequence. libfyaml reads it; what it says of a broken file is given on
// with its line.
#include "base/buf.h"
#include "base/str.h"
#include "os/kernel.h"
#include "system/config.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

enum { file_bytes_max = 1024 * 1024, keys_max = 1000 };

// diag_quiet takes what libfyaml prints; its errors are collected instead.
static void diag_quiet(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag, (void)user, (void)text, (void)len;
}

// refuse_text says the first thing that is wrong with a file that is no YAML.
static skald_err refuse_text(const char *path, struct fy_diag *diag, skald_error *reterr_error)
{
    void *walk = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &walk);

    if (!first) return skald_fail(reterr_error, SKALD_EINVALID, "%s: not valid YAML", path);
    return skald_fail(reterr_error, SKALD_EINVALID, "%s:%d: not valid YAML: %s", path, first->line,
                      first->msg);
}

// plain_text is a node's text; NULL: it is more than that, or stands for something elsewhere.
static const char *plain_text(struct fy_node *node, size_t *ret_len)
{
    if (!node || !fy_node_is_scalar(node) || fy_node_is_alias(node)) return NULL;
    return fy_node_get_scalar(node, ret_len);
}

static int line_of(struct fy_node *node)
{
    const struct fy_mark *mark = fy_token_start_mark(fy_node_get_scalar_token(node));

    return mark ? mark->line + 1 : 0;
}

// A walk over the file: where it is, and which line set what.
typedef struct reading {
    ski_config *config;
    const char *path;
    skald_error *reterr_error; // may be NULL
    uint32_t lines[SKI_SETTINGS];
    uint32_t keys_max; // how many may still come
} reading;

static skald_err refuse(reading *of, int line, skald_str key, const char *why)
{
    return skald_fail(of->reterr_error, SKALD_EINVALID, "%s:%d: %.*s %s", of->path, line,
                      (int)(key.len > 60 ? 60 : key.len), key.ptr, why);
}

static bool is_list(skald_str key)
{
    bool file_named = false;
    size_t index = 0;

    return ski_config_setting(key, &index, &file_named) && !file_named &&
           ski_settings[index].kind == SKI_KIND_LIST;
}

// is_group: settings begin with this key and a dot.
static bool is_group(skald_str key)
{
    for (size_t i = 0; i < SKI_SETTINGS; i++) {
        skald_str name = skald_str_of(ski_settings[i].key);
        if (ski_str_begins(name, key) && name.len > key.len && name.ptr[key.len] == '.')
            return true;
    }
    return false;
}

static skald_err put(reading *of, int line, skald_str key, skald_str value)
{
    ski_origin origin = {.source = SKI_SOURCE_FILE, .line = (uint32_t)line};
    char where[SKI_CONFIG_TEXT_MAX + 16];
    bool file_named = false;
    size_t index = 0;

    (void)snprintf(where, sizeof where, "%s:%d", of->path, line);
    if (ski_config_setting(key, &index, &file_named)) {
        if (of->lines[index]) {
            return skald_fail(of->reterr_error, SKALD_EINVALID, "%s: %s is set on line %u already",
                              where, ski_settings[index].key, of->lines[index]);
        }
        of->lines[index] = (uint32_t)line;
    }
    return ski_config_put(of->config, key, value, origin, where, of->reterr_error);
}

// read_list joins the items of a sequence with commas, so none may have one.
static skald_err read_list(reading *of, int line, skald_str key, struct fy_node *sequence)
{
    ski_config_list list;
    struct fy_node *item;
    void *walk = NULL;
    size_t at = 0;

    while ((item = fy_node_sequence_iterate(sequence, &walk))) {
        size_t len = 0;
        const char *text = plain_text(item, &len);
        if (!text || !len || memchr(text, ',', len))
            return refuse(of, line, key, "has an item that is no plain text");
        if (at + len + 1 >= sizeof list) return refuse(of, line, key, "is too long");
        if (at) list[at++] = ',';
        memcpy(list + at, text, len);
        at += len;
    }
    return put(of, line, key, ski_str(list, at));
}

static skald_err read_mapping(reading *of, skald_str group, struct fy_node *mapping);

static skald_err read_value(reading *of, int line, skald_str key, struct fy_node *value)
{
    size_t len = 0;
    const char *text = plain_text(value, &len);

    if (text) return put(of, line, key, ski_str(text, len));
    if (value && fy_node_is_mapping(value) && is_group(key)) return read_mapping(of, key, value);
    if (value && fy_node_is_sequence(value) && is_list(key)) return read_list(of, line, key, value);
    return refuse(of, line, key,
                  is_list(key) ? "must have one plain value, or a list of them"
                               : "must have one plain value");
}

// read_pair reads one key, which stands below group: "tls" and "key" are "tls.key".
static skald_err read_pair(reading *of, skald_str group, struct fy_node_pair *pair)
{
    struct fy_node *key = fy_node_pair_key(pair);
    char name[SKI_CONFIG_VARIABLE_MAX];
    size_t len = 0;
    const char *text = plain_text(key, &len);
    skald_str full = {text, len};

    if (!text) {
        return skald_fail(of->reterr_error, SKALD_EINVALID, "%s: a key must be a plain text",
                          of->path);
    }
    if (!of->keys_max--) return refuse(of, line_of(key), full, "is one key too many");
    if (group.len && group.len + 1 + len < sizeof name) {
        memcpy(name, group.ptr, group.len);
        name[group.len] = '.';
        memcpy(name + group.len + 1, text, len);
        full = ski_str(name, group.len + 1 + len);
    } else if (group.len) {
        return refuse(of, line_of(key), full, "is no key");
    }
    return read_value(of, line_of(key), full, fy_node_pair_value(pair));
}

// read_mapping goes only as deep as keys have dots, for a group must be one.
static skald_err read_mapping(reading *of, skald_str group, struct fy_node *mapping)
{
    struct fy_node_pair *pair;
    void *walk = NULL;

    while ((pair = fy_node_mapping_iterate(mapping, &walk))) {
        SKALD_TRY(read_pair(of, group, pair));
    }
    return SKALD_OK;
}

static skald_err read_document(ski_config *config, const char *path, struct fy_document *document,
                               skald_error *reterr_error)
{
    struct fy_node *root = fy_document_root(document);
    reading of = {
        .config = config, .path = path, .reterr_error = reterr_error, .keys_max = keys_max};

    if (!root) return SKALD_OK; // an empty file is a configuration of defaults
    if (!fy_node_is_mapping(root)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: must be 'key: value' lines", path);
    }
    return read_mapping(&of, (skald_str){0}, root);
}

// read_text reads the one document there may be: fy_document_build_from_string would pass over a
// second one.
static skald_err read_text(ski_config *config, const char *path, struct fy_parser *parser,
                           struct fy_diag *diag, skald_error *reterr_error)
{
    struct fy_document *document = fy_parse_load_document(parser);
    struct fy_document *second = NULL;
    skald_err err = SKALD_OK;

    if (document) err = read_document(config, path, document, reterr_error);
    if (document && !err) second = fy_parse_load_document(parser);
    if (!err && fy_diag_got_error(diag))
        err = refuse_text(path, diag, reterr_error);
    else if (second)
        err = skald_fail(reterr_error, SKALD_EINVALID, "%s: holds more than one document", path);
    fy_parse_document_destroy(parser, second);
    fy_parse_document_destroy(parser, document);
    return err;
}

// check_bytes refuses what no configuration needs and what libfyaml does not survive: it never
// returns from a directive (a line that begins with %) that is broken in certain ways.
static skald_err check_bytes(const char *path, skald_str text, skald_error *reterr_error)
{
    unsigned line = 1;
    bool begins = true;

    if (!ski_str_utf8(text))
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: not valid YAML: not UTF-8", path);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if ((byte < ' ' && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f) {
            return skald_fail(reterr_error, SKALD_EINVALID,
                              "%s:%u: not valid YAML: a control character", path, line);
        }
        if (begins && byte == '%') {
            return skald_fail(reterr_error, SKALD_EINVALID, "%s:%u: a line may not begin with %%",
                              path, line);
        }
        begins = byte == '\n' || byte == '\r';
        line += byte == '\n';
    }
    return SKALD_OK;
}

skald_err ski_config_yaml(ski_config *config, const char *path, skald_str text,
                          skald_error *reterr_error)
{
    struct fy_diag_cfg diag_cfg = {0};
    struct fy_parse_cfg parse_cfg = {.flags = FYPCF_DEFAULT_PARSE};
    struct fy_parser *parser;
    skald_err err = SKALD_ENOMEM;

    SKALD_TRY(check_bytes(path, text, reterr_error));
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = diag_quiet;
    parse_cfg.diag = fy_diag_create(&diag_cfg);
    if (!parse_cfg.diag) return SKALD_ENOMEM;
    fy_diag_set_collect_errors(parse_cfg.diag, true);
    parser = fy_parser_create(&parse_cfg);
    if (parser && fy_parser_set_string(parser, text.ptr, text.len) == 0)
        err = read_text(config, path, parser, parse_cfg.diag, reterr_error);
    fy_parser_destroy(parser);
    fy_diag_destroy(parse_cfg.diag);
    return err;
}

skald_err ski_config_file(ski_config *config, const char *path, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = file_bytes_max};
    skald_err err = ski_kernel_read_file(&ski_kernel_system, path, &buf, reterr_error);

    if (!err && buf.len) err = ski_config_yaml(config, path, ski_buf_str(&buf), reterr_error);
    skald_buf_fini(&buf);
    return err;
}
