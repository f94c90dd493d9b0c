/* SPDX-License-Identifier: MIT */
/* The command in the middle of a conversation, killed at any moment and started again: what it had answered is there, in
 * order, once and wholly. This is the real path: model, agent, journal, store, output. The command is found beside this
 * program as the build makes them; without it (under valgrind, too) the suite is empty and says so. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

enum { ROUNDS = 40, QUESTIONS = 60 };

static char program[1024];
static temp_folder folder;
static char path[600], id[32];
static bezel_engine *engine;
static bezel_error err;

static void setup(void)
{
    bezel_store *store = NULL;
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "chat.db"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "killed", NULL, &err), BEZEL_OK);
    bezel_store_close(store);
    signal(SIGPIPE, SIG_IGN);
}

static void teardown(void)
{
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

typedef struct chat_process {
    pid_t pid;
    int in, out;
    int n_answers; /* lines printed: the newline comes after the store has the turn, and no answer holds one */
} chat_process;

static void chat_start(chat_process *c, int first)
{
    int in[2], out[2];
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(in[0], 0), dup2(out[1], 1), dup2(null, 2);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execl(program, program, "chat", "--no-cache", "--model", TINY_MODEL_PATH, "--store", path, "--conversation", id,
              "--stop", "\n", "--max-tokens", "6", "--threads", "1", (char *)NULL);
        _exit(9);
    }
    close(in[0]), close(out[1]);
    *c = (chat_process){pid, in[1], out[0], 0};
    for (int i = 0; i < QUESTIONS; i++)
        dprintf(c->in, "question %d\n", first + i);
}

/* Reads for at most wait_ms; 0 at the end of the output. */
static int chat_read(chat_process *c, int wait_ms)
{
    char bytes[512];
    struct pollfd p = {.fd = c->out, .events = POLLIN};
    if (poll(&p, 1, wait_ms) <= 0)
        return 1;
    ssize_t n = read(c->out, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++)
        c->n_answers += bytes[i] == '\n';
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Returns the number of answers that were printed before the end. */
static int chat_kill(chat_process *c)
{
    int status;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, &status, 0);
    ck_assert_msg(WIFSIGNALED(status), "the command ended by itself with status %d", WEXITSTATUS(status));
    while (chat_read(c, -1)) {}
    close(c->in), close(c->out);
    return c->n_answers;
}

/* Opens the store (which checks a file that was not closed) and returns the number of questions: they
 * must be 0, 1, 2, ... in this order, each with its answer and its numbers. */
static int count_questions(int round)
{
    bezel_store *store = NULL;
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    bezel_status st = bezel_store_open(&store, engine, path, NULL, &err);
    ck_assert_msg(st == BEZEL_OK, "round %d: %s", round, err.text);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_messages(&list, tree, store, id, &err), BEZEL_OK);
    int n = (int)bezel_value_count(list);
    ck_assert_int_eq(n % 2, 0);
    for (int i = 0; i < n; i++) {
        const bezel_value *m = bezel_value_at(list, (size_t)i);
        char expected[40];
        snprintf(expected, sizeof expected, "question %d", i / 2);
        ck_assert_str_eq(bezel_value_text(bezel_value_get(m, "role"), NULL), i % 2 ? "assistant" : "user");
        if (i % 2 == 0)
            ck_assert_str_eq(bezel_value_text(bezel_value_get(m, "text"), NULL), expected);
    }
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM usage WHERE error IS NULL"), n / 2);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn WHERE error IS NULL"), n / 2);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM message_words WHERE message_words MATCH 'question'"
                                                     " AND rowid IN (SELECT id FROM message WHERE role = 'user')"),
                     n / 2);
    bezel_tree_free(tree);
    bezel_store_close(store);
    return n / 2;
}

START_TEST(no_answered_question_is_lost_when_the_command_is_killed)
{
    bz_rng rng;
    int kept = 0, answered = 0, ahead = 0;
    bz_rng_seed(&rng, 20261124);
    for (int round = 0; round < ROUNDS; round++) {
        chat_process chat;
        int wanted = (int)(bz_rng_next(&rng) % 6); /* 0: at any moment from the start on */
        chat_start(&chat, kept);
        while (chat.n_answers < wanted)
            ck_assert_int_eq(chat_read(&chat, -1), 1);
        usleep((unsigned)(bz_rng_next(&rng) % (wanted ? 6000 : 40000)));
        int n = chat_kill(&chat);
        int now = count_questions(round);
        ck_assert_msg(now >= kept + n, "round %d: %d answers printed, %d kept", round, n, now - kept);
        ck_assert_int_le(now, kept + n + 1); /* the one that was kept, but not yet printed */
        answered += n;
        ahead += now - kept - n;
        kept = now;
    }
    ck_assert_int_gt(answered, ROUNDS);
    ck_assert_int_eq(kept, answered + ahead);
}
END_TEST

static int program_find(void)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 16);
    if (n <= 0)
        return 0;
    program[n] = 0;
    char *slash = strrchr(program, '/');
    strcpy(slash ? slash : program, "/../bezel");
    return access(program, X_OK) == 0;
}

Suite *chat_kill_suite(void);
Suite *chat_kill_suite(void)
{
    Suite *s = suite_create("chat_kill");
    if (!program_find()) {
        fprintf(stderr, "chat_kill: left out, the command is not at ../bezel of this program\n");
        return s;
    }
    TCase *t = tcase_create("kill");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, no_answered_question_is_lost_when_the_command_is_killed);
    suite_add_tcase(s, t);
    return s;
}
