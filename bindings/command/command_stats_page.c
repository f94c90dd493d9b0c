/* SPDX-License-Identifier: MIT */
/* Tables and bars that know how wide the terminal is. Widths are columns of a terminal, not bytes: CJK takes two, a combining
 * mark none. Control characters of texts are never put out. */
#include "command_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

enum { MAX_COLUMNS = 64, TEXT_AT_MOST = 60, TEXT_AT_LEAST = 12, CELL_BYTES = 512 };

cmd_page cmd_page_of_output(void) {
    struct winsize size = {0};
    cmd_page page = {.colour = cmd_is_terminal(STDOUT_FILENO)};
    const char *columns = getenv("COLUMNS");
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) page.width = size.ws_col;
    if (columns && atoi(columns) > 0) page.width = atoi(columns);
    return page;
}

static void page_style(const cmd_page *page, const char *code) {
    if (page->colour) printf("\x1b[%sm", code);
}

void cmd_page_heading(const cmd_page *page, const char *text) {
    page_style(page, "1");
    printf("%s", text);
    page_style(page, "0");
    putchar('\n');
}

/* --- Cells -------------------------------------------------------------------------------- */

static int is_number(const bezel_value *v) { return bezel_value_type(v) == BEZEL_INTEGER || bezel_value_type(v) == BEZEL_NUMBER; }

/* Text of a cell, valid UTF-8 without control characters. */
static void cell_text(const bezel_value *value, char out[CELL_BYTES]) {
    size_t size = 0, n = 0;
    switch (bezel_value_type(value)) {
    case BEZEL_INTEGER: snprintf(out, CELL_BYTES, "%lld", (long long)bezel_value_integer(value)); return;
    case BEZEL_NUMBER: {
        const double x = bezel_value_number(value);
        snprintf(out, CELL_BYTES, x < 10 ? "%.2f" : "%.1f", x);
        return;
    }
    case BEZEL_TEXT: break;
    default: strcpy(out, "-"); return;
    }
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)bezel_value_text(value, &size);
    while (size > 0 && n + 8 < CELL_BYTES) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t step = utf8proc_iterate(p, (utf8proc_ssize_t)size, &c);
        if (step <= 0) break;
        utf8proc_category_t kind = utf8proc_category(c);
        if (kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_ZL || kind == UTF8PROC_CATEGORY_ZP)
            out[n++] = ' ';
        else
            n += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out + n);
        p += step;
        size -= (size_t)step;
    }
    out[n] = 0;
}

/* Columns of a text; *out_bytes: how many of its bytes fit into `most` columns. */
static int text_width(const char *text, int most, size_t *out_bytes) {
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    size_t left = strlen(text), fit = 0;
    int width = 0;
    while (left > 0) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t step = utf8proc_iterate(p, (utf8proc_ssize_t)left, &c);
        if (step <= 0) break;
        width += utf8proc_charwidth(c);
        p += step;
        left -= (size_t)step;
        if (width <= most) fit = (size_t)(p - (const utf8proc_uint8_t *)text);
    }
    *out_bytes = fit;
    return width;
}

static void cell_put(const char *text, int width, int right, int last) {
    size_t bytes = 0;
    int w = text_width(text, width, &bytes), cut = w > width;
    if (cut) w = text_width(text, width - 1, &bytes) > 0 ? width : 0;
    if (right) printf("%*s", width > w ? width - w : 0, "");
    printf("%.*s%s", (int)bytes, text, cut ? "…" : "");
    if (!right && !last && width > w) printf("%*s", width - w, "");
    fputs(last ? "\n" : "  ", stdout);
}

/* --- Tables ------------------------------------------------------------------------------- */

typedef struct column {
    const char *key;
    int width, right;
} column;

/* Cuts the widest text column until the row fits, then leaves out columns. Returns how many are left. */
static size_t columns_fit(column *columns, size_t n, int width) {
    for (;;) {
        int all = (int)(n - 1) * 2;
        size_t widest = n;
        for (size_t c = 0; c < n; c++) {
            all += columns[c].width;
            if (!columns[c].right && columns[c].width > TEXT_AT_LEAST && (widest == n || columns[c].width > columns[widest].width))
                widest = c;
        }
        if (width <= 0 || all <= width || n == 1) return n;
        if (widest < n)
            columns[widest].width = columns[widest].width - (all - width) > TEXT_AT_LEAST ? columns[widest].width - (all - width) : TEXT_AT_LEAST;
        else
            n--;
    }
}

void cmd_page_table(const cmd_page *page, const bezel_value *rows) {
    const bezel_value *first = bezel_value_at(rows, 0);
    size_t n_rows = bezel_value_count(rows), n = bezel_value_count(first), bytes;
    column columns[MAX_COLUMNS];
    char cell[CELL_BYTES];
    if (n > MAX_COLUMNS) n = MAX_COLUMNS;
    if (!n) return;
    for (size_t c = 0; c < n; c++) {
        columns[c] = (column){.key = bezel_value_key(first, c, NULL), .right = 1};
        int numbers = 0;
        for (size_t i = 0; i < n_rows; i++) {
            const bezel_value *v = bezel_value_get(bezel_value_at(rows, i), columns[c].key);
            cell_text(v, cell);
            int w = text_width(cell, 0, &bytes);
            if (w > columns[c].width) columns[c].width = w;
            numbers += is_number(v);
            if (!is_number(v) && bezel_value_type(v) != BEZEL_NULL) columns[c].right = 0;
        }
        if (!numbers) columns[c].right = 0;
        if (columns[c].width > TEXT_AT_MOST) columns[c].width = TEXT_AT_MOST;
        if ((int)strlen(columns[c].key) > columns[c].width) columns[c].width = (int)strlen(columns[c].key);
    }
    n = columns_fit(columns, n, page->width);
    page_style(page, "2");
    for (size_t c = 0; c < n; c++) cell_put(columns[c].key, columns[c].width, columns[c].right, c + 1 == n);
    page_style(page, "0");
    for (size_t i = 0; i < n_rows; i++)
        for (size_t c = 0; c < n; c++) {
            cell_text(bezel_value_get(bezel_value_at(rows, i), columns[c].key), cell);
            cell_put(cell, columns[c].width, columns[c].right, c + 1 == n);
        }
}

/* --- Bars --------------------------------------------------------------------------------- */

static double as_number(const bezel_value *v) {
    return bezel_value_type(v) == BEZEL_INTEGER ? (double)bezel_value_integer(v) : bezel_value_number(v);
}

void cmd_page_bars(const cmd_page *page, const char *label, const bezel_value *rows, const char *key, const char *note) {
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double most = 0;
    for (size_t i = 0; i < bezel_value_count(rows); i++) {
        double x = as_number(bezel_value_get(bezel_value_at(rows, i), key));
        if (x > most) most = x;
    }
    printf("%-9s ", label);
    page_style(page, "34");
    for (size_t i = 0; i < bezel_value_count(rows); i++) {
        const bezel_value *v = bezel_value_get(bezel_value_at(rows, i), key);
        double x = as_number(v);
        fputs(!is_number(v) ? " " : most > 0 && x > 0 ? bars[(int)(x / most * 7.0 + 0.5)] : bars[0], stdout);
    }
    page_style(page, "0");
    fputs("  ", stdout);
    int left = page->width ? page->width - 12 - (int)bezel_value_count(rows) : CELL_BYTES;
    cell_put(note, left > 1 ? left : 1, 0, 1);
}
