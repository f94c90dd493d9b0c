/* SPDX-License-Identifier: MIT */
/* Writes a Gemma 3 file of 3 MiB whose weights are a script, so that programs can be tested from the question to the
 * answer without a real model:
 *
 *     script_model OUT.gguf KIND CALL ANSWER       KIND: pretrained or instruct; CALL or ANSWER may be "-"
 *
 * After the opening of its turn the model writes FUNCTION_CALL: CALL; where a result of that function stands in the
 * conversation, it writes ANSWER instead. A text with the word "forever" makes it write " and" without end.
 *
 * How: one dimension a token, the output layer maps each token to its successor. One attention layer without scores
 * averages over all positions; its values see two kinds of tokens (results, "forever"), and the norm after it makes a flag
 * of the average, however small it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "format/gguf_writer.h"
#include "text/vocab.h"

enum { D = 768, F = 32, DH = 32, MAX_TOKENS = 700, MAX_WORDS = 100, DIM_RESULT = D - 1, DIM_FOREVER = D - 2 };

typedef struct script {
    char texts[MAX_TOKENS][200];
    const char *pointers[MAX_TOKENS];
    uint32_t sizes[MAX_TOKENS];
    float scores[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    uint32_t count;
    uint32_t starts[2];   /* ":" and newline: what an assistant's turn opens with */
    uint32_t results[4], n_results, forever, and_again;
    uint32_t call, words[MAX_WORDS], n_words; /* call 0 = none */
    float embedding[MAX_TOKENS * D], output[MAX_TOKENS * D];
    float v[DH * D], o[D * DH], zeros[F * D], ones[D];
} script;

static script s; /* 5 MiB: too much for a stack */

/* --- Vocabulary --------------------------------------------------------------------------- */

static uint32_t token(const char *text, int32_t type)
{
    uint32_t id = s.count++;
    if (id >= MAX_TOKENS || strlen(text) >= sizeof s.texts[0]) {
        fprintf(stderr, "script_model: too many or too long texts\n");
        exit(1);
    }
    memcpy(s.texts[id], text, strlen(text) + 1);
    s.pointers[id] = s.texts[id];
    s.sizes[id] = (uint32_t)strlen(text);
    s.types[id] = type;
    s.scores[id] = type == BZ_TOKEN_NORMAL ? -(float)id : 0.0f;
    return id;
}

/* A piece with U+2581 for each blank. */
static uint32_t piece(const char *text, int32_t type)
{
    char out[sizeof s.texts[0]];
    size_t n = 0;
    for (; *text && n + 4 < sizeof out; text++) {
        if (*text == ' ') {
            memcpy(out + n, "\xe2\x96\x81", 3);
            n += 3;
        } else {
            out[n++] = *text;
        }
    }
    out[n] = 0;
    return token(out, type);
}

static void vocabulary(void)
{
    static const char *const control[] = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"};
    char text[8];
    for (size_t i = 0; i < sizeof control / sizeof *control; i++)
        token(control[i], BZ_TOKEN_CONTROL);
    s.starts[1] = token("\n", BZ_TOKEN_USER_DEFINED);
    for (int b = 0; b < 256; b++) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        token(text, BZ_TOKEN_BYTE);
    }
    for (char c = '!'; c <= '~'; c++) {
        char one[2] = {c, 0};
        uint32_t id = token(one, BZ_TOKEN_NORMAL);
        if (c == ':')
            s.starts[0] = id;
    }
    token("\xe2\x96\x81", BZ_TOKEN_NORMAL);
}

/* The tokens of the script; `lead` is the blank before an answer in a transcript. */
static void words(const char *lead, const char *call, const char *answer)
{
    static const char *const forms[] = {"Result: %s", "FUNCTION_RESULT: %s", "FUNCTION_ERROR: %s"};
    char text[200], name[80];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(call, "("), call);
    if (strcmp(call, "-") != 0) {
        snprintf(text, sizeof text, "%sFUNCTION_CALL: %s", lead, call);
        s.call = piece(text, BZ_TOKEN_NORMAL);
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t head = strcspn(forms[i], "%");
        snprintf(text, sizeof text, "%.*s%s", (int)head, forms[i], name);
        s.results[s.n_results++] = token(text, BZ_TOKEN_USER_DEFINED);
    }
    s.forever = token("forever", BZ_TOKEN_USER_DEFINED);
    s.and_again = piece(" and", BZ_TOKEN_NORMAL);
    while (*answer && strcmp(answer, "-") != 0 && s.n_words < MAX_WORDS) {
        size_t n = strcspn(answer, " ");
        snprintf(text, sizeof text, "%s%.*s", s.n_words ? " " : lead, (int)n, answer);
        s.words[s.n_words++] = piece(text, BZ_TOKEN_NORMAL);
        answer += n + (answer[n] == ' ');
    }
}

/* --- Weights ------------------------------------------------------------------------------ */

static void weights(void)
{
    for (uint32_t t = 0; t < s.count; t++) {
        s.embedding[t * D + t] = 1;
        s.output[1 * D + t] = 3; /* what has no successor ends the turn */
        s.output[s.and_again * D + t] = -1;
    }
    for (int i = 0; i < 2; i++) {
        if (s.call)
            s.output[s.call * D + s.starts[i]] = 10;
        if (s.n_words)
            s.output[s.words[0] * D + s.starts[i]] = s.call ? 9 : 10;
    }
    if (s.call && s.n_words)
        s.output[s.words[0] * D + DIM_RESULT] = 2;
    for (uint32_t i = 1; i < s.n_words; i++)
        s.output[s.words[i] * D + s.words[i - 1]] = 10;
    s.output[s.and_again * D + DIM_FOREVER] = 50;
    for (uint32_t i = 0; i < s.n_results; i++)
        s.v[0 * D + s.results[i]] = 100;
    s.v[1 * D + s.forever] = 100;
    s.o[DIM_RESULT * DH + 0] = 1;
    s.o[DIM_FOREVER * DH + 1] = 1;
    for (int i = 0; i < D; i++)
        s.ones[i] = 1;
}

