/* SPDX-License-Identifier: MIT */
/* main: the table of subcommands, help and version. */
#include "command.h"

#include <stdio.h>
#include <string.h>

typedef struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} subcommand;

static const subcommand subcommands[] = {
    {"chat", cmd_chat, "talk to the model in the terminal"},
    {"ask", cmd_ask, "one question, one answer; with --tools also its calls"},
    {"run", cmd_run, "run a Lua script with require \"bezel\" ready"},
    {"stats", cmd_stats, "usage from the store"},
    {"report", cmd_report, "the store as one page for a browser"},
    {"store", cmd_store, "export, import, backup, vacuum or tidy the store"},
    {"info", cmd_info, "what a model file is"},
    {"get", cmd_get, "fetch the demo model, or any URL, into the cache folder"},
    {"doctor", cmd_doctor, "check machine, model, store"},
    {"complete", cmd_complete, "continue a text (no template), JSON"},
    {"choose", cmd_choose, "which of some texts follows, and how probable each is, JSON"},
    {"score", cmd_score, "log-probabilities of a text, JSON"},
    {"tokenize", cmd_tokenize, "text to token ids, JSON"},
    {"detokenize", cmd_detokenize, "token ids to text"},
    {"parse", cmd_parse, "calls in a model's output, JSON"},
    {"render", cmd_render, "messages and tools to the exact prompt"},
    {"teach", cmd_teach, "an adapter from tools and examples, trained here"},
    {"bench", cmd_bench, "speed on this machine"},
};
#define N_SUBCOMMANDS (sizeof subcommands / sizeof *subcommands)

static void print_help(FILE *out) {
    fprintf(out, "bezel %s: Gemma inside your program\n\nusage: bezel COMMAND [options] [text]\n\n", bezel_version());
    for (size_t i = 0; i < N_SUBCOMMANDS; i++) fprintf(out, "  %-11s %s\n", subcommands[i].name, subcommands[i].summary);
    fprintf(out, "\n`bezel COMMAND --help` lists the options of a command; `man bezel` has the details.\n");
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return CMD_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return CMD_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("bezel %s\n", bezel_version());
        return CMD_OK;
    }
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            int status = subcommands[i].run(argc, argv);
            if (fflush(stdout) != 0 && status == CMD_OK) status = cmd_error("standard output cannot be written");
            return status;
        }
    fprintf(stderr, "bezel: '%s' is no command; `bezel --help` lists them\n", argv[1]);
    return CMD_USAGE;
}
