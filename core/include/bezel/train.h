/* SPDX-License-Identifier: MIT */
/* Training of an adapter (LoRA) from examples, as a job.
 *
 *     bezel_train_options o;
 *     bezel_train_options_init(&o);
 *     o.checkpoint = "teach.checkpoint";                       // goes on from there after a kill
 *     bezel_train(&job, model, examples, n, &o, &err);
 *     ... bezel_job_step or bezel_job_start; events are lines of the log ...
 *     bezel_train_adapter(&adapter, job, &err);                // when it is done
 *     bezel_adapter_save(adapter, "teach.gguf", BEZEL_ADAPTER_GGUF, &err);
 *
 * The model stays as it is. The same examples, options and machine give the same adapter, bit for bit, whatever the number
 * of threads, and however often the work was broken off and taken up again. */
#ifndef BEZEL_TRAIN_H
#define BEZEL_TRAIN_H

#include <bezel/adapter.h>
#include <bezel/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits of bezel_train_options.targets. */
enum {
    /* attention: queries, keys, values, output */
    BEZEL_TRAIN_Q = 1,
    BEZEL_TRAIN_K = 2,
    BEZEL_TRAIN_V = 4,
    BEZEL_TRAIN_O = 8,
    /* feed-forward: gate, up, down */
    BEZEL_TRAIN_GATE = 16,
    BEZEL_TRAIN_UP = 32,
    BEZEL_TRAIN_DOWN = 64,
    /* all of them */
    BEZEL_TRAIN_ALL = 127
};

/* Course of the learning rate after the warm-up. */
enum {
    /* stays */
    BEZEL_TRAIN_CONSTANT = 0,
    /* falls to 0 with the last step: in a line, or as half a cosine */
    BEZEL_TRAIN_LINEAR = 1,
    BEZEL_TRAIN_COSINE = 2
};

/* Numbers that the products with the model's matrices take. Sums, activations, gradients, the pairs' own products and the
 * optimiser are f32 in both. Measured on the 270M model: bf16 changes the first loss by 1e-4 of it and is 1.4 to 1.7 times as
 * fast. */
enum {
    /* bf16 where the processor multiplies it faster (AVX-512 with BF16), else f32 */
    BEZEL_TRAIN_AUTO = 0,
    /* all of it as floats: what gradients are compared in with those of other
     * libraries */
    BEZEL_TRAIN_F32 = 1,
    /* both sides rounded to bf16; works everywhere, faster than floats only where the
     * processor has products of bf16 */
    BEZEL_TRAIN_BF16 = 2
};

/* One text to learn from: the ids of the model's tokens, and which of them it is to learn to write. For a conversation the
 * ids are those of the model's chat form, and learned is what stands in the model's turns, with the mark that ends them.
 *   Shapes   ids [count]; learn [count], 1 for ids that count in the loss, 0 for what the model is only told; the first id
 *            never counts */
typedef struct bezel_train_example {
    /* tokens, as bezel_tokenize gives them */
    const int32_t *ids;
    /* 1 or 0 for each of them */
    const uint8_t *learn;
    /* number of tokens; what lies beyond max_length is cut off */
    size_t count;
} bezel_train_example;

