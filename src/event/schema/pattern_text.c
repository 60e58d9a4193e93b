// SPDX-License-Identifier: Apache-2.0
// A pattern of ECMA-262 (with its u flag) written as PCRE2 reads it.
//
// What means the same is copied; what differs is spelt out ('.', \s, \u, [^]); what PCRE2 knows and
// ECMA-262 does not (verbs, recursion, possessive repeats, \A, \Z, inline options) is refused, for
// a schema must mean here what it means elsewhere.
#include "event/schema/pattern.h"

#include "base/buf.h"
#include "base/hex.h"

#include <string.h>

// White space of ECMA-262 and everything else, as they stand in a class.
#define SPACES                                                                  \
    "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}" \
    "\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NOT_SPACES                                                                   \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}" \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"   \
    "\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

typedef struct translation {
    skald_str text;
    size_t at;
    skald_buf *buf;
    skald_error *error;
    bool repeatable; // what stands before may be repeated
} translation;

// The long names of general categories; PCRE2 knows the short ones only.
static const char *const categories[][2] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"LC", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

static skald_err refuse(const translation *in, const char *why)
{
    return skald_fail(in->error, SKALD_EINVALID,
                      "not a regular expression of ECMA-262: %s, at byte %zu of '%.*s'", why,
                      in->at, (int)(in->text.len > 80 ? 80 : in->text.len), in->text.ptr);
}

// peek is the byte so far ahead, 0 behind the end. A pattern may hold NUL, which nothing here
// takes for more than itself.
static char peek(const translation *in, size_t ahead)
{
    return in->at + ahead < in->text.len ? in->text.ptr[in->at + ahead] : 0;
}

static bool left(const translation *in)
{
    return in->at < in->text.len;
}

static skald_err put(const translation *in, const char *text)
{
    return skald_buf_put(in->buf, skald_str_of(text));
}

// read_hex reads count digits; false: there are not so many.
static bool read_hex(translation *in, size_t count, uint32_t *ret_code)
{
    uint32_t code = 0;

    for (size_t i = 0; i < count; i++) {
        int digit = ski_hex_digit(peek(in, i));

        if (digit < 0) return false;
        code = code << 4 | (uint32_t)digit;
    }
    in->at += count;
    *ret_code = code;
    return true;
}

