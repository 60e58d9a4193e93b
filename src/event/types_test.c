// SPDX-License-Identifier: Apache-2.0
// The registry of names: one type, many names; what belongs to another is refused; looking goes on
// while names are added; and the contracts made of it.
#include "event/types.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "os/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// What the macros of typed.h make, by hand: this floor does not know them.
typedef struct paid {
    skald_str payer;
    skald_money amount;
    struct {
        bool has;
        skald_date value;
    } due;
} paid;

static const skald_record *paid_record(void)
{
    static const skald_field fields[] = {
        {"payer", offsetof(paid, payer), offsetof(paid, payer), SKALD_TEXT, SKALD_PERSONAL, NULL,
         NULL},
        {"amount", offsetof(paid, amount), offsetof(paid, amount), SKALD_MONEY, 0, NULL, NULL},
        {"due-on", offsetof(paid, due.value), offsetof(paid, due), SKALD_DATE, SKALD_OPTIONAL, NULL,
         NULL},
    };
    static const skald_record record = {"paid", sizeof(paid), 3, fields};

    return &record;
}

static const skald_event_type *paid_type(void)
{
    static const skald_event_type type = {.name = "invoice.paid",
                                          .record = paid_record,
                                          .version = 3,
                                          .aliases = "INVOICE_PAID InvoicePaidEvent"};

    return &type;
}

static const skald_event_type *typing_type(void)
{
    static const skald_event_type type = {
        .name = "user.typing", .record = paid_record, .version = 1, .transient = true};

    return &type;
}

static skald_event_type_fn *const declared[] = {paid_type, typing_type, NULL};

typedef struct world {
    skald_types *types;
    skald_arena *arena;
    skald_error error;
} world;

static int setup(void **state)
{
    world *of = ski_alloc_zeroed(1, sizeof(*of));

    *state = of;
    return !of || skald_types_new(0, &of->types) || skald_arena_new(4 << 20, &of->arena);
}

static int teardown(void **state)
{
    world *of = *state;

    skald_types_free(of->types);
    skald_arena_free(of->arena);
    ski_free(of);
    return 0;
}

static skald_err put(world *of, const char *type, const char *one, const char *two)
{
    const skald_str aliases[] = {skald_str_of(one), skald_str_of(two)};

    of->error = (skald_error){0};
    return skald_types_put(of->types, skald_str_of(type),
                           (skald_texts){aliases, (size_t)(one ? two ? 2 : 1 : 0)}, &of->error);
}

static void is_named(const world *of, const char *any, const char *dotted)
{
    skald_str name = skald_types_name(of->types, skald_str_of(any));

    if (!skald_str_equal(name, skald_str_of(dotted)))
        fail_msg("%s is %.*s, not %s", any, SKALD_FMT(name), dotted ? dotted : "unknown");
}

static void every_name_means_the_type(void **state)
{
    world *of = *state;

    assert_int_equal(put(of, "user.login", "USER_LOGIN", "UserLoggedInEvent"), SKALD_OK);
    is_named(of, "user.login", "user.login");
    is_named(of, "USER_LOGIN", "user.login");
    is_named(of, "UserLoggedInEvent", "user.login");
    is_named(of, "USER_LOGI", NULL);
    is_named(of, "", NULL);
    // More names later, and the same again.
    assert_int_equal(put(of, "user.login", "USER_LOGIN", "login"), SKALD_OK);
    is_named(of, "login", "user.login");
    is_named(of, "UserLoggedInEvent", "user.login");
}

static void a_name_belongs_to_one_type(void **state)
{
    world *of = *state;

    assert_int_equal(put(of, "user.login", "USER_LOGIN", NULL), SKALD_OK);
    assert_int_equal(put(of, "user.left", "FREE", "USER_LOGIN"), SKALD_EEXISTS);
    assert_string_equal(of->error.text, "'USER_LOGIN' is another name of the type 'user.login'");
    assert_string_equal(of->error.field, "aliases");
    is_named(of, "user.left", NULL); // all or nothing
    is_named(of, "FREE", NULL);
    assert_int_equal(put(of, "USER_LOGIN", NULL, NULL), SKALD_EEXISTS);
    assert_string_equal(of->error.field, "type");
    assert_int_equal(put(of, "user.left", "user.login", NULL), SKALD_EEXISTS);
    assert_string_equal(of->error.text,
                        "'user.login' is a type of its own and cannot be another name of "
                        "'user.left'");
}

static void bad_names_are_refused(void **state)
{
    static const char *const bad[] = {"", "a b", ".a", "a.", "a.*", "a\n", "\xff"};
    world *of = *state;
    char longest[SKALD_TYPE_NAME_BYTES_MAX + 2];

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(put(of, bad[i], NULL, NULL), SKALD_EINVALID);
        assert_string_equal(of->error.field, "type");
        assert_int_equal(put(of, "fine", bad[i], NULL), SKALD_EINVALID);
        assert_string_equal(of->error.field, "aliases");
    }
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    assert_int_equal(put(of, longest, NULL, NULL), SKALD_EINVALID);
    longest[sizeof(longest) - 2] = 0;
    assert_int_equal(put(of, longest, NULL, NULL), SKALD_OK);
}

