// SPDX-License-Identifier: Apache-2.0
// What the engines share: ids, keys, records, sizes.
#include "engine.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool bench_peers(const bench_engine *ret_peers[BENCH_PEERS])
{
    static const bench_engine *const peers[BENCH_PEERS] = {&bench_engine_sqlite, &bench_engine_lmdb,
                                                           &bench_engine_rocksdb};

    for (int i = 0; i < BENCH_PEERS; i++) {
        if (!peers[i]->open) {
            bench_note("built without %s; make bench-deps installs it, then build again",
                       peers[i]->name);
            return false;
        }
        ret_peers[i] = peers[i];
    }
    return true;
}

skald_uuid bench_number_id(uint64_t n)
{
    skald_uuid id = {{0x01, 0x92, 0, 0, 0, 0, 0x70, 0, 0x80}};

    n++; // none is zero
    for (int i = 0; i < 6; i++) id.bytes[15 - i] = (uint8_t)(n >> (8 * i));
    return id;
}

void bench_see(bench_seen *seen, const void *bytes, size_t len)
{
    seen->events++;
    seen->bytes += len ? len + ((const unsigned char *)bytes)[len - 1] : 0;
}

void bench_see_record(bench_seen *seen, const char *bytes, size_t len)
{
    size_t at = 2 * sizeof(uint64_t) + sizeof(skald_uuid);

    seen->events++;
    while (at + sizeof(uint16_t) <= len) {
        uint16_t text_len;

        memcpy(&text_len, bytes + at, sizeof text_len);
        at += sizeof text_len + text_len;
        seen->bytes += (uint64_t)text_len + (unsigned char)bytes[at - 1];
    }
}

// record_make writes an event as one value; returns its length.
static size_t record_make(uint64_t n, const skald_event *event, char bytes[BENCH_RECORD_BYTES])
{
    const skald_str texts[] = {event->type, event->stream, event->correlation_id, event->data};
    uint64_t numbers[2] = {n / BENCH_STREAMS + 1, (uint64_t)event->occurred_at};
    size_t len = sizeof numbers;

    memcpy(bytes, numbers, sizeof numbers);
    memcpy(bytes + len, event->id.bytes, sizeof event->id.bytes);
    len += sizeof event->id.bytes;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint16_t text_len = (uint16_t)texts[i].len;

        memcpy(bytes + len, &text_len, sizeof text_len);
        memcpy(bytes + len + sizeof text_len, texts[i].ptr, texts[i].len);
        len += sizeof text_len + texts[i].len;
    }
    return len;
}

size_t bench_key(char kind, skald_str text, uint64_t number, char key[BENCH_KEY_BYTES])
{
    size_t len = 0;

    key[len++] = kind;
    if (text.len) memcpy(key + len, text.ptr, text.len);
    len += text.len;
    if (text.ptr) key[len++] = 0;
    for (int i = 7; i >= 0; i--) key[len++] = (char)(number >> (8 * i));
    return len;
}

skald_str bench_look_name(bench_look look, uint64_t n, bench_texts *texts)
{
    skald_event event;

    bench_event_fill(look == BENCH_CORRELATION ? n * BENCH_CHAIN : n, texts, &event);
    if (look == BENCH_STREAM) return event.stream;
    return look == BENCH_TYPE ? event.type : event.correlation_id;
}

static const char kinds[] = {[BENCH_STREAM] = 's', [BENCH_TYPE] = 't', [BENCH_CORRELATION] = 'c'};

void bench_entries_make(uint64_t n, bench_entries *ret_entries)
{
    bench_entries *entries = ret_entries;
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    event.id = bench_number_id(n);
    entries->position = n + 1;
    entries->record_len = record_make(n, &event, entries->record);
    entries->key_lens[0] =
        bench_key(kinds[BENCH_STREAM], event.stream, n / BENCH_STREAMS + 1, entries->keys[0]);
    entries->key_lens[1] = bench_key(kinds[BENCH_TYPE], event.type, n + 1, entries->keys[1]);
    entries->key_lens[2] =
        bench_key(kinds[BENCH_CORRELATION], event.correlation_id, n + 1, entries->keys[2]);
    entries->keys[3][0] = 'i';
    memcpy(entries->keys[3] + 1, event.id.bytes, sizeof event.id.bytes);
    entries->key_lens[3] = 1 + sizeof event.id.bytes;
}

size_t bench_key_first(bench_look look, uint64_t n, char key[BENCH_KEY_BYTES])
{
    bench_texts texts;

    return bench_key(kinds[look], bench_look_name(look, n, &texts), 0, key);
}

bool bench_key_under(const char *key, size_t len, const char *first, size_t first_len)
{
    return len == first_len && memcmp(key, first, first_len - sizeof(uint64_t)) == 0;
}

uint64_t bench_folder_bytes(const char *folder)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    uint64_t bytes = 0;

    while (directory && (entry = readdir(directory))) {
        char path[1024];
        struct stat status;

        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || stat(path, &status) != 0) continue;
        // Of a sparse file only what it takes.
        bytes +=
            S_ISDIR(status.st_mode) ? bench_folder_bytes(path) : (uint64_t)status.st_blocks * 512;
    }
    if (directory) (void)closedir(directory);
    return bytes;
}

uint64_t bench_events(uint64_t otherwise)
{
    const char *given = getenv("SKALD_BENCH_EVENTS");
    uint64_t events = given ? strtoull(given, NULL, 10) : 0;

    return (events ? events : otherwise) / 10000 * 10000 + (events && events < 10000 ? 10000 : 0);
}

bool bench_fill(const bench_engine *engine, void *instance, uint64_t count)
{
    static const size_t batch = 10000;

    for (uint64_t n = 0; n < count; n += batch) {
        if (engine->append(instance, n, batch)) continue;
        bench_note("%s: an append failed", engine->name);
        return false;
    }
    return true;
}
