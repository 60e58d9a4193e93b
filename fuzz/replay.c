// SPDX-License-Identifier: Apache-2.0
// What a fuzzer is linked with where libFuzzer is not: runs it once over every file of its corpus,
// in the order of their names, so that every input that ever mattered is a test.
//
// A corpus that is missing or empty is a failure: a test of nothing must not pass. Each input lies
// in memory of exactly its size, so that the sanitizer sees a read beyond it.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { path_bytes_max = 4096, file_bytes_max = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int path_complain(const char *path, const char *text)
{
    fprintf(stderr, "replay: %s: %s\n", path, text);
    return -1;
}

// file_run gives 1 for a file that was run, 0 for what is no file, -1 when it cannot be read.
static int file_run(const char *path)
{
    struct stat status;
    FILE *file;
    uint8_t *bytes;
    size_t len;

    if (stat(path, &status) != 0) return path_complain(path, strerror(errno));
    if (!S_ISREG(status.st_mode)) return 0;
    if (status.st_size > file_bytes_max) return path_complain(path, "is larger than 16 MiB");
    file = fopen(path, "rb");
    if (!file) return path_complain(path, strerror(errno));
    len = (size_t)status.st_size;
    bytes = malloc(len ? len : 1);
    if (!bytes || fread(bytes, 1, len, file) != len) {
        free(bytes);
        fclose(file);
        return path_complain(path, "cannot be read");
    }
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, len);
    free(bytes);
    return 1;
}

// folder_run gives how many files were run, or -1.
static int folder_run(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    int ran = 0;

    if (count < 0) return path_complain(folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[path_bytes_max];
        int len = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);

        if (ran >= 0) {
            int one =
                len < path_bytes_max ? file_run(path) : path_complain(path, "too long a name");

            ran = one < 0 ? -1 : ran + one;
        }
        free(entries[i]);
    }
    free(entries);
    if (ran == 0) return path_complain(folder, "an empty corpus");
    return ran;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    int ran = folder_run(argv[1]);
    if (ran < 0) return 1;
    printf("%d inputs\n", ran);
    return 0;
}