static void limits_are_kept(void **state)
{
    world *of = *state;
    skald_types *small = NULL;
    char name[16];

    for (int i = 0; i < SKALD_TYPE_ALIASES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "A%d", i);
        assert_int_equal(put(of, "a.b", name, NULL), SKALD_OK);
    }
    assert_int_equal(put(of, "a.b", "A0", "one_more"), SKALD_EINVALID);
    is_named(of, "one_more", NULL);
    assert_int_equal(skald_types_new(3, &small), SKALD_OK);
    skald_types *kept = of->types;

    of->types = small;
    assert_int_equal(put(of, "a", "A", "B"), SKALD_OK);
    assert_int_equal(put(of, "c", NULL, NULL), SKALD_EFULL);
    assert_int_equal(put(of, "a", "A", "B"), SKALD_OK);
    of->types = kept;
    skald_types_free(small);
}

static void declared_types_are_known(void **state)
{
    static skald_event_type_fn *const again[] = {paid_type, NULL};
    world *of = *state;
    ski_type_look look = {0};

    assert_int_equal(skald_types_add(of->types, declared, NULL), SKALD_OK);
    assert_int_equal(skald_types_add(of->types, again, NULL), SKALD_OK);
    is_named(of, "InvoicePaidEvent", "invoice.paid");
    assert_true(ski_types_look(of->types, SKALD_STR("user.typing"), &look) && look.transient);
    assert_true(ski_types_look(of->types, SKALD_STR("INVOICE_PAID"), &look) && !look.transient);
    assert_int_equal(put(of, "user.login", "INVOICE_PAID", NULL), SKALD_EEXISTS);
}

static void they_are_listed_by_name(void **state)
{
    world *of = *state;
    const skald_type_row *rows = NULL;
    size_t count = 0;

    assert_int_equal(skald_types_add(of->types, declared, NULL), SKALD_OK);
    assert_int_equal(put(of, "a.b", "AB", NULL), SKALD_OK);
    assert_int_equal(skald_types_list(of->types, of->arena, &rows, &count), SKALD_OK);
    assert_int_equal(count, 3);
    assert_true(skald_str_equal(rows[0].name, SKALD_STR("a.b")));
    assert_null(rows[0].declared);
    assert_int_equal(rows[0].aliases.count, 1);
    assert_ptr_equal(rows[1].declared, paid_type());
    assert_int_equal(rows[1].version_count, 1);
    assert_int_equal(rows[1].versions[0], 3);
    assert_true(skald_str_equal(rows[1].aliases.items[1], SKALD_STR("InvoicePaidEvent")));
    assert_true(rows[2].transient);
}

