// SPDX-License-Identifier: Apache-2.0
// bench/bench.h - what the rows share: time, work folders, processes, a load of HTTP requests.
//
// A row measures skald and a peer in one run, on the same work with the same guarantees, and fills
// a result. Rows talk on standard error; the one line on standard output is main's.
#ifndef SKALD_BENCH_BENCH_H
#define SKALD_BENCH_BENCH_H

#include <skald/skald.h>

typedef struct bench_result {
    const char *unit; // of ours and peer
    const char *peer_name;
    double ours, peer;
    bool smaller_is_better; // then the ratio is peer/ours
} bench_result;

// A row returns false, having said why, when it or its peer cannot run.
typedef struct bench_row {
    const char *name, *what;
    bool (*run)(bench_result *ret_result);
} bench_row;
extern const bench_row *const bench_rows[]; // NULL-ended

double bench_now_s(void);
// bench_folder makes an empty folder on the disk of the build (not in memory); bench_clean removes
// all that were made.
const char *bench_folder(void);
void bench_clean(void);
void bench_note(const char *format, ...) SKALD_PRINTF(1, 2);
double bench_median(double *figures, size_t count); // sorts them

// bench_event is the n-th event of about 256 bytes as JSON: one of 1,000 streams, 10 types, chains
// of 10. The text is made in buf.
enum { BENCH_EVENT_BYTES = 320 }; // room for one
size_t bench_event_json(uint64_t n, char buf[BENCH_EVENT_BYTES]);
// bench_event_fill is the same as a struct; its texts lie in buf.
typedef struct bench_texts {
    char data[200], stream[24], correlation[24];
} bench_texts;
void bench_event_fill(uint64_t n, bench_texts *texts, skald_event *ret_event);

// bench_start runs a program whose standard output goes to a file in folder; bench_stop ends it and
// waits. 0: it cannot be run.
int bench_start(const char *folder, const char *const *argv);
void bench_stop(int process);
uint64_t bench_resident_bytes(int process);
// bench_skald starts the server that stands beside this program, over folder, and gives its port
// once it answers. 0: it cannot.
int bench_skald(const char *folder, int *ret_port);
const char *bench_skald_path(void); // of that program
int bench_free_port(void);
bool bench_wait_port(int port, double for_s);
int bench_connect(int port);          // a blocking socket, -1: none
const char *bench_root(void);         // of the sources, for the peers' programs
bool bench_program(const char *name); // is it on the PATH?

// bench_http_load asks over so many keep-alive connections, on each the next request when the last
// is answered, and gives answered requests a second; every answer must be of status. Negative: it
// went wrong.
typedef struct bench_load {
    int port;
    const char *path;
    const char *headers; // more of them, each with its CR LF; NULL: none
    bool get;            // else one event is posted with each
    int connections;
    double seconds;
    int status;
} bench_load;
double bench_http_load(const bench_load *load);
// bench_http sends one request and gives the status of its answer; what is read of that is in
// reply, with a NUL. 0: it went wrong.
int bench_http(int port, const char *method, const char *path, const char *headers,
               const char *body, char *reply, size_t reply_size);

#endif
