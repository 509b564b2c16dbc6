/* The one clock for timers: it does not follow the wall clock when that is set. */
#ifndef MCP_CLOCK_H
#define MCP_CLOCK_H

#include <apr_time.h>

/* Microseconds since some moment of the past, the same for all processes of this machine. */
apr_time_t mcp_clock_monotonic(void);

#endif