static void filters_mean_every_name(void **state)
{
    static const skald_str asked[] = {SKALD_STR("USER_LOGIN"), SKALD_STR("order.*"),
                                      SKALD_STR("company.*"), SKALD_STR("other"),
                                      SKALD_STR("user.login")};
    static const char *const meant[] = {"user.login", "USER_LOGIN",      "order.*",
                                        "company.*",  "bedrift.created", "company.created",
                                        "other"};
    const skald_filter filter = {.types = {asked, 5}, .tenant = SKALD_STR("t")};
    world *of = *state;
    skald_filter resolved;

    assert_int_equal(put(of, "user.login", "USER_LOGIN", NULL), SKALD_OK);
    assert_int_equal(put(of, "bedrift.created", "company.created", NULL), SKALD_OK);
    assert_int_equal(put(of, "order.placed", "company", NULL), SKALD_OK);
    assert_int_equal(skald_types_resolve(of->types, &filter, 100, of->arena, &resolved, &of->error),
                     SKALD_OK);
    assert_int_equal(resolved.types.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_true(skald_str_equal(resolved.types.items[i], skald_str_of(meant[i])));
    assert_true(skald_str_equal(resolved.tenant, filter.tenant));
    assert_int_equal(skald_types_resolve(of->types, &filter, 6, of->arena, &resolved, &of->error),
                     SKALD_ETOOBIG);
    const skald_filter all = {0};

    assert_int_equal(skald_types_resolve(of->types, &all, 0, of->arena, &resolved, NULL), SKALD_OK);
    assert_int_equal(resolved.types.count, 0);
}

static void strict_says_what_was_meant(void **state)
{
    world *of = *state;

    assert_int_equal(put(of, "user.login", "USER_LOGIN", NULL), SKALD_OK);
    assert_int_equal(ski_types_admit(of->types, SKALD_STR("nobody.knows"), NULL), SKALD_OK);
    skald_types_strict(of->types, true);
    assert_int_equal(ski_types_admit(of->types, SKALD_STR("USER_LOGIN"), NULL), SKALD_OK);
    assert_int_equal(ski_types_admit(of->types, SKALD_STR("system.error"), NULL), SKALD_OK);
    assert_int_equal(ski_types_admit(of->types, SKALD_STR("user.logn"), &of->error),
                     SKALD_EINVALID);
    assert_string_equal(of->error.text, "no type 'user.logn' is known; did you mean 'user.login'?");
    assert_int_equal(ski_types_admit(of->types, SKALD_STR("nobody.knows"), &of->error),
                     SKALD_EINVALID);
    assert_non_null(strstr(of->error.text, "PUT /api/types/nobody.knows"));
    skald_types_strict(of->types, false);
    assert_int_equal(ski_types_admit(of->types, SKALD_STR("user.logn"), NULL), SKALD_OK);
    assert_null(skald_types_closest(of->types, SKALD_STR("")).ptr);
}

static skald_err refuse(void *context, const skald_type_row *row)
{
    world *of = context;

    assert_int_equal(row->aliases.count, 2); // what there is and what would be
    is_named(of, "B", NULL);
    return SKALD_EREADONLY;
}

static void what_cannot_be_kept_is_not_so(void **state)
{
    static const skald_str alias[] = {SKALD_STR("B")};
    world *of = *state;
    ski_type_change asked = {
        .type = SKALD_STR("a.b"), .aliases = {alias, 1}, .keep = refuse, .context = of};

    assert_int_equal(put(of, "a.b", "A", NULL), SKALD_OK);
    assert_int_equal(ski_types_change(of->types, &asked, &of->error), SKALD_EREADONLY);
    is_named(of, "B", NULL);
}

static void memory_may_run_out(void **state)
{
    world *of = *state;
    char name[32];

    for (int i = 0; i < 200; i++) { // over several tables
        (void)snprintf(name, sizeof(name), "type.%d", i);
        for (uint64_t n = 1;; n++) {
            ski_alloc_fail_at(n);
            skald_err err = put(of, name, name + 5, NULL);

            ski_alloc_fail_at(0);
            if (!err) break;
            assert_int_equal(err, SKALD_ENOMEM);
            is_named(of, name, NULL);
        }
    }
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "type.%d", i);
        is_named(of, name + 5, name);
    }
}

// Looking goes on, on other threads, while thousands of names are added.

enum { threads = 3, added = 3000 };

typedef struct race {
    skald_types *types;
    _Atomic int done; // names up to here are there
    _Atomic int wrong;
} race;

static void race_look(void *context)
{
    race *of = context;
    char name[32], alias[32];
    int seen;

    do {
        seen = atomic_load(&of->done);
        for (int i = seen > 50 ? seen - 50 : 0; i < seen; i++) {
            (void)snprintf(name, sizeof(name), "type.%d", i);
            (void)snprintf(alias, sizeof(alias), "ALIAS_%d", i);
            if (!skald_str_equal(skald_types_name(of->types, skald_str_of(alias)),
                                 skald_str_of(name)))
                atomic_store(&of->wrong, 1);
        }
    } while (seen < added);
}

static void looking_needs_no_lock(void **state)
{
    world *of = *state;
    race shared = {.types = of->types};
    const ski_kernel *kernel = &ski_kernel_system;
    ski_thread running[threads];

    for (int i = 0; i < threads; i++)
        assert_int_equal(kernel->spawn(NULL, "looker", race_look, &shared, &running[i]), SKALD_OK);
    for (int i = 0; i < added; i++) {
        char name[32], alias[32];

        (void)snprintf(name, sizeof(name), "type.%d", i);
        (void)snprintf(alias, sizeof(alias), "ALIAS_%d", i);
        assert_int_equal(put(of, name, alias, NULL), SKALD_OK);
        atomic_store(&shared.done, i + 1);
    }
    for (int i = 0; i < threads; i++) kernel->join(NULL, running[i]);
    assert_int_equal(shared.wrong, 0);
}

// Contracts.

static const char schema[] =
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
    "\"$id\":\"urn:skald:type:invoice.paid:3\",\"title\":\"invoice.paid\",\"type\":\"object\","
    "\"properties\":{\"payer\":{\"type\":\"string\",\"x-personal\":true},"
    "\"amount\":{\"type\":\"object\",\"properties\":{"
    "\"amount\":{\"type\":\"string\",\"pattern\":\"^-?[0-9]+([.][0-9]+)?$\"},"
    "\"currency\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{3}$\"}},"
    "\"required\":[\"amount\",\"currency\"],\"additionalProperties\":false},"
    "\"due-on\":{\"anyOf\":[{\"type\":\"string\",\"format\":\"date\"},{\"type\":\"null\"}]}},"
    "\"required\":[\"payer\",\"amount\"]}";

