/* fuzz_http.c - any bytes, in any pieces, as what a client sends to a replica's HTTP port: what comes back is nothing
 * or begins as an answer does, with a code that the handlers give, and when the client has gone nothing is left of its
 * connection.
 *
 * The first byte chooses the size of the pieces. libmicrohttpd parses; replica/run/http.c is what is tested. The pages
 * are stand-ins. */
#include "base/check.h"
#include "replica/run/http.h"
#include "tests/fuzz/loopback.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t render(void *context, struct buffer *body)
{
    (void)context;
    buffer_printf(body, "page\n");
    return 200;
}

static const struct http_page pages[] = {{.path = "/livez", .type = "text/plain", .render = render},
                                         {.path = "/metrics", .type = "text/plain", .keep_ms = 200, .render = render}};

static bool nobody(void *context)
{
    return http_connections(context) == 0;
}

static void check_answer(const struct buffer *got)
{
    static const char *const codes[] = {"200", "400", "404", "405", "413", "414",
                                        "431", "500", "501", "503", "505", "100"};
    if (got->len == 0) return;
    CHECK(got->len >= 12 && memcmp(got->data, "HTTP/1.", 7) == 0);
    bool known = false;
    for (uint32_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        known = known || memcmp(got->data + 9, codes[i], 3) == 0;
    CHECK(known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http *http;
    static struct ev_loop *loop;
    static uint16_t port;
    struct buffer got = {0};
    if (http == NULL) {
        char address[32];
        loop = loopback_loop();
        port = loopback_free_port();
        (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
        const struct err e = http_start(loop, address, pages, sizeof pages / sizeof pages[0], NULL, &http);
        CHECK(!err_is(&e));
    }
    if (size < 1) return 0;
    loopback_talk(loop, port, bytes_of(data + 1, size - 1), 1 + (size_t)data[0] * (size_t)data[0], &got);
    check_answer(&got);
    CHECK(loopback_wait(loop, nobody, http));
    buffer_free(&got);
    return 0;
}