// put_unicode translates what stands behind \u: four digits, a pair of surrogates, or {...}.
static skald_err put_unicode(translation *in)
{
    uint32_t code = 0, low = 0;
    size_t digits = 0;

    if (peek(in, 0) == '{') {
        while (ski_hex_digit(peek(in, digits + 1)) >= 0) digits++;
        in->at++;
        if (!digits || digits > 6 || !read_hex(in, digits, &code) || peek(in, 0) != '}')
            return refuse(in, "\\u{ needs up to six hexadecimal digits and }");
        in->at++;
    } else if (!read_hex(in, 4, &code)) {
        return refuse(in, "\\u needs four hexadecimal digits");
    }
    if (code >= 0xd800 && code < 0xdc00 && peek(in, 0) == '\\' && peek(in, 1) == 'u') {
        in->at += 2;
        if (!read_hex(in, 4, &low) || low < 0xdc00 || low > 0xdfff)
            return refuse(in, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return refuse(in, "that is no character");
    return ski_buf_print(in->buf, "\\x{%x}", code);
}

// put_property translates \p{...} or \P{...} from behind its letter.
static skald_err put_property(translation *in, char letter)
{
    const char *name = in->text.ptr + in->at + 1;
    const char *end = left(in) ? memchr(name, '}', in->text.len - in->at - 1) : NULL;
    size_t len;
    const char *equals;
    const char *kind = "";

    if (peek(in, 0) != '{' || !end || end == name) return refuse(in, "\\p needs {a property}");
    len = (size_t)(end - name);
    in->at += len + 2;
    for (size_t i = 0; i < len; i++)
        if (!strchr("=_", name[i]) && ski_hex_digit(name[i]) < 0 &&
            !((name[i] | 0x20) >= 'a' && (name[i] | 0x20) <= 'z'))
            return refuse(in, "a property's name has letters, digits and _ only");
    equals = memchr(name, '=', len);
    if (equals) {
        skald_str key = {name, (size_t)(equals - name)};
        if (skald_str_equal(key, SKALD_STR("scx")) ||
            skald_str_equal(key, SKALD_STR("Script_Extensions")))
            kind = "scx:";
        else if (skald_str_equal(key, SKALD_STR("sc")) || skald_str_equal(key, SKALD_STR("Script")))
            kind = "sc:";
        else if (!skald_str_equal(key, SKALD_STR("gc")) &&
                 !skald_str_equal(key, SKALD_STR("General_Category")))
            return refuse(in, "no such kind of property");
        name = equals + 1;
        len = (size_t)(end - name);
    }
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
        if (skald_str_equal(skald_str_of(categories[i][0]), (skald_str){name, len}))
            return ski_buf_print(in->buf, "\\%c{%s}", letter, categories[i][1]);
    }
    return ski_buf_print(in->buf, "\\%c{%s%.*s}", letter, kind, (int)len, name);
}

static skald_err put_literal(translation *in, char byte)
{
    if (byte && strchr("\\^$.[]|()?*+{}-/&~#", byte)) SKALD_TRY(ski_buf_byte(in->buf, '\\'));
    return ski_buf_byte(in->buf, byte);
}

// put_escape translates the escape at at, in a class or outside.
static skald_err put_escape(translation *in, bool in_class)
{
    char letter = peek(in, 1);
    uint32_t code = 0;

    if (in->at + 1 >= in->text.len) return refuse(in, "a \\ at the end");
    in->at += 2;
    switch (letter) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 'f':
    case 'n':
    case 'r':
    case 't': return ski_buf_print(in->buf, "\\%c", letter);
    case 'v': return put(in, "\\x0b"); // PCRE2's \v is a class
    case 's': return put(in, in_class ? SPACES : "[" SPACES "]");
    case 'S': return put(in, in_class ? NOT_SPACES : "[^" SPACES "]");
    case 'b': return put(in, in_class ? "\\x08" : "\\b");
    case 'B':
        if (in_class) break;
        return put(in, "\\B");
    case 'u': return put_unicode(in);
    case 'x':
        if (!read_hex(in, 2, &code)) return refuse(in, "\\x needs two hexadecimal digits");
        return ski_buf_print(in->buf, "\\x{%x}", code);
    case 'c':
        letter = (char)(peek(in, 0) | 0x20);
        if (letter < 'a' || letter > 'z') return refuse(in, "\\c needs a letter");
        in->at++;
        return ski_buf_print(in->buf, "\\x{%x}", (unsigned)(letter & 0x1f));
    case 'p':
    case 'P': return put_property(in, letter);
    case '0':
        if (peek(in, 0) >= '0' && peek(in, 0) <= '9') break;
        return put(in, "\\x{0}");
    case 'k':
        if (in_class || peek(in, 0) != '<') break;
        return put(in, "\\k");
    default:
        if (letter >= '1' && letter <= '9' && !in_class) {
            SKALD_TRY(ski_buf_print(in->buf, "\\g{%c", letter));
            while (peek(in, 0) >= '0' && peek(in, 0) <= '9')
                SKALD_TRY(ski_buf_byte(in->buf, in->text.ptr[in->at++]));
            return ski_buf_byte(in->buf, '}');
        }
        if ((letter >= '0' && letter <= '9') || ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z'))
            break;
        if ((unsigned char)letter >= 0x80) return ski_buf_byte(in->buf, letter);
        return put_literal(in, letter);
    }
    in->at -= 2;
    return refuse(in, "an escape that does not exist");
}

static skald_err put_class(translation *in)
{
    bool negated = peek(in, 1) == '^';

    in->at += negated ? 2 : 1;
    if (peek(in, 0) == ']' && left(in)) {
        in->at++;
        return put(in, negated ? "[\\x{0}-\\x{10ffff}]" : "(?!)");
    }
    SKALD_TRY(put(in, negated ? "[^" : "["));
    while (left(in) && peek(in, 0) != ']') {
        char byte = peek(in, 0);

        if (byte == '\\') {
            SKALD_TRY(put_escape(in, true));
            continue;
        }
        in->at++;
        if (byte == '-')
            SKALD_TRY(ski_buf_byte(in->buf, byte));
        else
            SKALD_TRY(put_literal(in, byte));
    }
    if (!left(in)) return refuse(in, "a [ without its ]");
    in->at++;
    return ski_buf_byte(in->buf, ']');
}

// put_group translates "(" and what kind of group it opens.
static skald_err put_group(translation *in)
{
    char third = peek(in, 2), fourth = peek(in, 3);

    if (peek(in, 1) == '*') return refuse(in, "nothing to repeat");
    if (peek(in, 1) != '?') {
        in->at++;
        return ski_buf_byte(in->buf, '(');
    }
    if (third == ':' || third == '=' || third == '!') {
        in->at += 3;
        return ski_buf_print(in->buf, "(?%c", third);
    }
    if (third == '<' && (fourth == '=' || fourth == '!')) {
        in->at += 4;
        return ski_buf_print(in->buf, "(?<%c", fourth);
    }
    if (third == '<') {
        in->at += 3;
        return put(in, "(?<");
    }
    return refuse(in, "a group of a kind that does not exist");
}

// repeat_len is the length of {n}, {n,} or {n,m} at at; 0: it is none.
static size_t repeat_len(const translation *in)
{
    size_t len = 1, digits = 0;

    for (; peek(in, len) >= '0' && peek(in, len) <= '9'; len++) digits++;
    if (!digits) return 0;
    if (peek(in, len) == ',')
        for (len++; peek(in, len) >= '0' && peek(in, len) <= '9';) len++;
    return peek(in, len) == '}' ? len + 1 : 0;
}

// put_repeat copies a quantifier of len bytes, and the ? that makes it lazy.
static skald_err put_repeat(translation *in, size_t len)
{
    if (!in->repeatable) return refuse(in, "nothing to repeat");
    SKALD_TRY(skald_buf_put(in->buf, (skald_str){in->text.ptr + in->at, len}));
    in->at += len;
    if (peek(in, 0) == '?') {
        in->at++;
        SKALD_TRY(ski_buf_byte(in->buf, '?'));
    }
    in->repeatable = false;
    return SKALD_OK;
}

static skald_err put_next(translation *in)
{
    char byte = peek(in, 0);
    size_t len;

    if (byte == '*' || byte == '+' || byte == '?') return put_repeat(in, 1);
    if (byte == '{' && (len = repeat_len(in)) != 0) return put_repeat(in, len);
    in->repeatable = byte != '(' && byte != '|' && byte != '^';
    switch (byte) {
    case '\\': return put_escape(in, false);
    case '[': return put_class(in);
    case '(': return put_group(in);
    case '.': in->at++; return put(in, "[^\\n\\r\\x{2028}\\x{2029}]");
    case '{':
    case '}':
    case ']': in->at++; return put_literal(in, byte);
    default: in->at++; return ski_buf_byte(in->buf, byte);
    }
}

skald_err ski_pattern_translate(skald_str text, skald_buf *buf, skald_error *reterr_error)
{
    translation in = {.text = text, .buf = buf, .error = reterr_error};

    while (left(&in)) SKALD_TRY(put_next(&in));
    return SKALD_OK;
}
