/* SPDX-License-Identifier: MIT */
/* Parts of `bezel stats`: tables and lines for a terminal, text for Prometheus. */
#ifndef BEZEL_COMMAND_STATS_H
#define BEZEL_COMMAND_STATS_H

#include "command.h"

/* How text is put out. */
typedef struct cmd_page {
    int width;  /* columns of the terminal; 0 = no limit */
    int colour; /* 1: on a terminal without NO_COLOR */
} cmd_page;

cmd_page cmd_page_of_output(void);
void cmd_page_heading(const cmd_page *page, const char *text);
/* Rows (maps with the same keys) as a table. Numbers stand right; texts are cut, then columns at the end left out, until it
 * fits the page. */
void cmd_page_table(const cmd_page *page, const bezel_value *rows);
/* A number of each row as a line of bars, oldest first; a row without it is a blank. */
void cmd_page_bars(const cmd_page *page, const char *label, const bezel_value *rows, const char *key, const char *note);

/* Sums of the whole store in the text format of Prometheus 0.0.4. Returns the exit status. */
int cmd_stats_prometheus(cmd_host *host, bezel_tree *tree);
/* Rows of a statement. CMD_OK, or prints why not. */
int cmd_stats_rows(const bezel_value **out, cmd_host *host, bezel_tree *tree, const char *sql);

#endif
