/* SPDX-License-Identifier: MIT */
/* Which calls run without a question (--allow), not at all (--deny), or after a question at the terminal, which shows exactly
 * what will run. Without a terminal nobody can be asked, and the call is denied. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A call for the terminal: what is no plain ASCII and no letter of another script that a terminal could reorder or hide is
 * written as an escape. */
static void permit_show(FILE *tty, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        const int is_hidden = (c[0] == 0xE2 && (c[1] == 0x80 || c[1] == 0x81)) || (c[0] == 0xEF && c[1] == 0xBB) ||
                              (c[0] == 0xC2 && c[1] < 0xA0) || (c[0] == 0xD8 && c[1] == 0x9C); /* bidi, width 0, C1 */
        if (*c < 0x20 || *c == 0x7F || is_hidden)
            fprintf(tty, "\\x%02X", *c);
        else
            fputc(*c, tty);
    }
}

/* The answer of a person: 'y', 'n' or 'a' (always); 'n' at the end of input or when interrupted. */
static char permit_read(FILE *tty) {
    char line[64];
    if (!fgets(line, sizeof line, tty) || cmd_interrupted()) return 'n';
    if (!strchr(line, '\n')) /* the rest of a long line is no answer to the next question */
        for (int c; (c = fgetc(tty)) != EOF && c != '\n';) continue;
    return line[0] == 'y' || line[0] == 'Y' ? 'y' : line[0] == 'a' || line[0] == 'A' ? 'a' : 'n';
}

typedef struct permit_memory { /* tools that a person has allowed for the rest of the run */
    char names[CMD_MAX_RULES][65];
    int count;
} permit_memory;

static uint32_t permit_ask(void *ud, const bezel_permission *request) {
    static const char *const classes[] = {"", "computes", "reads", "changes something", "talks to an address of the model's choice"};
    permit_memory *memory = ud;
    for (int i = 0; i < memory->count; i++)
        if (strcmp(memory->names[i], request->name) == 0) return BEZEL_PERMIT_ALLOW;
    FILE *tty = isatty(STDERR_FILENO) ? fopen("/dev/tty", "r+") : NULL;
    if (!tty) {
        fprintf(stderr, "bezel: %s was not run: there is no terminal to ask at; --allow %s would allow it\n", request->name,
                request->name);
        return BEZEL_PERMIT_DENY;
    }
    fflush(stdout);
    fputs("\nrun ", tty);
    permit_show(tty, request->text);
    if (request->permission > 0 && request->permission < 5) fprintf(tty, " (%s)", classes[request->permission]);
    fputs("? [y]es, [n]o, [a]lways: ", tty);
    fflush(tty);
    const char answer = permit_read(tty);
    fclose(tty);
    if (answer == 'a' && memory->count < CMD_MAX_RULES && strlen(request->name) < sizeof memory->names[0])
        memcpy(memory->names[memory->count++], request->name, strlen(request->name) + 1);
    return answer == 'n' ? BEZEL_PERMIT_DENY : BEZEL_PERMIT_ALLOW;
}

/* Each name of a list with commas as a rule; *at is where the next name is copied to. */
static int permit_list(bezel_agent_options *out, bezel_permit *rules, char **at, const char *end, const cmd_options *o,
                       const char *list, uint32_t permit) {
    uint32_t class;
    while (list && *list) {
        size_t n = strcspn(list, ",");
        if (n == 0 || *at + n + 1 > end || out->n_permits == CMD_MAX_RULES)
            return cmd_usage(o, "--allow, --deny: at most %d names between commas expected", CMD_MAX_RULES);
        char *name = *at;
        memcpy(name, list, n);
        name[n] = 0;
        *at += n + 1;
        list += n + (list[n] == ',');
        if (strcmp(name, "all") == 0)
            for (class = 0; class < 5; class++) out->permit[class] = permit;
        else if (cmd_tool_class(&class, name))
            out->permit[class] = permit;
        else
            rules[out->n_permits++] = (bezel_permit){name, permit, 0};
    }
    return CMD_OK;
}

int cmd_permit_options(bezel_agent_options *out, const cmd_options *o, bezel_permit *rules, char *names) {
    static permit_memory memory; /* of the process: one run of the command */
    char *at = names;
    out->confirm = permit_ask;
    out->confirm_ud = &memory;
    int status = permit_list(out, rules, &at, names + CMD_RULE_BYTES, o, o->allow, BEZEL_PERMIT_ALLOW);
    if (status == CMD_OK) status = permit_list(out, rules, &at, names + CMD_RULE_BYTES, o, o->deny, BEZEL_PERMIT_DENY);
    out->permits = rules;
    return status;
}
