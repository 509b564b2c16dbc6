#include "httpd/introspect.h"

#include <ap_mpm.h>
#include <http_log.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "httpd/await.h"
#include "httpd/socache.h"
#include "token/cache.h"
#include "token/flight.h"

APLOG_USE_MODULE(mcp_oauth);

#define INACTIVE_MAX 4096 /* inactive tokens that are remembered: apart, so no flood drives out good ones */
#define INACTIVE_LIFE apr_time_from_sec(10) /* at most: a token may become active */
#define RECENT_MAX 128
#define RECENT_LIFE apr_time_from_sec(2) /* until all who flew together have their verdicts in the cache of verdicts */
#define PROBE apr_time_from_sec(2)       /* for metadata that is only to tell the method of authentication */
#define RETRY_DISCOVERY apr_time_from_sec(60) /* after metadata that did not help */
#define SLACK apr_time_from_sec(1)
#define STOP_GRACE apr_time_from_sec(2)
#define WELL_FOR apr_time_from_sec(10)  /* a server that worked so lately is not down because it stumbles at a token */
#define PAUSE_MAX apr_time_from_sec(60) /* that a client is told */

/* Where an issuer is asked, as this process found it out. */
typedef struct found_t {
    mcp_endpoint_t endpoint; /* url NULL: nothing is known */
    apr_time_t until;        /* monotonic: not asked for again before */
    char url[MCP_LIMIT_NAME + 1];
} found_t;

/* Set once per child. */
static struct {
    mcp_flights_t *flights;
    mcp_cache_t *inactive;
    mcp_cache_t *recent;      /* recent_t: who comes right after a landing must not call again */
    apr_thread_mutex_t *lock; /* guards found */
    found_t *found;           /* by index of the issuer */
    apr_time_t stopping;      /* monotonic: when it was first seen that the process ends; atomic */
} running;

/* What a flight brings. The text follows. */
typedef struct outcome_t {
    mcp_status_t status; /* MCP_OK, MCP_TOKEN_INACTIVE, MCP_INTROSPECTION_UNAVAILABLE */
    int crowded;
    int is_new; /* an answer that the shared cache does not have yet */
    apr_interval_time_t retry_after;
    apr_time_t until; /* wall clock */
    apr_size_t len;
} outcome_t;

/* An active answer of just now. The text follows. */
typedef struct recent_t {
    mcp_cache_entry_t entry;
    apr_size_t len;
    char text[];
} recent_t;

/* One request's question. */
typedef struct question_t {
    request_rec *r;
    mcp_issuer_t *issuer;
    const mcp_trust_t *trust;
    const char *token;
    apr_size_t len;
    apr_time_t asked;                      /* wall clock */
    unsigned char id[MCP_SEAL_ID_BYTES];   /* in the shared cache */
    unsigned char mine[MCP_SEAL_ID_BYTES]; /* in this process: another section about the issuer may ask otherwise */
    apr_pool_t *p;                         /* of its own: the request may become a stream that lives for days */
} question_t;

apr_status_t mcp_introspect_start(apr_pool_t *p)
{
    apr_status_t rv = mcp_flights_create(&running.flights, p);

    running.stopping = 0;
    if (rv == APR_SUCCESS) {
        rv = mcp_cache_create(&running.inactive, INACTIVE_MAX, INACTIVE_LIFE, p);
    }
    if (rv == APR_SUCCESS) {
        rv = mcp_cache_create(&running.recent, RECENT_MAX, RECENT_LIFE, p);
    }
    running.found = apr_pcalloc(p, (mcp_issuers_count() + 1) * sizeof(found_t));
    return rv == APR_SUCCESS ? apr_thread_mutex_create(&running.lock, APR_THREAD_MUTEX_DEFAULT, p) : rv;
}

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return a < b ? a : b;
}

/* A call must not hold up the end of the process for long, and one that takes its usual time should still have its answer. */
static int stopping(void *unused)
{
    apr_time_t now = mcp_clock_monotonic(), none = 0;
    int state;

    if (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) != APR_SUCCESS || state != AP_MPMQ_STOPPING) {
        return 0;
    }
    __atomic_compare_exchange_n(&running.stopping, &none, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return now - __atomic_load_n(&running.stopping, __ATOMIC_SEQ_CST) > STOP_GRACE;
}