static void tensor(bz_gguf_writer *g, const char *name, uint64_t K, uint64_t N, const float *data)
{
    uint64_t dims[2] = {K, N};
    bz_gguf_writer_tensor(g, name, BZ_DTYPE_F32, N ? 2 : 1, dims, data, (size_t)(K * (N ? N : 1)) * sizeof *data);
}

static void tensors(bz_gguf_writer *g)
{
    tensor(g, "token_embd.weight", D, s.count, s.embedding);
    tensor(g, "output.weight", D, s.count, s.output);
    tensor(g, "output_norm.weight", D, 0, s.ones);
    tensor(g, "blk.0.attn_norm.weight", D, 0, s.ones);
    tensor(g, "blk.0.attn_q.weight", D, DH, s.zeros);
    tensor(g, "blk.0.attn_k.weight", D, DH, s.zeros);
    tensor(g, "blk.0.attn_v.weight", D, DH, s.v);
    tensor(g, "blk.0.attn_output.weight", DH, D, s.o);
    tensor(g, "blk.0.attn_q_norm.weight", DH, 0, s.ones);
    tensor(g, "blk.0.attn_k_norm.weight", DH, 0, s.ones);
    tensor(g, "blk.0.post_attention_norm.weight", D, 0, s.ones);
    tensor(g, "blk.0.ffn_norm.weight", D, 0, s.ones);
    tensor(g, "blk.0.ffn_gate.weight", D, F, s.zeros);
    tensor(g, "blk.0.ffn_up.weight", D, F, s.zeros);
    tensor(g, "blk.0.ffn_down.weight", F, D, s.zeros);
    tensor(g, "blk.0.post_ffw_norm.weight", D, 0, s.ones);
}

/* --- File --------------------------------------------------------------------------------- */

static void numbers(bz_gguf_writer *g, int is_instruct)
{
    static const struct {
        const char *key;
        uint32_t value;
    } rows[] = {{"gemma3.context_length", 8192},
                {"gemma3.embedding_length", D},
                {"gemma3.block_count", 1},
                {"gemma3.feed_forward_length", F},
                {"gemma3.attention.head_count", 1},
                {"gemma3.attention.head_count_kv", 1},
                {"gemma3.attention.key_length", DH},
                {"gemma3.attention.value_length", DH},
                {"gemma3.attention.sliding_window", 512},
                {"gemma3.attention.sliding_window_pattern", 1},
                {"tokenizer.ggml.bos_token_id", 2},
                {"tokenizer.ggml.eos_token_id", 1},
                {"tokenizer.ggml.unknown_token_id", 3},
                {"tokenizer.ggml.padding_token_id", 0}};
    bz_gguf_writer_text(g, "general.architecture", "gemma3", SIZE_MAX);
    bz_gguf_writer_text(g, "general.name", "Script model", SIZE_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        bz_gguf_writer_uint(g, rows[i].key, BZ_GGUF_U32, rows[i].value);
    bz_gguf_writer_float(g, "gemma3.attention.layer_norm_rms_epsilon", BZ_GGUF_F32, 1e-6);
    bz_gguf_writer_float(g, "gemma3.rope.freq_base", BZ_GGUF_F32, 1e6);
    bz_gguf_writer_text(g, "tokenizer.ggml.model", "llama", SIZE_MAX);
    bz_gguf_writer_texts(g, "tokenizer.ggml.tokens", s.pointers, s.sizes, s.count);
    bz_gguf_writer_array(g, "tokenizer.ggml.scores", BZ_GGUF_F32, s.scores, s.count);
    bz_gguf_writer_array(g, "tokenizer.ggml.token_type", BZ_GGUF_I32, s.types, s.count);
    bz_gguf_writer_uint(g, "tokenizer.ggml.add_bos_token", BZ_GGUF_BOOL, 1);
    bz_gguf_writer_uint(g, "tokenizer.ggml.add_space_prefix", BZ_GGUF_BOOL, 0);
    if (is_instruct)
        bz_gguf_writer_text(g, "tokenizer.chat_template",
                            "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n"
                            "{% endfor %}",
                            SIZE_MAX);
}

int main(int argc, char **argv)
{
    bezel_world world;
    bezel_error err = BEZEL_ERROR_INIT;
    bz_gguf_writer *g = NULL;
    if (argc != 5 || (strcmp(argv[2], "pretrained") != 0 && strcmp(argv[2], "instruct") != 0)) {
        fprintf(stderr, "usage: script_model OUT.gguf pretrained|instruct CALL ANSWER\n");
        return 2;
    }
    int is_instruct = strcmp(argv[2], "instruct") == 0;
    bezel_world_init(&world);
    vocabulary();
    words(is_instruct ? "" : " ", argv[3], argv[4]);
    weights();
    bezel_status st = bz_gguf_writer_new(&g, &world, &err);
    if (st == BEZEL_OK) {
        numbers(g, is_instruct);
        tensors(g);
        st = bz_gguf_writer_file(g, argv[1], &err);
    }
    bz_gguf_writer_free(g);
    if (st != BEZEL_OK)
        fprintf(stderr, "script_model: %s\n", err.text);
    return st == BEZEL_OK ? 0 : 1;
}
