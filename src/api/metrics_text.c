// SPDX-License-Identifier: Apache-2.0
// The text format. The two kinds differ in three things only (a counter's family has no _total, the
// end is marked, the media type), so everything is written once, in the older one, and turned into
// the newer at the end where that is asked for.
#include "api/metrics_text.h"

#include "base/buf.h"
#include "base/str.h"

skald_err ski_metric_head(const char *name, const char *help, const char *kind, skald_buf *buf)
{
    return ski_buf_print(buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

skald_err ski_metric_label(skald_str text, skald_buf *buf)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '\n') {
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("\\n")));
            continue;
        }
        if (byte == '\\' || byte == '"') SKALD_TRY(ski_buf_byte(buf, '\\'));
        SKALD_TRY(ski_buf_byte(buf, byte));
    }
    return SKALD_OK;
}

skald_err ski_metrics_write(const ski_metric *metrics, size_t count, skald_buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(ski_metric_head(metrics[i].name, metrics[i].help, metrics[i].kind, buf));
        SKALD_TRY(ski_buf_print(buf, "%s %.17g\n", metrics[i].name, metrics[i].value));
    }
    return SKALD_OK;
}

skald_err ski_metric_times(const char *name, const char *labels, const ski_histogram_seen *seen,
                           skald_buf *buf)
{
    const char *comma = labels[0] ? "," : "";
    const char *open = labels[0] ? "{" : "";
    const char *close = labels[0] ? "}" : "";
    uint64_t sum = 0;

    for (size_t i = 0; i < SKI_HISTOGRAM_BOUNDS; i++) {
        sum += seen->counts[i];
        SKALD_TRY(ski_buf_print(buf, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma,
                                (double)ski_histogram_bounds_ns[i] / 1e9, (unsigned long long)sum));
    }
    return ski_buf_print(buf,
                         "%s_bucket{%s%sle=\"+Inf\"} %llu\n%s_sum%s%s%s %.9f\n"
                         "%s_count%s%s%s %llu\n",
                         name, labels, comma, (unsigned long long)seen->all, name, open, labels,
                         close, (double)seen->sum_ns / 1e9, name, open, labels, close,
                         (unsigned long long)seen->all);
}

// family_len is how much of "# HELP name …" is kept of the name.
static size_t family_len(skald_str name)
{
    skald_str total = SKALD_STR("_total");

    if (name.len <= total.len) return name.len;
    if (!skald_str_equal(ski_str(name.ptr + name.len - total.len, total.len), total))
        return name.len;
    return name.len - total.len;
}

static skald_err open_line(skald_str line, skald_buf *buf)
{
    enum { prefix = sizeof "# HELP " - 1 };
    bool head =
        ski_str_begins(line, SKALD_STR("# HELP ")) || ski_str_begins(line, SKALD_STR("# TYPE "));

    if (head) {
        skald_str rest;
        skald_str name = ski_str_cut(ski_str(line.ptr + prefix, line.len - prefix), ' ', &rest);

        SKALD_TRY(skald_buf_put(buf, ski_str(line.ptr, prefix)));
        SKALD_TRY(skald_buf_put(buf, ski_str(name.ptr, family_len(name))));
        SKALD_TRY(ski_buf_byte(buf, ' '));
        SKALD_TRY(skald_buf_put(buf, rest));
    } else {
        SKALD_TRY(skald_buf_put(buf, line));
    }
    return ski_buf_byte(buf, '\n');
}

skald_err ski_metrics_open(skald_str text, skald_buf *buf)
{
    while (text.len) {
        skald_str rest;
        skald_str line = ski_str_cut(text, '\n', &rest);

        if (line.len) SKALD_TRY(open_line(line, buf));
        text = rest;
    }
    return skald_buf_put(buf, SKALD_STR("# EOF\n"));
}