/* --- what was answered lately ------------------------------------------------------------------------------------- */

static int inactive_known(const question_t *question)
{
    mcp_cache_entry_t *entry;

    return question->issuer->introspection_ttl &&
           mcp_cache_get(&entry, running.inactive, question->mine, apr_time_now(), question->p) == MCP_OK;
}

static void inactive_remember(const question_t *question, apr_time_t until)
{
    mcp_cache_entry_t *entry = calloc(1, sizeof(*entry));

    if (entry) {
        entry->not_after = until;
        entry->until = until;
        entry->size = sizeof(*entry);
        mcp_cache_put(&entry, running.inactive, question->mine, entry, apr_time_now(), question->p);
    }
}

static int recent_get(outcome_t *outcome, const char **ptext, const question_t *question)
{
    mcp_cache_entry_t *entry;
    const recent_t *recent;

    if (!question->issuer->introspection_ttl ||
        mcp_cache_get(&entry, running.recent, question->mine, apr_time_now(), question->p) != MCP_OK) {
        return 0;
    }
    recent = (const recent_t *)entry;
    outcome->status = MCP_OK;
    outcome->until = entry->until;
    outcome->len = recent->len;
    *ptext = recent->text;
    return 1;
}

static void recent_remember(const question_t *question, const outcome_t *outcome, const char *text)
{
    recent_t *recent = malloc(sizeof(*recent) + outcome->len);
    mcp_cache_entry_t *entry;

    if (recent) {
        memset(recent, 0, sizeof(*recent));
        recent->entry.not_after = recent->entry.until = outcome->until;
        recent->entry.size = sizeof(*recent) + outcome->len;
        recent->len = outcome->len;
        memcpy(recent->text, text, outcome->len);
        mcp_cache_put(&entry, running.recent, question->mine, &recent->entry, apr_time_now(), question->p);
    }
}

/* --- where to ask ------------------------------------------------------------------------------------------------- */

static found_t *found_of(const mcp_issuer_t *issuer)
{
    int i;

    for (i = 0; i < mcp_issuers_count() && mcp_issuer_at(i) != issuer; i++)
        ;
    return &running.found[i];
}

/* What is known already; 1 if it need not be asked for. */
static int found_get(mcp_endpoint_t *endpoint, const mcp_issuer_t *issuer, apr_pool_t *p)
{
    found_t *found = found_of(issuer);
    int fresh;

    apr_thread_mutex_lock(running.lock);
    fresh = mcp_clock_monotonic() < found->until;
    *endpoint = found->endpoint;
    endpoint->url = found->endpoint.url ? apr_pstrdup(p, found->endpoint.url) : NULL;
    apr_thread_mutex_unlock(running.lock);
    return fresh;
}

static void found_set(const mcp_endpoint_t *endpoint, const mcp_issuer_t *issuer, apr_interval_time_t life)
{
    found_t *found = found_of(issuer);

    apr_thread_mutex_lock(running.lock);
    found->until = mcp_clock_monotonic() + life;
    if (endpoint) {
        found->endpoint.auth = endpoint->auth;
    }
    if (endpoint && endpoint->url && strlen(endpoint->url) < sizeof(found->url)) {
        apr_cpystrn(found->url, endpoint->url, sizeof(found->url));
        found->endpoint.url = found->url;
    }
    apr_thread_mutex_unlock(running.lock);
}

