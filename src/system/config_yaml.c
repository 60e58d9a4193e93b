// SPDX-License-Identifier: Apache-2.0
// The YAML file: one mapping of keys to plain values. libfyaml reads it; what it says of a broken
// file is given on with its line.
#include "base/alloc.h"
#include "base/str.h"
#include "os/kernel.h"
#include "system/config.h"

#include <libfyaml.h>
#include <stdio.h>

enum { file_bytes_max = 1024 * 1024 };

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

static skald_err read_pair(ski_config *config, const char *path, struct fy_node_pair *pair,
                           skald_error *reterr_error)
{
    struct fy_node *key = fy_node_pair_key(pair);
    char where[300];
    size_t key_len = 0;
    size_t value_len = 0;
    const char *key_text = plain_text(key, &key_len);
    const char *value_text;

    if (!key_text)
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: a key must be a plain text", path);
    (void)snprintf(where, sizeof where, "%s:%d", path, line_of(key));
    value_text = plain_text(fy_node_pair_value(pair), &value_len);
    if (!value_text) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: %.*s must have one plain value", where,
                          (int)(key_len > 60 ? 60 : key_len), key_text);
    }
    return ski_config_set(config, ski_str(key_text, key_len), ski_str(value_text, value_len), where,
                          reterr_error);
}

static skald_err read_document(ski_config *config, const char *path, struct fy_document *document,
                               skald_error *reterr_error)
{
    struct fy_node *root = fy_document_root(document);
    struct fy_node_pair *pair;
    void *walk = NULL;

    if (!root) return SKALD_OK; // an empty file is a configuration of defaults
    if (!fy_node_is_mapping(root)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "%s: must be 'key: value' lines", path);
    }
    while ((pair = fy_node_mapping_iterate(root, &walk))) {
        SKALD_TRY(read_pair(config, path, pair, reterr_error));
    }
    return SKALD_OK;
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

static skald_err parse(ski_config *config, const char *path, skald_str text,
                       skald_error *reterr_error)
{
    struct fy_diag_cfg diag_cfg = {0};
    struct fy_parse_cfg parse_cfg = {.flags = FYPCF_DEFAULT_PARSE};
    struct fy_parser *parser;
    skald_err err = SKALD_ENOMEM;

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

    if (!err && buf.len) err = parse(config, path, (skald_str){buf.ptr, buf.len}, reterr_error);
    skald_buf_fini(&buf);
    return err;
}
