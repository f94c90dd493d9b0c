/* SPDX-License-Identifier: MIT */
/* Words of a monitor's rows. */
#include <bezel/monitor.h>

const char *bezel_severity_name(uint32_t severity)
{
    static const char *const names[] = {"", "low", "medium", "high"};
    return severity < sizeof names / sizeof *names ? names[severity] : "";
}

const char *bezel_health_name(uint32_t health)
{
    static const char *const names[] = {"healthy", "degraded", "unhealthy"};
    return health < sizeof names / sizeof *names ? names[health] : "";
}
