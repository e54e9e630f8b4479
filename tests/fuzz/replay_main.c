/* replay_main.c - runs a fuzz target over files given as arguments, for builds without libFuzzer (gcc) and for
 * regression runs over a corpus. Exit code 0 when every file was read; a broken property aborts. */
#include "base/bytes.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay(const char *path)
{
    struct buffer in = {0};
    FILE *f = fopen(path, "rb");
    if (f == NULL) return false;
    size_t got;
    do {
        uint8_t *to = buffer_reserve(&in, 65536);
        got = fread(to, 1, 65536, f);
        in.len += got;
    } while (got > 0);
    const bool good = ferror(f) == 0;
    (void)fclose(f);
    if (good) {
        struct blob *exact = blob_copy(bytes_of(in.data, in.len)); /* no spare bytes behind the end */
        (void)LLVMFuzzerTestOneInput(exact->data, exact->len);
        blob_release(exact);
    }
    buffer_free(&in);
    return good;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i])) continue;
        (void)fprintf(stderr, "replay: cannot read %s\n", argv[i]);
        bad = 1;
    }
    (void)fprintf(stderr, "replay: %d inputs\n", argc - 1);
    return bad;
}
