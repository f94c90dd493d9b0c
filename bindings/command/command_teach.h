/* SPDX-License-Identifier: MIT */
/* Parts of `bezel teach`: what to learn from, and how it is shown. */
#ifndef BEZEL_COMMAND_TEACH_H
#define BEZEL_COMMAND_TEACH_H

#include "command.h"

#include <bezel/teach.h>

/* --- command_teach_data.c ----------------------------------------------------------------- */

typedef struct teach_data {
    bezel_tree *tree;
    bezel_value *tools; /* of --tools, or NULL */
    bezel_value *own;   /* of --examples: a list, or NULL */
    bezel_teach_maker *maker;
    bezel_teach *teach;
} teach_data;

int teach_data_open(teach_data *out, cmd_host *host, const cmd_options *o); /* CMD_OK, or prints and gives the exit status */
int teach_data_fill(teach_data *data, cmd_host *host, size_t made); /* adds `made` examples to the own ones */
int teach_data_print(teach_data *data, cmd_host *host, const cmd_options *o, size_t made); /* as lines of JSON, or with their prompts */
void teach_data_free(teach_data *data);

/* --- command_teach_show.c ----------------------------------------------------------------- */

enum { TEACH_POINTS = 4096 };

typedef struct teach_curve {
    float step[TEACH_POINTS], loss[TEACH_POINTS];
    size_t n;
    float check_step[TEACH_POINTS], check_loss[TEACH_POINTS]; /* measured on what is kept aside */
    size_t n_checks;
} teach_curve;

/* One line of the job's log: keeps its point and shows how it goes. seconds since the beginning. */
void teach_show_line(teach_curve *curve, cmd_host *host, const char *json, size_t size, double seconds, int quiet);
void teach_show_end(const teach_curve *curve, int quiet);               /* the curve in the terminal */
int teach_show_svg(const teach_curve *curve, const char *path);         /* the same as a picture; CMD_OK or an error, printed */

#endif
