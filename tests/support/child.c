/* SPDX-License-Identifier: MIT */
/* Processes as the system lists them. */
#include "support/child.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static char child_state(long pid)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    if (file)
        fclose(file);
    return state;
}

int child_is_gone(long pid)
{
    for (int i = 0; i < 100; i++) {
        char state = child_state(pid);
        if (state == 'Z' || state == 'X')
            return 1;
        usleep(10000);
    }
    return 0;
}

int child_none_left(void)
{
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}
