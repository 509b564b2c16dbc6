#include "token/replay.h"

#include <string.h>

#define ENTRIES 8
#define TRIES 64                         /* each lost one is somebody else's success */
#define AHEAD_MAX ((apr_int64_t)1 << 30) /* seconds: half of what a difference of two ends can tell */

/* An entry is one word, so that it is always whole: tag << 32 | end.
 * tag  32 bits of the digest, besides those that choose the bucket; what agrees in both is taken for a second use
 * end  seconds of the wall clock, rounded up, modulo 2^32, never 0; 0: the entry is empty
 *
 * The one that ends first is replaced, the lowest of equals, and only by what ends later; whether it has ended does not
 * matter. That is all that keeps a use from being admitted twice, whatever the processes do at the same time:
 * - Entries only grow. So what is replaced is still the first to end at that moment, and all others end no earlier: what is
 *   forgotten can never come back, for it would have to end later than one of them.
 * - Two that admit the same at once, each before it could see the other's entry, have the same order of entries before them,
 *   and would both replace the same one: one of them fails, and sees the other's. */
typedef struct bucket_t {
    apr_uint64_t entries[ENTRIES];
} bucket_t;

struct mcp_replay_t {
    apr_uint32_t mask;
    char unused[sizeof(bucket_t) - sizeof(apr_uint32_t)]; /* a bucket is one cache line */
    bucket_t buckets[];
};

/* A use as it is remembered; now: the second in which it is judged. */
typedef struct use_t {
    apr_int64_t end, now;
    apr_uint64_t word;
} use_t;

static int at_least_one(int buckets)
{
    return buckets > 1 ? buckets : 1;
}

apr_size_t mcp_replay_bytes(int buckets)
{
    return sizeof(mcp_replay_t) + (apr_size_t)at_least_one(buckets) * sizeof(bucket_t);
}

void mcp_replay_init(mcp_replay_t *replay, int buckets)
{
    memset(replay, 0, mcp_replay_bytes(buckets));
    replay->mask = (apr_uint32_t)at_least_one(buckets) - 1;
}

/* Where a digest is remembered, and as what. */
static bucket_t *find_bucket(use_t *use, mcp_replay_t *replay, const unsigned char *digest, apr_time_t until,
                             apr_time_t now)
{
    apr_uint32_t index, tag, end;

    memcpy(&index, digest, sizeof(index));
    memcpy(&tag, digest + sizeof(index), sizeof(tag));
    use->now = apr_time_sec(now);
    use->end = apr_time_sec(until) + (apr_time_usec(until) > 0);
    end = (apr_uint32_t)use->end;
    use->word = (apr_uint64_t)tag << 32 | (end ? end : 1);
    return &replay->buckets[index & replay->mask];
}

/* When an entry ends, by its distance from a time that is not far: the 32 bits may have wrapped round in between. */
static apr_int64_t end_of(apr_uint64_t entry, apr_int64_t near)
{
    return entry ? near + (apr_int32_t)((apr_uint32_t)entry - (apr_uint32_t)near) : 0;
}

/* The index of the entry to be replaced, *pentry being what it holds; -1 when the use is known, or ends no later than all
 * others. In one pass: nothing may come in between the two questions. */
static int find_place(apr_uint64_t *pentry, const bucket_t *bucket, const use_t *use)
{
    apr_int64_t first = use->end;
    int i, place = -1;

    for (i = 0; i < ENTRIES; i++) {
        /* A compiler builtin and not APR's, which has no 64 bits in places and which a thread sanitizer cannot see into. */
        apr_uint64_t entry = __atomic_load_n(&bucket->entries[i], __ATOMIC_SEQ_CST);
        apr_int64_t end = end_of(entry, use->end);

        if (end > use->now && entry >> 32 == use->word >> 32) {
            return -1;
        }
        if (end < first) {
            first = end;
            place = i;
            *pentry = entry;
        }
    }
    return place;
}

int mcp_replay_admit(mcp_replay_t *replay, const unsigned char digest[32], apr_time_t until, apr_time_t now)
{
    use_t use;
    bucket_t *bucket = find_bucket(&use, replay, digest, until, now);
    int i;

    if (until <= now || now < 0 || use.end - use.now > AHEAD_MAX) {
        return 0;
    }
    for (i = 0; i < TRIES; i++) {
        apr_uint64_t entry = 0;
        int place = find_place(&entry, bucket, &use);

        if (place < 0) {
            return 0;
        }
        if (__atomic_compare_exchange_n(&bucket->entries[place], &entry, use.word, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            return 1;
        }
    }
    return 0;
}
