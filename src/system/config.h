// SPDX-License-Identifier: Apache-2.0
// system/config.h - the configuration: one table of settings (settings.def), filled from a preset,
// a YAML file, the environment and the caller, in that order.
#ifndef SKI_SYSTEM_CONFIG_H
#define SKI_SYSTEM_CONFIG_H

#include <skald/system.h>

enum {
    SKI_CONFIG_TEXT_MAX = 1024,       // bytes of one text, its end included
    SKI_CONFIG_LIST_MAX = 4096,       // of a list: its items with a comma between each two
    SKI_CONFIG_SHOWN_MAX = 4096 + 32, // of any value as people read it
    SKI_CONFIG_ORIGIN_MAX = SKI_CONFIG_TEXT_MAX + 16,
    SKI_CONFIG_VARIABLE_MAX = 80,
    SKI_CONFIG_GIVEN_MAX = 64, // settings of the caller
};

// What stands in settings.def.
typedef enum ski_kind { SKI_KIND_TEXT, SKI_KIND_CHOICE, SKI_KIND_NUMBER, SKI_KIND_LIST } ski_kind;
typedef enum ski_unit { SKI_UNIT_ONE, SKI_UNIT_BYTES, SKI_UNIT_MS, SKI_UNIT_SECONDS } ski_unit;
enum {
    SKI_FLAG_0 = 0,
    SKI_FLAG_RELOADS = 1, // taken anew while the server runs
    SKI_FLAG_URL = 2,     // may hold a password, which is not shown; KEY_file names a file with it
    SKI_FLAG_HOST = 6,    // such a URL, of which no more than the host is shown
};

// Where a value came from; the later one wins.
typedef enum ski_source {
    SKI_SOURCE_DEFAULT,
    SKI_SOURCE_PRESET,
    SKI_SOURCE_FILE,
    SKI_SOURCE_ENVIRONMENT,
    SKI_SOURCE_OPTION
} ski_source;
typedef struct ski_origin {
    ski_source source;
    uint32_t line;    // of the file
    bool secret_file; // the value stands in the file that KEY_file names
} ski_origin;

typedef struct ski_setting {
    const char *key, *otherwise, *takes, *meaning;
    size_t offset;
    ski_kind kind;
    ski_unit unit;
    unsigned flags;
    uint64_t min, max;
} ski_setting;

enum {
#define SETTING(member, ...) SKI_SETTING_##member,
#include "system/settings.def"
    SKI_SETTINGS
};

typedef char ski_config_text[SKI_CONFIG_TEXT_MAX];
typedef char ski_config_list[SKI_CONFIG_LIST_MAX]; // "a,b"
typedef char ski_config_choice[32];

// ski_config is every setting of a server, in the unit its name ends with.
typedef struct ski_config {
#define SKI_MEMBER_TEXT ski_config_text
#define SKI_MEMBER_CHOICE ski_config_choice
#define SKI_MEMBER_NUMBER uint64_t
#define SKI_MEMBER_LIST ski_config_list
#define SETTING(member, kind, ...) SKI_MEMBER_##kind member;
#include "system/settings.def"
    ski_config_text file; // that was read; empty: none
    ski_origin origins[SKI_SETTINGS];
} ski_config;

// ski_config_load fills ret_config. Fails: INVALID (the text begins with file and line, the
// variable, or the option), NOTFOUND (the file), IO.
skald_err ski_config_load(const skald_system_options *options, ski_config *ret_config,
                          skald_error *reterr_error) SKALD_CHECK;

// ski_config_stray walks over the environment for variables that nobody reads but that look like
// one that is read: a slip of the pen. Zero walk first. False: there are no more.
bool ski_config_stray(size_t *walk, char ret_name[SKI_CONFIG_VARIABLE_MAX],
                      char ret_meant[SKI_CONFIG_VARIABLE_MAX]);

// ski_config_file reads a YAML file into config; ski_config_yaml its text, path being its name for
// people. A key may stand once.
skald_err ski_config_file(ski_config *config, const char *path, skald_error *reterr_error)
    SKALD_CHECK;
skald_err ski_config_yaml(ski_config *config, const char *path, skald_str text,
                          skald_error *reterr_error) SKALD_CHECK;

// ski_config_describe writes one setting as an object of JSON, for people elsewhere. now: what it
// is since it was changed while the server runs; NULL: what the configuration says.
skald_err ski_config_describe(const ski_config *config, size_t index, const char *now,
                              skald_buf *buf) SKALD_CHECK;

// setting.c: the table, and one value.
extern const ski_setting ski_settings[SKI_SETTINGS]; // in the order of settings.def
// ski_config_put gives one setting by its key (or by KEY_file); where is put before what is wrong
// with it. A value that is empty is fine where the default is.
skald_err ski_config_put(ski_config *config, skald_str key, skald_str value, ski_origin origin,
                         const char *where, skald_error *reterr_error) SKALD_CHECK;
// ski_config_setting finds a setting; false: there is none of that key. file_named: the key was
// KEY_file.
bool ski_config_setting(skald_str key, size_t *ret_index, bool *ret_file_named);
skald_err ski_setting_put(const ski_setting *setting, ski_config *config, skald_str value,
                          const char *where, skald_error *reterr_error) SKALD_CHECK;
// ski_setting_text writes a value as a file would have it, secrets and all. ski_setting_shown as
// people may see it. ski_setting_same: two configurations agree on it.
void ski_setting_text(const ski_setting *setting, const ski_config *config,
                      char ret_text[SKI_CONFIG_SHOWN_MAX]);
void ski_setting_shown(const ski_setting *setting, const ski_config *config,
                       char ret_text[SKI_CONFIG_SHOWN_MAX]);
bool ski_setting_same(const ski_setting *setting, const ski_config *a, const ski_config *b);
void ski_list_spaced(const ski_config_list list, ski_config_list ret_list); // "a,b" is "a b"
void ski_number_text(ski_unit unit, uint64_t number, char ret_text[SKI_CONFIG_SHOWN_MAX]);
void ski_setting_variable(const ski_setting *setting, char ret_name[SKI_CONFIG_VARIABLE_MAX]);
void ski_setting_origin(const ski_config *config, size_t index,
                        char ret_text[SKI_CONFIG_ORIGIN_MAX]);
// ski_setting_blame puts before the text of an error, which may be NULL, where the settings it is
// about were given: file and line, or the variable. Those of the command line and defaults are left
// out; with SKI_SETTINGS as other there is but one. Returns err.
skald_err ski_setting_blame(const ski_config *config, size_t one, size_t other, skald_err err,
                            skald_error *error);
// ski_setting_distance is how many letters two names differ by.
unsigned ski_setting_distance(skald_str a, skald_str b);
// ski_setting_meant is the key that is most like one nobody knows; NULL: none is.
const char *ski_setting_meant(skald_str key);

#endif
