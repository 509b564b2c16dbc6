/* In front of each file with mutants: which of them is switched on. MUTANT_FILE is its name, MUTANT_PLACES their number at most.
 * With MUTANT_ONLY, one is on for good. */
#ifdef MUTANT_ONLY
#define MUTANT(i) (MUTANT_ONLY == (i))
#else
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int mutant_on;
/* A shared mapping: children that end by _exit or a signal leave their traces, too. */
static unsigned char *mutant_seen;

__attribute__((constructor)) static void mutant_start(void)
{
    const char *which = getenv("MCP_MUTANT"), *dir = getenv("MCP_MUTANT_SEEN");
    size_t len = strlen(MUTANT_FILE);
    char path[4096];
    int fd;

    mutant_on =
        which && !strncmp(which, MUTANT_FILE, len) && which[len] == ':' ? (int)strtol(which + len + 1, NULL, 10) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0); /* the first check that fails is seen at once */
    if (dir && snprintf(path, sizeof(path), "%s/%s", dir, MUTANT_FILE) > 0 &&
        (fd = open(path, O_RDWR | O_CREAT, 0600)) >= 0) {
        void *map = ftruncate(fd, MUTANT_PLACES) ? MAP_FAILED
                                                 : mmap(NULL, MUTANT_PLACES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        mutant_seen = map == MAP_FAILED ? NULL : map;
        close(fd);
    }
}

static inline int mutant_is(int i)
{
    if (mutant_seen) {
        mutant_seen[i] = 1;
    }
    return mutant_on == i;
}

#define MUTANT(i) mutant_is(i)
#endif
