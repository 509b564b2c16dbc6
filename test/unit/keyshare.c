#include "keys/keyshare.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define READERS 16
#define ROUNDS 3000

/* As processes have it: memory that a fork shares. */
static mcp_keyshare_t *share_make(void)
{
    void *memory = mmap(NULL, sizeof(mcp_keyshare_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* A text that says what it is: n times the version's letter. */
static mcp_keyrecord_t record_make(apr_uint32_t version, apr_uint32_t len, char *text)
{
    mcp_keyrecord_t record;

    memset(&record, 0, sizeof(record));
    record.version = version;
    record.len = len;
    record.fetches = version;
    memset(text, 'a' + version % 26, len);
    return record;
}

static int is_whole(const mcp_keyrecord_t *record, const char *text)
{
    apr_size_t i;

    for (i = 0; i < record->len; i++) {
        if (text[i] != (char)('a' + record->version % 26)) {
            return 0;
        }
    }
    return record->fetches == record->version;
}

static void one_after_another(apr_pool_t *p)
{
    mcp_keyshare_t *share = share_make();
    mcp_keyrecord_t record, read;
    char buffer[100], *text = buffer;

    memset(&read, 1, sizeof(read));
    OK(mcp_keyshare_serial(share) == 0, "memory of zeros has published nothing");
    OK(mcp_keyshare_read(&read, &text, share, p) == 0 && !text, "there is nothing to be read");
    OK(read.version == 0 && read.len == 0 && !read.refresh.loaded, "the record is zeroed then");

    record = record_make(1, 10, buffer);
    mcp_keyshare_publish(share, &record, buffer);
    OK(mcp_keyshare_serial(share) == 1, "the first publication");
    OK(mcp_keyshare_read(&read, &text, share, p) == 1 && text && read.len == 10 && is_whole(&read, text), "is read");
    OK(mcp_keyshare_read(&read, NULL, share, p) == 1 && read.version == 1, "also without its text");

    record = record_make(2, 0, buffer);
    mcp_keyshare_publish(share, &record, NULL);
    OK(mcp_keyshare_read(&read, &text, share, p) == 2 && !text && read.version == 2, "a record without text");

    record = record_make(3, 100, buffer);
    mcp_keyshare_publish(share, &record, buffer);
    OK(mcp_keyshare_read(&read, &text, share, p) == 3 && read.len == 100 && is_whole(&read, text), "and a longer one");

    share->serial = 0xffffffffu;
    share->copy[1] = share->copy[3 & 1];
    mcp_keyshare_publish(share, &record, buffer);
    OK(mcp_keyshare_serial(share) == 2,
       "after the last serial number comes one that means the other copy, and is not 0");
    munmap(share, sizeof(*share));
}

static void bounds(apr_pool_t *p)
{
    mcp_keyshare_t *share = share_make();
    char *large = apr_palloc(p, MCP_LIMIT_DOCUMENT), *text, url[4000], etag[400];
    mcp_keyrecord_t record = record_make(5, MCP_LIMIT_DOCUMENT, large), read;

    mcp_keyshare_publish(share, &record, large);
    OK(mcp_keyshare_read(&read, &text, share, p) && read.len == MCP_LIMIT_DOCUMENT && is_whole(&read, text),
       "R04 the longest document fits");
    share->copy[share->serial & 1].record.len = MCP_LIMIT_DOCUMENT + 1;
    OK(mcp_keyshare_read(&read, &text, share, p) && !text, "a length that cannot be gives no text");

    mcp_keyrecord_set_source(&record, "https://as/jwks", "\"1\"");
    STR_IS(record.url, "https://as/jwks", "the URL of the text");
    STR_IS(record.etag, "\"1\"", "and its tag");
    memset(etag, 'e', sizeof(etag));
    etag[256] = '\0';
    mcp_keyrecord_set_source(&record, "https://as/jwks", etag);
    OK(!*record.url && !*record.etag, "a tag of 256 bytes is not kept: half of one would match nothing");
    etag[255] = '\0';
    mcp_keyrecord_set_source(&record, "https://as/jwks", etag);
    STR_IS(record.etag, etag, "one of 255 is");
    memset(url, 'u', sizeof(url));
    url[2048] = '\0';
    mcp_keyrecord_set_source(&record, url, "\"1\"");
    OK(!*record.url && !*record.etag, "nor is the tag of a URL that is too long");
    mcp_keyrecord_set_source(&record, "https://as/jwks", NULL);
    OK(!*record.url && !*record.etag, "no tag");
    mcp_keyrecord_set_error(&record, url);
    OK(strlen(record.error) == sizeof(record.error) - 1, "a long reason is cut");
    mcp_keyrecord_set_error(&record, NULL);
    STR_IS(record.error, "", "and taken back");
    munmap(share, sizeof(*share));
}

typedef struct race_t {
    mcp_keyshare_t *share;
    int done;
    apr_uint32_t reads, torn, back;
} race_t;

static void *read_on(void *data)
{
    race_t *race = data;
    apr_uint32_t last = 0;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    while (!__atomic_load_n(&race->done, __ATOMIC_ACQUIRE)) {
        mcp_keyrecord_t record;
        char *text;
        apr_uint32_t serial = mcp_keyshare_read(&record, &text, race->share, p);

        __atomic_add_fetch(&race->torn, !is_whole(&record, text), __ATOMIC_RELAXED);
        __atomic_add_fetch(&race->back, serial < last, __ATOMIC_RELAXED);
        __atomic_add_fetch(&race->reads, 1, __ATOMIC_RELAXED);
        last = serial;
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

/* Readers look at a copy while it is written over, find that out by the serial, and look again: a race on purpose. */
static void publications_are_whole(apr_pool_t *p)
{
    race_t race = { .share = share_make() };
    char *text = apr_palloc(p, 8192);
    pthread_t threads[READERS];
    apr_uint32_t i;

    for (i = 0; i < READERS; i++) {
        pthread_create(&threads[i], NULL, read_on, &race);
    }
    for (i = 1; i <= ROUNDS || __atomic_load_n(&race.reads, __ATOMIC_RELAXED) < READERS; i++) {
        mcp_keyrecord_t record = record_make(i, 1 + i * 37 % 8192, text);
        mcp_keyshare_publish(race.share, &record, text);
        if (i % 16 == 0) {
            usleep(100);
        }
    }
    __atomic_store_n(&race.done, 1, __ATOMIC_RELEASE);
    for (i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    OK(race.reads >= READERS, "K12 %d threads read while others were published", READERS);
    OK(race.torn == 0, "K12 what they read was whole");
    OK(race.back == 0, "K12 and never older than before");
    munmap(race.share, sizeof(*race.share));
}

/* Kills a writer again and again: what it published last must stand. */
static void writer_is_killed(apr_pool_t *p)
{
    mcp_keyshare_t *share = share_make();
    char *buffer = apr_palloc(p, 65536), *text;
    mcp_keyrecord_t record;
    int i, whole = 0, status;

    for (i = 0; i < 20; i++) {
        apr_uint32_t serial = mcp_keyshare_serial(share);
        pid_t pid = fork();

        if (!pid) {
            apr_uint32_t version = mcp_keyshare_serial(share);
            for (;;) {
                version++;
                record = record_make(version, 65536 - version % 100, buffer);
                mcp_keyshare_publish(share, &record, buffer);
            }
        }
        while (mcp_keyshare_serial(share) == serial) {
            usleep(100);
        }
        usleep(500 + i * 37);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        whole += mcp_keyshare_read(&record, &text, share, p) && is_whole(&record, text);
    }
    OK(whole == 20, "R13 what a killed writer published before is whole");
    munmap(share, sizeof(*share));
}

static void test(apr_pool_t *p)
{
    one_after_another(p);
    bounds(p);
    publications_are_whole(p);
    writer_is_killed(p);
}
