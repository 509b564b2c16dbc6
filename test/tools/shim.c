/* Preloaded into httpd by the functional tests: another wall clock, and another address of the host as.test.
 *
 *   MCP_SHIM_STATE=FILE LD_PRELOAD=.../shim.so httpd ...
 *
 * FILE is mapped, so the test changes it in place while httpd runs, and no call costs a descriptor. It holds
 *   8 bytes   seconds to add to the wall clock, signed, in the byte order of the machine
 *   56 bytes  the address of as.test, NUL-terminated; "fail": it cannot be resolved just now; "": nothing is changed
 * The monotonic clocks stay as they are, and so do waits until a moment of the wall clock. */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HOST "as.test"

typedef struct state_t {
    int64_t offset;
    char address[56];
} state_t;

static const volatile state_t *state;

__attribute__((constructor)) static void attach(void)
{
    const char *name = getenv("MCP_SHIM_STATE");
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(state_t), PROT_READ, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED) {
        fprintf(stderr, "shim: MCP_SHIM_STATE names no file that could be mapped\n");
        _exit(1);
    }
    close(fd);
    state = map;
}

/* Finds the function that one of these hides. Not in the constructor: others call before it has run. */
static void find(void *pfunction, const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (!function) {
        _exit(1);
    }
    memcpy(pfunction, &function, sizeof(function));
}

static int64_t offset(void)
{
    return state ? state->offset : 0;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    int rv;

    if (!real) {
        find(&real, "clock_gettime");
    }
    rv = real(id, ts);
    if (!rv && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        ts->tv_sec += offset();
    }
    return rv;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    int rv = clock_gettime(CLOCK_REALTIME, &ts);

    if (zone) {
        memset(zone, 0, sizeof(struct timezone));
    }
    if (!rv) {
        tv->tv_sec = ts.tv_sec;
        tv->tv_usec = ts.tv_nsec / 1000;
    }
    return rv;
}

time_t time(time_t *pnow)
{
    struct timespec ts = { 0 };

    clock_gettime(CLOCK_REALTIME, &ts);
    if (pnow) {
        *pnow = ts.tv_sec;
    }
    return ts.tv_sec;
}

int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict presult)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    char address[sizeof(state->address)];
    size_t i;

    find(&real, "getaddrinfo");
    if (!node || strcmp(node, HOST) || !state || !state->address[0]) {
        return real(node, service, hints, presult);
    }
    for (i = 0; i < sizeof(address); i++) {
        address[i] = state->address[i];
    }
    address[sizeof(address) - 1] = '\0';
    return strcmp(address, "fail") ? real(address, service, hints, presult) : EAI_AGAIN;
}