/* By configuration, what the metadata said, or what it says now. NULL, or the reason why it is not known. */
static const char *endpoint_find(mcp_endpoint_t *endpoint, const question_t *question)
{
    const mcp_issuer_t *issuer = question->issuer;
    mcp_keysource_t source = issuer->source;
    mcp_endpoint_t discovered = { 0 };
    const char *reason = NULL;
    int absent = 0;

    *endpoint = issuer->endpoint;
    if (endpoint->url && endpoint->auth != MCP_CLIENT_AUTH_AUTO) {
        return NULL;
    }
    if (!found_get(&discovered, issuer, question->p)) {
        if (endpoint->url && source.timeout > PROBE) {
            source.timeout = PROBE;
        }
        reason = mcp_endpoint_discover(&discovered, &absent, &source, mcp_http_curl(), stopping, NULL, question->p);
        /* Metadata may name the methods alone. */
        found_set(reason && !absent ? NULL : &discovered, issuer,
                  !reason                   ? issuer->bounds.max
                  : endpoint->url || absent ? RETRY_DISCOVERY
                                            : 0);
        found_get(&discovered, issuer, question->p); /* what was good serves on */
    }
    if (endpoint->auth == MCP_CLIENT_AUTH_AUTO) {
        endpoint->auth = discovered.auth;
    }
    endpoint->url = endpoint->url ? endpoint->url : discovered.url;
    return endpoint->url ? NULL : reason ? reason : "the metadata names no introspection_endpoint";
}

/* --- the call ----------------------------------------------------------------------------------------------------- */

/* Does an answer of no use say that the server does not work? Some he gives for the sake of this very token, which anybody
 * may have sent, and others of which nobody knows: they count unless he worked lately. */
static int is_down(const mcp_introspection_t *answer, const mcp_breaker_t *breaker, apr_time_t now)
{
    switch (answer->http) {
    case 0:
    case HTTP_UNAUTHORIZED:
    case HTTP_REQUEST_TIME_OUT:
    case HTTP_TOO_MANY_REQUESTS:
    case HTTP_BAD_GATEWAY:
    case HTTP_SERVICE_UNAVAILABLE:
    case HTTP_GATEWAY_TIME_OUT:
        return 1;
    default:
        return answer->http >= 500 && now - mcp_breaker_well(breaker) > WELL_FOR;
    }
}

/* What happened to the calls, once per change. */
static void breaker_note(const question_t *question, const mcp_introspection_t *answer)
{
    mcp_issuer_t *issuer = question->issuer;
    mcp_breaker_t *breaker = issuer->breaker;
    apr_time_t now = mcp_clock_monotonic();

    if (answer->status == MCP_INTROSPECTION_UNAVAILABLE && !answer->http && stopping(NULL)) {
        return; /* it was us who ended the call */
    }
    if (answer->status == MCP_INTROSPECTION_UNAVAILABLE && !is_down(answer, breaker, now)) {
        mcp_breaker_passed(breaker);
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, question->r,
                      "MCP0335: issuer %s: introspection of this token failed: %s", issuer->conf->name, answer->reason);
        return;
    }
    if (answer->status != MCP_INTROSPECTION_UNAVAILABLE) {
        if (mcp_breaker_succeeded(breaker, now)) {
            ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, question->r, "MCP0331: issuer %s: introspection works again",
                          issuer->conf->name);
        }
        return;
    }
    if (mcp_breaker_failed(breaker, now, answer->retry_after)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, question->r,
                      "MCP0330: issuer %s: introspection fails, calls pause: %s", issuer->conf->name, answer->reason);
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, question->r, "MCP0334: issuer %s: introspection failed: %s",
                      issuer->conf->name, answer->reason);
    }
}

static void call(mcp_introspection_t *answer, const question_t *question)
{
    mcp_issuer_t *issuer = question->issuer;
    mcp_endpoint_t endpoint;
    mcp_token_lack_t lack;
    apr_time_t ignored;

    memset(answer, 0, sizeof(*answer));
    memset(&lack, 0, sizeof(lack));
    answer->status = MCP_INTROSPECTION_UNAVAILABLE;
    answer->reason = endpoint_find(&endpoint, question);
    if (!answer->reason) {
        apr_time_t began = mcp_clock_monotonic();

        mcp_introspection_call(answer, &lack, issuer->introspector, &endpoint, question->trust, question->token,
                               question->len, mcp_http_curl(), stopping, NULL, apr_time_now(), question->p);
        mcp_calls_ended(issuer->calls, mcp_clock_monotonic() - began, answer->status != MCP_INTROSPECTION_UNAVAILABLE);
    }
    if (lack.kid && issuer->slot) { /* of a signed answer: its key is fetched for the next one */
        mcp_demand_ask(&issuer->slot->demand, lack.kid, mcp_clock_monotonic(), &ignored);
    }
    breaker_note(question, answer);
}

