/* SPDX-License-Identifier: MIT */
/* The test server as a program, for tests in Lua: prints its URL, serves until whoever started it ends (or five minutes). */
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
    pause();
    return 0;
}