static void a_type_has_its_contracts(void **state)
{
    skald_buf buf = {.bytes_max = 1 << 16};

    (void)state;
    assert_int_equal(skald_type_write(paid_type(), SKALD_JSON_SCHEMA, &buf), SKALD_OK);
    assert_int_equal(buf.len, sizeof(schema) - 1);
    assert_memory_equal(buf.ptr, schema, buf.len);
    buf.len = 0;
    assert_int_equal(skald_type_write(paid_type(), SKALD_TYPESCRIPT, &buf), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, 0), SKALD_OK);
    assert_string_equal(buf.ptr, "/** invoice.paid, version 3 */\n"
                                 "export interface InvoicePaid {\n"
                                 "  /** personal */ payer: string;\n"
                                 "  amount: Money;\n"
                                 "  \"due-on\"?: string | null;\n"
                                 "}\n");
    buf.len = 0;
    assert_int_equal(skald_type_write(paid_type(), SKALD_ASYNCAPI, &buf), SKALD_OK);
    assert_int_equal(ski_json_door_check(ski_buf_str(&buf), false, NULL), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, 0), SKALD_OK);
    assert_non_null(strstr(buf.ptr, "\"name\":\"invoice.paid\""));
    assert_non_null(strstr(buf.ptr, "\"x-aliases\":[\"INVOICE_PAID\",\"InvoicePaidEvent\"]"));
    skald_buf_fini(&buf);
}

static void all_types_have_theirs(void **state)
{
    static const skald_contract contracts[] = {SKALD_JSON_SCHEMA, SKALD_ASYNCAPI};
    world *of = *state;
    skald_buf buf = {.bytes_max = 1 << 20};

    assert_int_equal(skald_types_add(of->types, declared, NULL), SKALD_OK);
    assert_int_equal(put(of, "odd/\"name\"", "ODD", NULL), SKALD_OK);
    for (size_t i = 0; i < 2; i++) {
        buf.len = 0;
        assert_int_equal(skald_types_write(of->types, contracts[i], &buf), SKALD_OK);
        assert_int_equal(ski_json_door_check(ski_buf_str(&buf), false, &of->error), SKALD_OK);
    }
    buf.len = 0;
    assert_int_equal(skald_types_write(of->types, SKALD_TYPESCRIPT, &buf), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, 0), SKALD_OK);
    assert_non_null(strstr(buf.ptr, "  \"invoice.paid\": InvoicePaid;\n"));
    assert_non_null(strstr(buf.ptr, "  \"odd/\\\"name\\\"\": unknown;\n"));
    assert_non_null(strstr(buf.ptr, "  \"INVOICE_PAID\": \"invoice.paid\",\n"));
    skald_buf_fini(&buf);
    for (size_t max = 1; max < 2000; max += 97) {
        skald_buf small = {.bytes_max = max};

        for (int i = SKALD_JSON_SCHEMA; i <= SKALD_TYPESCRIPT; i++) {
            skald_err err = skald_types_write(of->types, (skald_contract)i, &small);

            assert_true(err == SKALD_OK || err == SKALD_EFULL);
            if (err) assert_int_equal(small.len, 0);
            small.len = 0;
        }
        skald_buf_fini(&small);
    }
}

static void dates_are_days(void **state)
{
    static const struct {
        const char *text;
        skald_date date;
    } cases[] = {{"1970-01-01", 0},
                 {"1969-12-31", -1},
                 {"2000-02-29", 11016},
                 {"0001-01-01", -719162},
                 {"9999-12-31", 2932896}};
    static const char *const bad[] = {"2001-02-29", "2001-1-01", "2001-01-01Z", "", "0000-01-01"};
    char text[SKALD_DATE_TEXT + 1];
    skald_date date;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(skald_date_parse(skald_str_of(cases[i].text), &date), SKALD_OK);
        assert_int_equal(date, cases[i].date);
        assert_true(skald_date_print(date, text));
        assert_string_equal(text, cases[i].text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(skald_date_parse(skald_str_of(bad[i]), &date), SKALD_EINVALID);
    assert_false(skald_date_print(-719163, text));
    assert_false(skald_date_print(2932897, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_name_means_the_type, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_belongs_to_one_type, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_names_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(declared_types_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(they_are_listed_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(filters_mean_every_name, setup, teardown),
        cmocka_unit_test_setup_teardown(strict_says_what_was_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_kept_is_not_so, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out, setup, teardown),
        cmocka_unit_test_setup_teardown(looking_needs_no_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(a_type_has_its_contracts, setup, teardown),
        cmocka_unit_test_setup_teardown(all_types_have_theirs, setup, teardown),
        cmocka_unit_test(dates_are_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
