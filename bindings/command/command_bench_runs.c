/* SPDX-License-Identifier: MIT */
/* Rows of `bezel bench` that run the model in this process. Prompts are ids drawn by the seed, other ones each round; the
 * answers cannot end early. */
#include "command_bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORCED_TOKENS 64
#define SESSION_PROMPT 32
#define SESSION_TOKENS 64
#define MIXED_PROMPTS 6
#define MIXED_LONGEST 400
#define MEMORY_POSITIONS 2048
#define CHANGED_TOKENS 8 /* at the end of a context, so that rounds differ though its beginning stays in the cache */

typedef struct runs {
    bezel_session *sessions[2]; /* screened and full, NULL where there is none */
    bezel_session *first;       /* that of the product default */
    const char *head;           /* of first */
    int32_t *ids;
    int64_t positions; /* in each session; room of ids */
} runs;

static uint32_t draw(uint64_t *state) { /* the upper half of a linear congruence */
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static uint64_t seed_of(const bench *b, int64_t round) {
    return ((uint64_t)b->o.seed + 12345) * 0x9e3779b97f4a7c15u + (uint64_t)round;
}

/* ids[from..to): words from the middle of the vocabulary, BOS first. */
static void draw_ids(const bench *b, int32_t *ids, int64_t from, int64_t to, uint64_t seed) {
    uint32_t vocab = bezel_model_vocab_size(b->host.model);
    int32_t bos = bezel_token_bos(b->host.model);
    draw(&seed);
    for (int64_t i = from; i < to; i++)
        ids[i] = i == 0 && bos >= 0 ? bos : (int32_t)(vocab / 8 + draw(&seed) % (vocab / 2));
}

/* Where the vocabulary has more than 64 ends of an answer, some of them may still come. */
static uint32_t no_end(bezel_logit_bias bias[64], const bezel_model *model) {
    uint32_t n = 0;
    for (uint32_t id = 0; id < bezel_model_vocab_size(model) && n < 64; id++)
        if (bezel_token_is_end(model, (int32_t)id)) bias[n++] = (bezel_logit_bias){.id = (int32_t)id, .bias = -INFINITY};
    return n;
}

/* A job that answers ids. What the session has computed of them already stays. */
static bezel_status answer_job(bezel_job **out, bench *b, bezel_session *session, const int32_t *ids, int64_t n_ids,
                               int64_t n_tokens) {
    bezel_generate_options options;
    bezel_logit_bias bias[64];
    bezel_generate_options_init(&options);
    bezel_sampling_greedy(&options.sampling);
    options.max_tokens = (uint32_t)n_tokens;
    options.sampling.bias = bias;
    options.sampling.n_bias = no_end(bias, b->host.model);
    bezel_status st = bezel_session_set(session, ids, (size_t)n_ids, &b->host.error);
    return st == BEZEL_OK ? bezel_generate(out, session, &options, &b->host.error) : st;
}

static int answer(bench *b, bezel_session *session, const int32_t *ids, int64_t n_ids, int64_t n_tokens,
                  bezel_generation *g) {
    bezel_job *job = NULL;
    *g = (bezel_generation){.size = sizeof *g};
    bezel_status st = answer_job(&job, b, session, ids, n_ids, n_tokens);
    if (st == BEZEL_OK) do st = bezel_job_step(job, -1, &b->host.error);
        while (st > 0 && st != BEZEL_DONE);
    if (st == BEZEL_DONE) st = bezel_generation_get(job, g, &b->host.error);
    bezel_job_free(job); /* only the numbers of g are read after this */
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(&b->host);
}

static int forget(bench *b, bezel_session *session) {
    return bezel_session_set(session, NULL, 0, &b->host.error) == BEZEL_OK ? CMD_OK : cmd_host_fail(&b->host);
}

/* --- Sessions ----------------------------------------------------------------------------- */

/* Which heads can be measured: screened where there is a copy of the output matrix and it is not switched off. */
static int open_sessions(bench *b, runs *r, uint32_t n_ctx) {
    bezel_session_options options;
    int status = cmd_session_options(&options, &b->o);
    if (status != CMD_OK) return status;
    const char *name = getenv("BEZEL_HEAD");
    uint32_t wanted = options.head == BEZEL_HEAD_AUTO && name && strcmp(name, "full") == 0 ? BEZEL_HEAD_FULL : options.head;
    int screened = wanted != BEZEL_HEAD_FULL && bezel_engine_isa(b->host.engine) != BEZEL_ISA_SCALAR &&
                   bezel_model_prepare(b->host.model, &b->host.error) == BEZEL_OK;
    options.n_ctx = n_ctx;
    for (int k = 0; k < 2; k++) {
        options.head = k == 0 ? BEZEL_HEAD_SCREENED : BEZEL_HEAD_FULL;
        if (k == 0 ? !screened : screened && wanted == BEZEL_HEAD_SCREENED) continue;
        if (bezel_session_new(&r->sessions[k], b->host.model, &options, &b->host.error) != BEZEL_OK)
            return cmd_host_fail(&b->host);
    }
    r->first = r->sessions[0] ? r->sessions[0] : r->sessions[1];
    r->head = r->sessions[0] ? "screened" : "full";
    return CMD_OK;
}

static void close_sessions(runs *r) {
    bezel_session_free(r->sessions[0]);
    bezel_session_free(r->sessions[1]);
    free(r->ids);
}

static int open_runs(bench *b, runs *r, int64_t positions) {
    memset(r, 0, sizeof *r);
    r->positions = positions;
    r->ids = malloc((size_t)positions * sizeof *r->ids);
    if (!r->ids) return cmd_error("out of memory");
    return open_sessions(b, r, (uint32_t)positions);
}

/* --- Rows --------------------------------------------------------------------------------- */

static int run_prompt(bench *b, runs *r, int64_t n) {
    bezel_generation g;
    int status = CMD_OK;
    b->series[0].n = 0;
    for (int64_t i = 0; status == CMD_OK && i < b->o.rounds; i++) {
        bench_note(b, "prompt", "", n, i);
        draw_ids(b, r->ids, 0, n, seed_of(b, i));
        if ((status = forget(b, r->first)) == CMD_OK) status = answer(b, r->first, r->ids, n, 1, &g);
        if (status == CMD_OK) bench_take(b, &b->series[0], (double)g.first_token_us / 1e3);
    }
    if (status == CMD_OK) bench_add(b, &(bench_row){"prompt", "last", n, 0, NULL, 1}, &b->series[0]);
    return status;
}

/* Decode with each head in turn, round by round, so that what else the machine does meets both. */
static int run_decode(bench *b, runs *r, int64_t context) {
    static const char *const heads[] = {"screened", "full"};
    bezel_generation g;
    int status = CMD_OK;
    b->series[0].n = b->series[1].n = 0;
    draw_ids(b, r->ids, 0, context, seed_of(b, 0));
    for (int64_t i = 0; status == CMD_OK && i < b->o.rounds; i++) {
        int64_t kept = context > CHANGED_TOKENS ? context - CHANGED_TOKENS : 1;
        draw_ids(b, r->ids, kept, context, seed_of(b, i));
        for (int k = 0; k < 2 && status == CMD_OK; k++) {
            if (!r->sessions[k]) continue;
            bench_note(b, "decode", heads[k], context, i);
            status = answer(b, r->sessions[k], r->ids, context, b->o.generate + 1, &g);
            if (status == CMD_OK) bench_take(b, &b->series[k], (double)(g.total_us - g.first_token_us) / 1e3);
        }
    }
    for (int k = 0; k < 2 && status == CMD_OK; k++)
        if (r->sessions[k])
            bench_add(b, &(bench_row){"decode", heads[k], b->o.generate, context, NULL, 1}, &b->series[k]);
    return status;
}

/* Tokens that are given, one a pass: what a token costs when its text is known, and with it the output layer left out. */
static int run_forced(bench *b, runs *r) {
    bezel_session_options options;
    bezel_session *session = NULL;
    bezel_generation g;
    int64_t context = 16, end = context + FORCED_TOKENS;
    int status = cmd_session_options(&options, &b->o);
    if (status != CMD_OK) return status;
    options.n_ctx = (uint32_t)r->positions;
    options.chunk = 1;
    if (bezel_session_new(&session, b->host.model, &options, &b->host.error) != BEZEL_OK) return cmd_host_fail(&b->host);
    b->series[0].n = 0;
    for (int64_t i = 0; status == CMD_OK && i < b->o.rounds; i++) {
        bench_note(b, "forced", "", end, i);
        draw_ids(b, r->ids, 0, end, seed_of(b, i));
        if ((status = forget(b, session)) == CMD_OK) status = answer(b, session, r->ids, context, 0, &g);
        if (status == CMD_OK) status = answer(b, session, r->ids, end, 0, &g);
        if (status == CMD_OK)
            bench_take(b, &b->series[0], (double)g.prompt_us / 1e3 * FORCED_TOKENS / (double)(g.n_prompt - g.n_cached));
    }
    bezel_session_free(session);
    if (status == CMD_OK) bench_add(b, &(bench_row){"forced", "none", FORCED_TOKENS, context, NULL, 1}, &b->series[0]);
    return status;
}

/* Prompts and answers of random lengths, one after the other; the lengths are the same in each round. */
static int run_mixed(bench *b, runs *r) {
    bezel_generation g;
    int64_t tokens = 0, room = r->positions - 72 < MIXED_LONGEST ? r->positions - 72 : MIXED_LONGEST;
    int status = CMD_OK;
    b->series[0].n = 0;
    for (int64_t i = 0; status == CMD_OK && i < b->o.rounds; i++) {
        uint64_t lengths = seed_of(b, 0);
        double us = 0;
        tokens = 0;
        for (int k = 0; k < MIXED_PROMPTS && status == CMD_OK; k++) {
            int64_t prompt = 8 + draw(&lengths) % (uint32_t)(room > 8 ? room - 7 : 1), n = 8 + draw(&lengths) % 57;
            bench_note(b, "mixed", "", prompt, i);
            draw_ids(b, r->ids, 0, prompt, seed_of(b, i * MIXED_PROMPTS + k));
            if ((status = forget(b, r->first)) == CMD_OK) status = answer(b, r->first, r->ids, prompt, n, &g);
            us += (double)g.total_us;
            tokens += prompt + n;
        }
        if (status == CMD_OK) bench_take(b, &b->series[0], us / 1e3);
    }
    if (status == CMD_OK) bench_add(b, &(bench_row){"mixed", r->head, tokens, 0, NULL, 1}, &b->series[0]);
    return status;
}

typedef struct crowd {
    bezel_batch *batch;
    bezel_session **sessions; /* [n] */
    bezel_job **jobs;         /* [n] */
    int64_t n;
} crowd;

static void crowd_close(crowd *c) {
    for (int64_t i = 0; c->jobs && i < c->n; i++) bezel_job_free(c->jobs[i]);
    bezel_batch_free(c->batch);
    for (int64_t i = 0; c->sessions && i < c->n; i++) bezel_session_free(c->sessions[i]);
    free(c->jobs);
    free(c->sessions);
}

static int crowd_open(bench *b, crowd *c, int64_t n) {
    bezel_session_options options;
    int status = cmd_session_options(&options, &b->o);
    options.n_ctx = SESSION_PROMPT + SESSION_TOKENS + 8;
    *c = (crowd){.sessions = calloc((size_t)n, sizeof *c->sessions), .jobs = calloc((size_t)n, sizeof *c->jobs), .n = n};
    if (status != CMD_OK) return status;
    if (!c->sessions || !c->jobs) return cmd_error("out of memory");
    if (bezel_batch_new(&c->batch, b->host.model, NULL, &b->host.error) != BEZEL_OK) return cmd_host_fail(&b->host);
    for (int64_t i = 0; i < n; i++)
        if (bezel_session_new(&c->sessions[i], b->host.model, &options, &b->host.error) != BEZEL_OK)
            return cmd_host_fail(&b->host);
    return CMD_OK;
}

/* Every session from an empty timeline to the end of its answer. */
static int crowd_answer(bench *b, crowd *c, int32_t *ids, uint64_t seed, double *ms) {
    bezel_event event = {.size = sizeof event};
    bezel_status st = BEZEL_OK;
    for (int64_t i = 0; st == BEZEL_OK && i < c->n; i++) {
        bezel_job_free(c->jobs[i]);
        c->jobs[i] = NULL;
        draw_ids(b, ids, 0, SESSION_PROMPT, seed + (uint64_t)i);
        if (forget(b, c->sessions[i]) != CMD_OK) return CMD_ERROR;
        st = answer_job(&c->jobs[i], b, c->sessions[i], ids, SESSION_PROMPT, SESSION_TOKENS);
        if (st == BEZEL_OK) st = bezel_batch_add(c->batch, c->jobs[i], &b->host.error);
    }
    double start = bench_now_ms();
    if (st == BEZEL_OK) do {
            st = bezel_batch_step(c->batch, -1, &b->host.error);
            for (int64_t i = 0; i < c->n; i++)
                while (bezel_job_event(c->jobs[i], &event)) continue;
        } while (st > 0 && st != BEZEL_DONE);
    *ms = bench_now_ms() - start;
    for (int64_t i = 0; st >= 0 && i < c->n; i++) {
        bezel_generation g = {.size = sizeof g};
        bezel_status got = bezel_generation_get(c->jobs[i], &g, &b->host.error);
        if (got != BEZEL_OK) st = got;
    }
    return st >= 0 ? CMD_OK : cmd_host_fail(&b->host);
}

/* Sessions that are answered together: all their answers, with the time of the prompts in it. */
static int run_sessions(bench *b, runs *r, int64_t n) {
    crowd c;
    double ms;
    int status = crowd_open(b, &c, n);
    b->series[0].n = 0;
    for (int64_t i = 0; status == CMD_OK && i < b->o.rounds; i++) {
        bench_note(b, "sessions", "", n, i);
        if ((status = crowd_answer(b, &c, r->ids, seed_of(b, i * n), &ms)) == CMD_OK) bench_take(b, &b->series[0], ms);
    }
    crowd_close(&c);
    bench_row row = {"sessions", r->head, n * SESSION_TOKENS, SESSION_PROMPT, NULL, n};
    if (status == CMD_OK) bench_add(b, &row, &b->series[0]);
    return status;
}

static int64_t positions_needed(const bench *b) {
    int64_t most = 16 + FORCED_TOKENS;
    if (bench_wants(b, "mixed")) most = MIXED_LONGEST + 72;
    if (most > bezel_model_context_length(b->host.model)) most = bezel_model_context_length(b->host.model);
    for (int i = 0; bench_wants(b, "prompt") && i < b->n_prompts; i++)
        if (b->prompts[i] + 8 > most) most = b->prompts[i] + 8;
    for (int i = 0; bench_wants(b, "decode") && i < b->n_contexts; i++)
        if (b->contexts[i] + b->o.generate + 8 > most) most = b->contexts[i] + b->o.generate + 8;
    return most;
}

int bench_runs(bench *b) {
    runs r;
    bezel_generation g;
    int status = open_runs(b, &r, positions_needed(b));
    if (status == CMD_OK) {
        draw_ids(b, r.ids, 0, 16, seed_of(b, -1));
        status = answer(b, r.first, r.ids, 16, 4, &g); /* touches the pages */
    }
    for (int i = 0; status == CMD_OK && bench_wants(b, "prompt") && i < b->n_prompts; i++)
        status = run_prompt(b, &r, b->prompts[i]);
    for (int i = 0; status == CMD_OK && bench_wants(b, "decode") && i < b->n_contexts; i++)
        status = run_decode(b, &r, b->contexts[i]);
    if (status == CMD_OK && bench_wants(b, "forced")) status = run_forced(b, &r);
    if (status == CMD_OK && bench_wants(b, "mixed")) status = run_mixed(b, &r);
    for (int i = 0; status == CMD_OK && bench_wants(b, "sessions") && i < b->n_sessions; i++)
        status = run_sessions(b, &r, b->sessions[i]);
    close_sessions(&r);
    return status;
}

/* --- Memory, text ------------------------------------------------------------------------- */

int bench_pages_here(bench *b, bench_pages *out) {
    runs r = {0};
    bezel_generation g;
    bezel_session_options options;
    int64_t n_ctx = bezel_model_context_length(b->host.model);
    int status = cmd_session_options(&options, &b->o);
    if (status != CMD_OK) return status;
    if (n_ctx > MEMORY_POSITIONS) n_ctx = MEMORY_POSITIONS;
    options.n_ctx = (uint32_t)n_ctx;
    bezel_model_prepare(b->host.model, &b->host.error); /* without it the full head is measured, as it is then used */
    r.ids = malloc((size_t)n_ctx * sizeof *r.ids);
    if (!r.ids) return cmd_error("out of memory");
    if (bezel_session_new(&r.sessions[0], b->host.model, &options, &b->host.error) != BEZEL_OK)
        status = cmd_host_fail(&b->host);
    int64_t prompt = n_ctx / 4, tokens = n_ctx / 32;
    draw_ids(b, r.ids, 0, prompt, seed_of(b, 0));
    if (status == CMD_OK) status = answer(b, r.sessions[0], r.ids, prompt, tokens, &g);
    char *folder = cmd_cache_folder(), *model = cmd_model_path(&b->o);
    if (status == CMD_OK) status = model ? bench_pages_read(out, model, folder) : cmd_error("out of memory");
    free(folder);
    free(model);
    close_sessions(&r);
    return status;
}

/* A word with a space before it, in lower case; NULL for other entries. *out_size without the three bytes of the space. */
static const char *plain_word(const bezel_model *model, uint32_t id, size_t *out_size) {
    size_t size = 0;
    const char *text = bezel_token_text(model, (int32_t)id, &size);
    if (!text || size < 5 || size > 40 || memcmp(text, "\xe2\x96\x81", 3) != 0) return NULL;
    for (size_t i = 3; i < size; i++)
        if (text[i] < 'a' || text[i] > 'z') return NULL;
    *out_size = size - 3;
    return text + 3;
}

char *bench_text(bench *b, size_t n, uint64_t seed, size_t *out_tokens) {
    uint64_t state = seed;
    size_t capacity = n * 48, size = 0, count = 0;
    char *text = malloc(capacity);
    if (!text) return NULL;
    memcpy(text, "The", 4);
    size = 3;
    *out_tokens = 0;
    for (size_t tries = 0; tries < n * 1000 && *out_tokens < n && size + 48 < capacity; tries++) {
        size_t word_size = 0, before = size;
        const char *word = plain_word(b->host.model, draw(&state) % bezel_model_vocab_size(b->host.model), &word_size);
        if (!word) continue;
        text[size++] = ' ';
        memcpy(text + size, word, word_size);
        text[size += word_size] = 0;
        bezel_tokenize(NULL, 0, &count, b->host.model, text, size, BEZEL_TOKENIZE_BOS, &b->host.error);
        if (count > n)
            text[size = before] = 0;
        else
            *out_tokens = count;
    }
    if (*out_tokens == 0) bezel_tokenize(NULL, 0, out_tokens, b->host.model, text, size, BEZEL_TOKENIZE_BOS, &b->host.error);
    return text;
}
