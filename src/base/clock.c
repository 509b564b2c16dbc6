#include "base/clock.h"

#include <time.h>

apr_time_t mcp_clock_monotonic(void)
{
    struct timespec now;

#ifdef CLOCK_BOOTTIME
    clock_gettime(CLOCK_BOOTTIME, &now); /* goes on while the machine is suspended, and keys age meanwhile */
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}
