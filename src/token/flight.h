/* One call for any number of threads that want the same at the same time (single flight). */
#ifndef MCP_FLIGHT_H
#define MCP_FLIGHT_H

#include <apr_pools.h>
#include <apr_time.h>

#define MCP_FLIGHT_KEY_BYTES 32

typedef struct mcp_flights_t mcp_flights_t;
typedef struct mcp_flight_t mcp_flight_t;

/* Of one process; lives in p. APR's error if a lock cannot be made. */
apr_status_t mcp_flights_create(mcp_flights_t **pflights, apr_pool_t *p);

/* Joins the flight of that key, or begins one: then *ppilot is 1, and the caller has to call mcp_flight_land in any
 * case. NULL when there is no memory. */
mcp_flight_t *mcp_flight_board(mcp_flights_t *flights, const unsigned char key[MCP_FLIGHT_KEY_BYTES], int *ppilot);

/* The pilot's outcome: len bytes of data, copied (data may be NULL). Who boards from now on begins a new flight; those
 * on board are woken. *ppilot of boarding must have been 1, once per flight. */
void mcp_flight_land(mcp_flight_t *flight, const void *data, apr_size_t len);

/* Waits for the landing, at most timeout microseconds (not at all when it is 0). 1: *pdata and *plen are the outcome,
 * valid until mcp_flight_leave; NULL when the pilot brought nothing or there was no memory to keep it. 0: not landed
 * in time. */
int mcp_flight_wait(mcp_flight_t *flight, apr_interval_time_t timeout, const void **pdata, apr_size_t *plen);

/* Each who boarded leaves once, the pilot as well; the last one's leaving frees it. */
void mcp_flight_leave(mcp_flight_t *flight);

#endif
