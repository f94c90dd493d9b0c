/* SPDX-License-Identifier: MIT */
/* bezel teach: how it goes, as a line, as a curve in the terminal, as a picture. */
#include "command_teach.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SHOW_WIDTH = 32 };

/* Means of the points of one list in `width` parts of its range; NaN where there is none. */
static void show_parts(float *out, size_t width, const float *x, const float *y, size_t n) {
    float most = n ? x[n - 1] : 1;
    for (size_t c = 0; c < width; c++) {
        double sum = 0;
        size_t count = 0;
        for (size_t i = 0; i < n; i++) {
            size_t part = most > 0 ? (size_t)((x[i] - 0.5f) / most * (float)width) : 0;
            if ((part < width ? part : width - 1) == c) sum += (double)y[i], count++;
        }
        out[c] = count ? (float)(sum / (double)count) : NAN;
    }
}

static void show_spark(char *out, const teach_curve *curve) {
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    float parts[SHOW_WIDTH], most = 0;
    const size_t width = curve->n < SHOW_WIDTH ? curve->n : SHOW_WIDTH;
    show_parts(parts, width, curve->step, curve->loss, curve->n);
    for (size_t i = 0; i < width; i++) most = parts[i] > most ? parts[i] : most;
    out[0] = 0;
    for (size_t i = 0; i < width; i++)
        if (parts[i] == parts[i]) strcat(out, bars[most > 0 ? (int)(parts[i] / most * 7.0f + 0.5f) : 0]);
}

void teach_show_line(teach_curve *curve, cmd_host *host, const char *json, size_t size, double seconds, int quiet) {
    bezel_tree *tree = NULL;
    bezel_value *line = NULL;
    if (bezel_tree_new(&tree, host->engine, NULL) != BEZEL_OK) return;
    if (bezel_json_read(&line, tree, json, size, NULL) == BEZEL_OK) {
        const double step = bezel_value_number(bezel_value_get(line, "step")), of = bezel_value_number(bezel_value_get(line, "of"));
        const bezel_value *check = bezel_value_get(line, "validation_loss");
        if (check && curve->n_checks < TEACH_POINTS) {
            curve->check_step[curve->n_checks] = (float)step;
            curve->check_loss[curve->n_checks++] = (float)bezel_value_number(check);
        } else if (!check && curve->n < TEACH_POINTS) {
            curve->step[curve->n] = (float)step;
            curve->loss[curve->n++] = (float)bezel_value_number(bezel_value_get(line, "loss"));
        }
        char spark[SHOW_WIDTH * 4];
        show_spark(spark, curve);
        const int live = isatty(STDERR_FILENO);
        if (quiet) {
        } else if (check) {
            fprintf(stderr, "%sstep %.0f: %.1f %% right, loss %.3f on what was kept aside\n", live ? "\r\033[K" : "", step,
                    100 * bezel_value_number(bezel_value_get(line, "validation_accuracy")), bezel_value_number(check));
        } else {
            const double left = step > 0 ? seconds / step * (of - step) : 0;
            fprintf(stderr, "%sstep %.0f/%.0f  loss %.3f  %.1f %% right  %.0f tokens/s  %.0f:%02.0f left  %s%s", live ? "\r\033[K" : "",
                    step, of, bezel_value_number(bezel_value_get(line, "loss")),
                    100 * bezel_value_number(bezel_value_get(line, "accuracy")),
                    seconds > 0 ? bezel_value_number(bezel_value_get(line, "tokens")) / seconds : 0, floor(left / 60), fmod(left, 60),
                    spark, live ? "" : "\n");
        }
    }
    bezel_tree_free(tree);
}

void teach_show_end(const teach_curve *curve, int quiet) {
    enum { WIDTH = 60, HEIGHT = 8 };
    float parts[WIDTH], most = 0;
    const size_t width = curve->n < WIDTH ? curve->n : WIDTH;
    if (quiet || curve->n < 2) return;
    show_parts(parts, width, curve->step, curve->loss, curve->n);
    for (size_t i = 0; i < width; i++) most = parts[i] > most ? parts[i] : most;
    fprintf(stderr, "%s", isatty(STDERR_FILENO) ? "\r\033[K" : "");
    for (int row = HEIGHT; row > 0; row--) {
        fprintf(stderr, "%7.2f │", (double)most * row / HEIGHT);
        for (size_t i = 0; i < width; i++)
            fputs(parts[i] == parts[i] && parts[i] / most * HEIGHT > (float)row - 0.5f ? "█" : " ", stderr);
        fputc('\n', stderr);
    }
    fprintf(stderr, "   loss └");
    for (size_t i = 0; i < width; i++) fputs("─", stderr);
    fprintf(stderr, " step %.0f\n", (double)curve->step[curve->n - 1]);
}

static void show_path(FILE *f, const float *x, const float *y, size_t n, float width, float height, const char *style) {
    fprintf(f, "<polyline %s points=\"", style);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%.1f,%.1f ", (double)(60 + x[i] / width * 620), (double)(280 - y[i] / height * 250));
    fprintf(f, "\"/>\n");
}

int teach_show_svg(const teach_curve *curve, const char *path) {
    float width = 1, height = 0.1f;
    for (size_t i = 0; i < curve->n; i++) {
        width = curve->step[i] > width ? curve->step[i] : width;
        height = curve->loss[i] > height ? curve->loss[i] : height;
    }
    for (size_t i = 0; i < curve->n_checks; i++) height = curve->check_loss[i] > height ? curve->check_loss[i] : height;
    FILE *f = fopen(path, "w");
    if (!f) return cmd_error("%s: %s", path, strerror(errno));
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 700 320\" font-family=\"sans-serif\" font-size=\"12\">\n"
               "<rect width=\"700\" height=\"320\" fill=\"#fff\"/>\n");
    for (int i = 0; i <= 5; i++) {
        const double y = 280 - 50.0 * i;
        fprintf(f, "<line x1=\"60\" x2=\"680\" y1=\"%.0f\" y2=\"%.0f\" stroke=\"#ddd\"/>\n", y, y);
        fprintf(f, "<text x=\"52\" y=\"%.0f\" text-anchor=\"end\">%.2f</text>\n", y + 4, (double)height * i / 5);
    }
    fprintf(f, "<text x=\"60\" y=\"300\">0</text><text x=\"680\" y=\"300\" text-anchor=\"end\">step %.0f</text>\n", (double)width);
    show_path(f, curve->step, curve->loss, curve->n, width, height, "fill=\"none\" stroke=\"#2563eb\" stroke-width=\"1.5\"");
    show_path(f, curve->check_step, curve->check_loss, curve->n_checks, width, height,
              "fill=\"none\" stroke=\"#dc2626\" stroke-width=\"2\"");
    fprintf(f, "<text x=\"560\" y=\"24\" fill=\"#2563eb\">loss</text><text x=\"600\" y=\"24\" fill=\"#dc2626\">kept aside</text>\n</svg>\n");
    return fclose(f) == 0 ? CMD_OK : cmd_error("%s: %s", path, strerror(errno));
}
