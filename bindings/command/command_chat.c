/* SPDX-License-Identifier: MIT */
/* bezel chat: a conversation in the terminal, kept in the store. Ctrl-C stops the answer, not the program. */
#include "command.h"

#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char chat_help[] = "/help      this list\n"
                                "/clear     begin a new conversation (the store keeps the old one)\n"
                                "/history   show it\n"
                                "/quit      leave (Ctrl-D, too)\n"
                                "Ctrl-C stops an answer.\n";

typedef struct chat_state {
    cmd_host host;
    cmd_options options;
    bezel_agent *agent;
    bezel_tree *tree; /* of the tools */
    bezel_toolset *tools;
    char conversation[32]; /* empty: not kept */
    int status;            /* exit status: a failed turn of piped input is not forgotten */
} chat_state;

/* A line without its newline; NULL at the end of input. Owns: free(). */
static char *chat_line(void) {
    if (isatty(STDIN_FILENO)) {
        char *line;
        do { /* Ctrl-C here begins the line again; what stopped the last answer is over */
            cmd_interrupt_reset();
            line = readline("> ");
        } while (!line && cmd_interrupted() && putchar('\n') != EOF);
        if (line && *line) add_history(line);
        return line;
    }
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n = getline(&line, &capacity, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
    return line;
}

static void chat_history(chat_state *chat) {
    bezel_tree *tree;
    bezel_value *list = NULL;
    if (bezel_tree_new(&tree, chat->host.engine, &chat->host.error) != BEZEL_OK) return;
    if (bezel_agent_history(&list, tree, chat->agent, &chat->host.error) != BEZEL_OK) cmd_host_fail(&chat->host);
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const bezel_value *item = bezel_value_at(list, i);
        size_t size;
        const char *text = bezel_value_text(bezel_value_get(item, "text"), &size);
        printf("%s: ", bezel_value_text(bezel_value_get(item, "role"), NULL));
        cmd_write_text(text, size);
        putchar('\n');
    }
    bezel_tree_free(tree);
}

/* A new stored conversation (without a store: none) and its agent. The first question becomes its title. */
static int chat_begin(chat_state *chat) {
    const cmd_options *o = &chat->options;
    chat->conversation[0] = 0;
    if (chat->host.store &&
        bezel_store_begin(chat->conversation, chat->host.store, o->title, o->user, &chat->host.error) != BEZEL_OK)
        return cmd_host_fail(&chat->host);
    return cmd_talk_agent(&chat->agent, &chat->host, o, chat->tools, chat->conversation[0] ? chat->conversation : NULL);
}

/* The agent of --conversation with its messages. */
static int chat_resume(chat_state *chat) {
    const cmd_options *o = &chat->options;
    snprintf(chat->conversation, sizeof chat->conversation, "%s", o->conversation);
    int status = cmd_talk_agent(&chat->agent, &chat->host, o, chat->tools, chat->conversation);
    if (status == CMD_OK && chat->host.store) status = cmd_talk_resume(chat->agent, &chat->host, o->conversation);
    return status;
}

/* What was said so far stays in the store under its own id; the next question begins another conversation. */
static int chat_clear(chat_state *chat) {
    bezel_agent_free(chat->agent);
    chat->agent = NULL;
    return chat_begin(chat);
}

/* 1 when the line was a command; *out_quit tells whether to leave. */
static int chat_command(chat_state *chat, const char *line, int *out_quit) {
    if (line[0] != '/') return 0;
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        *out_quit = 1;
    else if (strcmp(line, "/help") == 0)
        fputs(chat_help, stdout);
    else if (strcmp(line, "/clear") == 0)
        *out_quit = (chat->status = chat_clear(chat)) != CMD_OK;
    else if (strcmp(line, "/history") == 0)
        chat_history(chat);
    else
        printf("no such command; /help lists them\n");
    return 1;
}

static void chat_turn(chat_state *chat, const char *line) {
    cmd_interrupt_reset();
    bezel_status st = cmd_talk_turn(&chat->host, chat->agent, line, strlen(line), 1);
    putchar('\n');
    if (st == BEZEL_ERR_CANCELLED)
        fprintf(stderr, "(stopped)\n");
    else if (st != BEZEL_OK)
        chat->status = cmd_host_fail(&chat->host);
}

static void chat_loop(chat_state *chat) {
    int quit = 0;
    char *line;
    if (isatty(STDIN_FILENO)) printf("%s. /help for help.\n", bezel_model_name(chat->host.model));
    while (!quit && (line = chat_line()) != NULL) {
        if (*line && !chat_command(chat, line, &quit)) chat_turn(chat, line);
        fflush(stdout); /* whoever reads a pipe waits for it */
        free(line);
    }
}

int cmd_chat(int argc, char **argv) {
    chat_state chat = {.options = {.subcommand = "chat", .usage = "chat [--system TEXT] [--tools FILE] [--conversation ID]"}};
    int status = cmd_options_read(&chat.options, argc, argv,
                                  CMD_ENGINE_OPTIONS " " CMD_SESSION_OPTIONS " adapter adapter-scale " CMD_SAMPLING_OPTIONS
                                                     " store no-store user conversation system context profile "
                                                     "overflow tools results allow deny max-steps");
    if (status != CMD_OK) return status;
    if (chat.options.results && !chat.options.tools) return cmd_usage(&chat.options, "--results goes with --tools");
    if ((status = cmd_host_model(&chat.host, &chat.options)) != CMD_OK) goto done;
    if ((status = cmd_host_store(&chat.host, &chat.options)) != CMD_OK) goto done;
    if (bezel_tree_new(&chat.tree, chat.host.engine, &chat.host.error) != BEZEL_OK) {
        status = cmd_host_fail(&chat.host);
        goto done;
    }
    if ((status = cmd_tools_read(&chat.tools, &chat.host, chat.tree, &chat.options)) != CMD_OK) goto done;
    if ((status = chat.options.conversation ? chat_resume(&chat) : chat_begin(&chat)) != CMD_OK) goto done;
    cmd_interrupt_watch();
    chat_loop(&chat);
    if (!isatty(STDIN_FILENO)) status = chat.status;
    if (chat.conversation[0] && isatty(STDIN_FILENO))
        printf("go on with: bezel chat --conversation %s\n", chat.conversation);
done:
    bezel_agent_free(chat.agent);
    bezel_toolset_free(chat.tools);
    bezel_tree_free(chat.tree);
    cmd_host_free(&chat.host);
    return status;
}