/* As long as the configuration allows, and not beyond exp. */
static apr_time_t until_of(const question_t *question, const mcp_introspection_t *answer)
{
    apr_time_t until = question->asked + question->issuer->introspection_ttl;

    if (answer->status != MCP_OK) {
        return earlier(until, question->asked + INACTIVE_LIFE);
    }
    return answer->exp ? earlier(until, answer->exp) : until;
}

static void shared_put(const question_t *question, const outcome_t *outcome, const char *text)
{
    mcp_sealed_t sealed = { outcome->status, outcome->until, text, outcome->len };
    const unsigned char *data;
    apr_size_t len;

    if (outcome->until > apr_time_now() &&
        mcp_seal_close(&data, &len, &sealed, question->id, question->issuer->seal_key, question->p)) {
        mcp_socache_put(data, len, question->id, outcome->until, question->r->server, question->p);
    }
}

static int shared_get(outcome_t *outcome, const char **ptext, const question_t *question)
{
    apr_size_t len = MCP_LIMIT_SHARED + MCP_SEAL_OVERHEAD;
    unsigned char *data = apr_palloc(question->p, len);
    apr_time_t now = apr_time_now();
    mcp_sealed_t sealed;

    if (!question->issuer->introspection_ttl ||
        !mcp_socache_get(data, &len, question->id, question->r->server, question->p) ||
        !mcp_seal_open(&sealed, data, len, question->id, question->issuer->seal_key, question->p) ||
        sealed.until <= now) {
        return 0;
    }
    outcome->status = sealed.status;
    outcome->until = earlier(sealed.until, now + question->issuer->introspection_ttl); /* it may be longer elsewhere */
    outcome->len = sealed.len;
    *ptext = sealed.text;
    return 1;
}

/* With a place among those who wait. */
static void ask(outcome_t *outcome, const char **ptext, const question_t *question)
{
    mcp_introspection_t answer;

    call(&answer, question);
    outcome->status = answer.status;
    outcome->retry_after = earlier(answer.retry_after, PAUSE_MAX);
    outcome->is_new = answer.status != MCP_INTROSPECTION_UNAVAILABLE;
    outcome->until = until_of(question, &answer);
    outcome->len = answer.len;
    *ptext = answer.text;
}

/* The pilot's part: the shared cache, else a call if one may be made now. */
static void fly(outcome_t *outcome, const char **ptext, const question_t *question)
{
    const mcp_issuer_t *issuer = question->issuer;
    apr_interval_time_t limit = 2 * issuer->introspector->timeout + SLACK;
    mcp_place_t place;
    apr_time_t now;

    memset(outcome, 0, sizeof(*outcome));
    outcome->status = MCP_INTROSPECTION_UNAVAILABLE;
    *ptext = NULL;
    /* Once more: somebody may have landed between the look and the boarding. */
    if (inactive_known(question)) {
        outcome->status = MCP_TOKEN_INACTIVE;
        mcp_calls_cached(issuer->calls);
        return;
    }
    if (recent_get(outcome, ptext, question) || shared_get(outcome, ptext, question)) {
        mcp_calls_cached(issuer->calls);
        return;
    }
    now = mcp_clock_monotonic();
    if (!mcp_await_enter(&place, now, now + limit)) {
        outcome->crowded = 1;
        return;
    }
    if (mcp_breaker_allows(issuer->breaker, now, limit)) {
        ask(outcome, ptext, question);
    }
    else {
        outcome->retry_after = earlier(mcp_breaker_until(issuer->breaker) - now, PAUSE_MAX);
    }
    mcp_await_leave(&place);
}

/* --- all who want the same ---------------------------------------------------------------------------------------- */

