#include "token/flight.h"

#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tap.h"

#define PASSENGERS 50
#define OUTCOME "the answer"

static const unsigned char key_a[MCP_FLIGHT_KEY_BYTES] = { 1, 2, 3 };
/* Of the same bucket and of another one. */
static const unsigned char key_b[MCP_FLIGHT_KEY_BYTES] = { 1, 2, 3, [MCP_FLIGHT_KEY_BYTES - 1] = 1 };
static const unsigned char key_c[MCP_FLIGHT_KEY_BYTES] = { 2, 2, 3 };

static int is_outcome(const void *data, apr_size_t len)
{
    return data && len == strlen(OUTCOME) && !memcmp(data, OUTCOME, len);
}

/* What threads share; counters with the compiler's builtins, as a thread sanitizer sees them. */
typedef struct crowd_t {
    mcp_flights_t *flights;
    apr_thread_mutex_t *gate; /* held until all threads are there */
    int calls, boarded, good, bad;
} crowd_t;

static void count(int *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static int counted(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void *APR_THREAD_FUNC passenger(apr_thread_t *thread, void *baton)
{
    crowd_t *crowd = baton;
    const void *data = NULL;
    apr_size_t len = 0;
    mcp_flight_t *flight;
    int is_pilot = -1;

    apr_thread_mutex_lock(crowd->gate);
    apr_thread_mutex_unlock(crowd->gate);
    flight = mcp_flight_board(crowd->flights, key_a, &is_pilot);
    count(&crowd->boarded);
    if (flight && is_pilot) {
        count(&crowd->calls);
        for (int i = 0; i < 10000 && counted(&crowd->boarded) < PASSENGERS; i++) {
            apr_sleep(1000);
        }
        apr_sleep(20000); /* they fall asleep */
        mcp_flight_land(flight, OUTCOME, strlen(OUTCOME));
    }
    if (flight) {
        int landed = mcp_flight_wait(flight, apr_time_from_sec(30), &data, &len);

        count(landed && is_outcome(data, len) ? &crowd->good : &crowd->bad);
        mcp_flight_leave(flight);
    }
    return NULL;
}

static void test_crowd(apr_pool_t *p)
{
    apr_thread_t *threads[PASSENGERS];
    crowd_t crowd = { 0 };
    apr_time_t since = mcp_clock_monotonic();
    apr_status_t rv;
    int i, is_pilot = -1, started = 0;
    mcp_flight_t *flight;

    OK(mcp_flights_create(&crowd.flights, p) == APR_SUCCESS && crowd.flights, "flights can be made");
    apr_thread_mutex_create(&crowd.gate, APR_THREAD_MUTEX_DEFAULT, p);
    apr_thread_mutex_lock(crowd.gate);
    for (i = 0; i < PASSENGERS; i++) {
        started += apr_thread_create(&threads[i], NULL, passenger, &crowd, p) == APR_SUCCESS;
    }
    apr_thread_mutex_unlock(crowd.gate);
    for (i = 0; i < started; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    OK(started == PASSENGERS && crowd.calls == 1, "R10 %d threads want the same: %d call", PASSENGERS, crowd.calls);
    OK(crowd.good == PASSENGERS && !crowd.bad, "R10 all of them have its outcome");
    OK(mcp_clock_monotonic() - since < apr_time_from_sec(20), "the landing wakes them, not the end of their patience");
    flight = mcp_flight_board(crowd.flights, key_a, &is_pilot);
    OK(flight && is_pilot == 1, "C01 who comes after the landing asks anew");
    mcp_flight_land(flight, NULL, 0);
    mcp_flight_leave(flight);
}

static void test_outcomes(apr_pool_t *p)
{
    mcp_flight_t *pilot, *guest;
    mcp_flights_t *flights;
    const void *data = OUTCOME;
    char outcome[] = OUTCOME;
    apr_size_t len = 99;
    int is_pilot;

    mcp_flights_create(&flights, p);
    pilot = mcp_flight_board(flights, key_a, &is_pilot);
    OK(pilot && is_pilot == 1, "the first one is the pilot");
    guest = mcp_flight_board(flights, key_a, &is_pilot);
    OK(guest == pilot && is_pilot == 0, "the second one is a guest of the same flight");
    OK(!mcp_flight_wait(guest, 0, &data, &len) && !data && !len, "before the landing there is no outcome");
    mcp_flight_land(pilot, outcome, strlen(outcome));
    outcome[0] = 'X';
    OK(mcp_flight_wait(guest, 0, &data, &len) == 1 && is_outcome(data, len), "a timeout of 0 sees what has landed");
    mcp_flight_leave(pilot);
    OK(mcp_flight_wait(guest, -1, &data, &len) == 1 && is_outcome(data, len),
       "the outcome is a copy, and stays when the pilot has left");
    mcp_flight_leave(guest);

    pilot = mcp_flight_board(flights, key_a, &is_pilot);
    guest = mcp_flight_board(flights, key_a, &is_pilot);
    mcp_flight_land(pilot, NULL, 7);
    OK(mcp_flight_wait(guest, 0, &data, &len) == 1 && !data && !len, "R11 a pilot may come with nothing");
    mcp_flight_leave(guest);
    mcp_flight_leave(pilot);

    pilot = mcp_flight_board(flights, key_a, &is_pilot);
    mcp_flight_land(pilot, "", 0);
    OK(mcp_flight_wait(pilot, 0, &data, &len) == 1 && data && !len, "an empty outcome is not none");
    mcp_flight_leave(pilot);
}

/* Late joiners: those who board while passengers of a landed flight still hold it. */
static void test_late(apr_pool_t *p)
{
    mcp_flight_t *old, *first, *second;
    mcp_flights_t *flights;
    const void *data;
    apr_size_t len;
    int is_pilot;

    mcp_flights_create(&flights, p);
    old = mcp_flight_board(flights, key_a, &is_pilot);
    mcp_flight_land(old, OUTCOME, strlen(OUTCOME));
    first = mcp_flight_board(flights, key_a, &is_pilot);
    OK(first && first != old && is_pilot == 1, "C01 a landed flight takes nobody on board");
    mcp_flight_leave(old);
    second = mcp_flight_board(flights, key_a, &is_pilot);
    OK(second == first && is_pilot == 0, "the leaving of the old one does not end the new one");
    mcp_flight_land(first, "new", 3);
    OK(mcp_flight_wait(second, 0, &data, &len) == 1 && len == 3 && !memcmp(data, "new", 3), "it has its own outcome");
    mcp_flight_leave(first);
    mcp_flight_leave(second);
}

static void test_timeout(apr_pool_t *p)
{
    apr_interval_time_t patience = apr_time_from_msec(60);
    mcp_flight_t *pilot, *guest;
    mcp_flights_t *flights;
    const void *data;
    apr_size_t len;
    apr_time_t since;
    int is_pilot;

    mcp_flights_create(&flights, p);
    pilot = mcp_flight_board(flights, key_a, &is_pilot);
    guest = mcp_flight_board(flights, key_a, &is_pilot);
    since = mcp_clock_monotonic();
    OK(!mcp_flight_wait(guest, patience, &data, &len), "R11 waiting ends without a landing");
    OK(mcp_clock_monotonic() - since >= patience, "and not before its time");
    mcp_flight_leave(guest);
    guest = mcp_flight_board(flights, key_a, &is_pilot);
    OK(guest == pilot && is_pilot == 0, "whose patience ends does not end the flight");
    mcp_flight_leave(guest);
    mcp_flight_land(pilot, NULL, 0);
    mcp_flight_leave(pilot);
}

/* A guest of one flight while another one of the same bucket lands all the time. */
typedef struct guest_t {
    mcp_flight_t *flight;
    apr_interval_time_t waited;
    int landed;
} guest_t;

static void *APR_THREAD_FUNC guest_main(apr_thread_t *thread, void *baton)
{
    guest_t *guest = baton;
    apr_time_t since = mcp_clock_monotonic();
    const void *data;
    apr_size_t len;

    guest->landed = mcp_flight_wait(guest->flight, apr_time_from_msec(100), &data, &len);
    guest->waited = mcp_clock_monotonic() - since;
    return NULL;
}

static void test_keys(apr_pool_t *p)
{
    mcp_flight_t *a, *b, *c;
    mcp_flights_t *flights;
    apr_thread_t *thread;
    apr_status_t rv;
    const void *data;
    apr_size_t len;
    guest_t guest = { 0 };
    int is_a, is_b, is_c, i;

    mcp_flights_create(&flights, p);
    a = mcp_flight_board(flights, key_a, &is_a);
    b = mcp_flight_board(flights, key_b, &is_b);
    c = mcp_flight_board(flights, key_c, &is_c);
    OK(is_a && is_b && is_c && a != b && a != c && b != c,
       "C02 other keys are other flights, also when all but the last byte is the same");
    mcp_flight_land(b, "b", 1);
    mcp_flight_land(c, "c", 1);
    OK(!mcp_flight_wait(a, 0, &data, &len), "the landing of others is not ours");
    OK(mcp_flight_wait(b, 0, &data, &len) == 1 && len == 1 && !memcmp(data, "b", 1), "each has its own outcome");
    OK(mcp_flight_wait(c, 0, &data, &len) == 1 && len == 1 && !memcmp(data, "c", 1), "each has its own outcome");
    mcp_flight_leave(b);
    mcp_flight_leave(c);

    guest.flight = a;
    apr_thread_create(&thread, NULL, guest_main, &guest, p);
    for (i = 0; i < 20; i++) {
        b = mcp_flight_board(flights, key_b, &is_b);
        mcp_flight_land(b, NULL, 0);
        mcp_flight_leave(b);
        apr_sleep(2000);
    }
    apr_thread_join(&rv, thread);
    OK(!guest.landed && guest.waited >= apr_time_from_msec(100), "neighbours that land wake nobody for good");
    mcp_flight_land(a, NULL, 0);
    mcp_flight_leave(a);
}

static void test(apr_pool_t *p)
{
    test_crowd(p);
    test_outcomes(p);
    test_late(p);
    test_timeout(p);
    test_keys(p);
}
