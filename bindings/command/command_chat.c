/* SPDX-License-Identifier: MIT */
/* bezel chat: a conversation in the terminal, kept in the store. Ctrl-C stops the answer, not the program. */
#include "command.h"

#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char chat_help[] = "/help      this list\n"
                                "/clear     forget the conversation (the store keeps it)\n"
                                "/history   show it\n"
                                "/quit      leave (Ctrl-D, too)\n"
                                "Ctrl-C stops an answer.\n";

typedef struct chat_state {
    cmd_host host;
    cmd_options options;
    bezel_agent *agent;
    char conversation[32]; /* empty: not kept */
} chat_state;

/* A line without its newline; NULL at the end of input. Owns: free(). */
static char *chat_line(void) {
    if (isatty(STDIN_FILENO)) {
        char *line = readline("> ");
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

/* 1 when the line was a command; *out_quit tells whether to leave. */
static int chat_command(chat_state *chat, const char *line, int *out_quit) {
    if (line[0] != '/') return 0;
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/exit") == 0)
        *out_quit = 1;
    else if (strcmp(line, "/help") == 0)
        fputs(chat_help, stdout);
    else if (strcmp(line, "/clear") == 0)
        bezel_agent_clear(chat->agent);
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
        cmd_host_fail(&chat->host);
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

/* Begins a stored conversation, or goes on with --conversation. */
static int chat_open(chat_state *chat) {
    const cmd_options *o = &chat->options;
    int status = cmd_host_store(&chat->host, o);
    if (status != CMD_OK) return status;
    if (o->conversation)
        snprintf(chat->conversation, sizeof chat->conversation, "%s", o->conversation);
    else if (chat->host.store && bezel_store_begin(chat->conversation, chat->host.store, o->title, o->user,
                                                   &chat->host.error) != BEZEL_OK) /* no title: the first question is one */
        return cmd_host_fail(&chat->host);
    status = cmd_talk_agent(&chat->agent, &chat->host, o, NULL, chat->conversation[0] ? chat->conversation : NULL);
    if (status == CMD_OK && o->conversation && chat->host.store)
        status = cmd_talk_resume(chat->agent, &chat->host, o->conversation);
    return status;
}

int cmd_chat(int argc, char **argv) {
    chat_state chat = {.options = {.subcommand = "chat", .usage = "chat [--system TEXT] [--conversation ID]"}};
    int status = cmd_options_read(&chat.options, argc, argv,
                                  CMD_ENGINE_OPTIONS " " CMD_SESSION_OPTIONS " " CMD_SAMPLING_OPTIONS
                                                     " store no-store user conversation system profile overflow");
    if (status != CMD_OK) return status;
    if ((status = cmd_host_model(&chat.host, &chat.options)) != CMD_OK) goto done;
    if ((status = chat_open(&chat)) != CMD_OK) goto done;
    cmd_interrupt_watch();
    chat_loop(&chat);
    if (chat.conversation[0] && isatty(STDIN_FILENO))
        printf("go on with: bezel chat --conversation %s\n", chat.conversation);
done:
    bezel_agent_free(chat.agent);
    cmd_host_free(&chat.host);
    return status;
}