static void pilot(mcp_flight_t *flight, const question_t *question)
{
    outcome_t outcome;
    const char *text;
    char *cargo;

    fly(&outcome, &text, question);
    if (outcome.status == MCP_TOKEN_INACTIVE && outcome.until > apr_time_now()) {
        inactive_remember(question, outcome.until);
    }
    else if (outcome.status == MCP_OK && outcome.is_new && outcome.len <= MCP_LIMIT_SHARED &&
             outcome.until > apr_time_now()) {
        recent_remember(question, &outcome, text);
    }
    cargo = apr_palloc(question->p, sizeof(outcome) + outcome.len);
    memcpy(cargo, &outcome, sizeof(outcome));
    if (outcome.len) {
        memcpy(cargo + sizeof(outcome), text, outcome.len);
    }
    mcp_flight_land(flight, cargo, sizeof(outcome) + outcome.len);
    if (outcome.is_new) { /* whoever waits must not wait for that */
        shared_put(question, &outcome, text);
    }
}

/* Who did not call waits for the one who does, if there is a place left. */
static int arrive(mcp_flight_t *flight, const question_t *question, const void **pcargo, apr_size_t *plen,
                  int *pcrowded)
{
    apr_time_t now = mcp_clock_monotonic();
    apr_interval_time_t limit = 2 * question->issuer->introspector->timeout + SLACK;
    mcp_place_t place;
    int landed = mcp_flight_wait(flight, 0, pcargo, plen);

    if (landed) {
        return 1;
    }
    if (!mcp_await_enter(&place, now, now + limit)) {
        *pcrowded = 1;
        return 0;
    }
    landed = mcp_flight_wait(flight, limit, pcargo, plen);
    mcp_await_leave(&place);
    return landed;
}

static mcp_status_t judge(mcp_token_t **ptoken, apr_time_t *puntil, mcp_request_t *request, const question_t *question,
                          const void *cargo)
{
    apr_interval_time_t life;
    outcome_t outcome;

    memcpy(&outcome, cargo, sizeof(outcome));
    request->crowded = outcome.crowded;
    request->retry_after = outcome.retry_after > 0 ? (int)apr_time_sec(outcome.retry_after + APR_USEC_PER_SEC - 1) : 0;
    *puntil = earlier(outcome.until, question->asked + question->issuer->introspection_ttl);
    if (outcome.status != MCP_OK) {
        return outcome.status;
    }
    life = question->issuer->introspection_ttl ? question->issuer->introspection_ttl : SLACK;
    return mcp_introspection_judge(ptoken, (const char *)cargo + sizeof(outcome), outcome.len, question->trust, life,
                                   apr_time_now(), question->r->pool);
}

mcp_status_t mcp_introspect(mcp_token_t **ptoken, apr_time_t *puntil, request_rec *r, mcp_request_t *request,
                            mcp_issuer_t *issuer, const mcp_trust_t *trust, const char *token, apr_size_t len)
{
    question_t question = {
        .r = r, .issuer = issuer, .trust = trust, .token = token, .len = len, .asked = apr_time_now()
    };
    mcp_status_t status = MCP_INTROSPECTION_UNAVAILABLE;
    const void *cargo = NULL;
    mcp_flight_t *flight;
    apr_size_t size = 0;
    int is_pilot, i;

    if (!mcp_seal_id(question.id, issuer->seal_key, token, len)) {
        return MCP_INTERNAL;
    }
    memcpy(question.mine, question.id, sizeof(question.mine));
    for (i = 0; i < (int)sizeof(issuer); i++) {
        question.mine[i] ^= ((const unsigned char *)&issuer)[i];
    }
    apr_pool_create(&question.p, r->pool);
    if (inactive_known(&question)) {
        status = MCP_TOKEN_INACTIVE;
        mcp_calls_cached(issuer->calls);
    }
    else if ((flight = mcp_flight_board(running.flights, question.mine, &is_pilot))) {
        if (is_pilot) {
            pilot(flight, &question);
        }
        if (arrive(flight, &question, &cargo, &size, &request->crowded) && cargo && size >= sizeof(outcome_t)) {
            status = judge(ptoken, puntil, request, &question, cargo);
        }
        mcp_flight_leave(flight);
    }
    apr_pool_destroy(question.p);
    return status;
}