/* How to train. bezel_train_options_init fills in what is named last in each comment. */
typedef struct bezel_train_options {
    /* set by bezel_train_options_init */
    uint32_t size;
    /* rank of the pairs, 1 to 256: how much an adapter can hold, and how large its file is; 16 */
    uint32_t rank;
    /* what the pairs add is multiplied by alpha / rank; 32 */
    float alpha;
    /* chance that a number that goes into a pair becomes 0, 0 to below 1; the others are divided by what is left. Measurements
     * are made without it; 0.1 */
    float dropout;
    /* matrices that get a pair: BEZEL_TRAIN_Q and others, or-ed; BEZEL_TRAIN_ALL */
    uint32_t targets;
    /* how the rate goes on after its rise: BEZEL_TRAIN_LINEAR and others; linear */
    uint32_t course;
    /* learning rate of AdamW at its highest. The default is a usual one for long runs; a few hundred
     * steps on a small model want more, some 4e-4; 2e-5 */
    double rate;
    /* steps over which the rate rises from almost nothing; 100 */
    uint32_t warm_up;
    /* packs a batch; 2 */
    uint32_t batch;
    /* batches a step: the optimiser sees the mean over the learned ids of batch * accumulation packs; the last step of an epoch
     * may have fewer; 8 */
    uint32_t accumulation;
    /* times that every example is used; 3 */
    uint32_t epochs;
    /* tokens of a pack at most, 2 to the model's context. Memory grows with it; 2048 */
    uint32_t max_length;
    /* 1: examples share a pack. Positions begin anew in each and nothing sees across, so it changes the speed and which
     * examples meet in a step, not what an example teaches. 0: each has a pack of its own; 1 */
    uint32_t packing;
    /* 1: what the layers computed is computed a second time on the way back and not kept. The bits are the same, the memory is
     * a fraction (270M model, 512 tokens: 106 MB in place of 569), the time more; 1 */
    uint32_t checkpointing;
    /* what the model's matrices are multiplied in: BEZEL_TRAIN_AUTO and others; auto */
    uint32_t compute;
    /* the gradient of all pairs together is no longer than this, as a vector; 0 = as it is; 1 */
    double clip;
    /* weight decay of AdamW, times the rate, on both halves of a pair; 0 */
    double decay;
    /* part of the examples that is kept aside to measure with and never learned, 0 to below 1, chosen by seed; 0.1 */
    double validation;
    /* measurements in a row that may bring no better loss before it ends early; 0 = goes on to the end; 0 */
    uint32_t patience;
    /* steps between two lines of the log; 10 */
    uint32_t log_every;
    /* steps between two measurements; the last step is always followed by one; 500 */
    uint32_t evaluate_every;
    /* steps between two checkpoints; the end and a cancel write one too; 500 */
    uint32_t save_every;
    /* order of the examples, first numbers and dropout; 1 */
    uint64_t seed;
    /* file that the state is written to, four times the size of the adapter's numbers, and that it is read from when it is
     * there: the run goes on behind the last step in it. It belongs to one model, one set of examples and the options above,
     * but for checkpointing, log_every and save_every. Delete it when the adapter is saved; NULL = none */
    const char *checkpoint;
} bezel_train_options;

/* Fills in the defaults above.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_train_options_init(bezel_train_options *out);

/* Begins to train an adapter, with A random and B zero: what the model says is at first what it said before.
 *
 * A unit of the job is one layer of one pack, or one scan of the output matrix, so a host with a frame to draw can step it,
 * and a server leaves it to the worker. Its progress is the part of the steps done. Its text events are lines of JSON, one
 * every log_every steps, loss and accuracy being means since the last one, length that of the last gradient before it was
 * clipped, tokens all that were taught:
 *
 *     {"step":10,"of":300,"epoch":0.100,"loss":2.31,"accuracy":0.48,"rate":2e-06,"length":1.7,"tokens":40960}
 *
 * and one after each measurement:
 *
 *     {"step":500,"validation_loss":0.91,"validation_accuracy":0.80}
 *
 * All memory is taken here. With checkpointing it is the layers' inputs of max_length tokens, the activations of one layer
 * twice, and five times the adapter.
 *
 *   Shapes   examples [count]; copied
 *   Owns     *out is the caller's, free with bezel_job_free before the model
 *   Thread   any; the job is confined
 *   Errors   ARGUMENT for NULL; RANGE for an option or an id; MISSING when no example has an id to learn; UNSUPPORTED for a
 *            model with soft caps; MEMORY. Of the job: NUMERIC when loss or gradient are not finite, and those of files
 *            for the checkpoint (the last whole one stays); FORMAT, CHECKSUM and others when the one that is there is of another run
 *            or damaged
 *   Source   Hu and others, "LoRA: Low-rank adaptation of large language models"; names and defaults as in peft
 *   Since    0.1 */
BEZEL_API bezel_status bezel_train(bezel_job **out, bezel_model *model, const bezel_train_example *examples, size_t count,
                                   const bezel_train_options *options, bezel_error *err);

/* The adapter of a job that is done; with measurements it is that of the best one.
 *   Owns     *out is the caller's, free with bezel_adapter_free; once a job
 *   Thread   that of the job
 *   Errors   ARGUMENT when the job is of another kind, not done, or was asked before; the job's own when it failed
 *   Since    0.1 */
BEZEL_API bezel_status bezel_train_adapter(bezel_adapter **out, bezel_job *job, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
