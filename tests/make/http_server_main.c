/* SPDX-License-Identifier: MIT */
/* The test server as a program, for tests in Lua: prints its URL, serves until /quit is asked
 * for or whoever started it ends, five minutes at most. */
#include "support/http_server.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
    http_server server;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (!http_server_start(&server))
        return 1;
    printf("%s\n", server.url);
    fflush(stdout);
    alarm(300);
    while (!atomic_load(&server.stop))
        usleep(20000);
    http_server_stop(&server);
    return 0;
}
