/* SPDX-License-Identifier: MIT */
/* What every Bezel header needs: version, status codes, errors, the world and the log.
 *
 *     bezel_error err = BEZEL_ERROR_INIT;
 *     bezel_engine *engine = NULL;
 *     if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK)
 *         fprintf(stderr, "%s: %s\n%s\n", bezel_status_name(err.status), err.text, err.hint);
 *
 * Rules that hold for all headers:
 * A function that can fail returns a bezel_status and takes an optional bezel_error as its last parameter.
 * An object that comes through an out-pointer is the caller's until its free function; that function takes NULL.
 * After a failure an out-pointer is NULL; only when a parameter was NULL it may be as it was, so set it to NULL before
 * the call. A struct that is to be filled is as it was.
 * A plain pointer that is returned belongs to the object it came from.
 * Texts that are handed in are copied unless their comment says "borrowed".
 * A text with a size may be given with size SIZE_MAX, which means strlen(text), where the comment says so.
 * Option structs begin with their size: fill them with their init function, then set members. NULL options are the
 * defaults. A struct of an older header is accepted; one of a newer header is BEZEL_ERR_VERSION when it sets a member
 * that this library does not know; a size of 0 or over 4096 is BEZEL_ERR_ARGUMENT.
 * No function of Bezel writes a global variable, changes the locale, installs a signal handler, prints or exits. */
#ifndef BEZEL_BASE_H
#define BEZEL_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this header: major, minor, patch. Minor versions add, only a major one removes; option structs grow at
 * their end only, and the values of enums are never used again for something else.
 * bezel_version tells the version of the library that runs. */
#define BEZEL_VERSION_MAJOR 0
#define BEZEL_VERSION_MINOR 1
#define BEZEL_VERSION_PATCH 0
#define BEZEL_VERSION_TEXT "0.1.0"

/* Marks what the shared library exports; a function without it is no part of the interface. */
#if defined(_WIN32)
#define BEZEL_API __declspec(dllimport)
#elif defined(__GNUC__)
#define BEZEL_API __attribute__((visibility("default")))
#else
#define BEZEL_API
#endif

/* --- Status ------------------------------------------------------------------------------- */

/* 0 is success, negative a failure, positive an outcome that is no failure. Values are never reused. A caller acts on
 * the code and shows the text of the error. */
typedef int32_t bezel_status;

/* The codes. Which of them a function gives, and what state its object has then, stands in its Errors line; MEMORY and
 * ARGUMENT (for NULL where an object or text is needed) are possible everywhere and not repeated there. */
enum {
    /* success */
    BEZEL_OK = 0,

    /* the job has work left: step again */
    BEZEL_MORE = 1,
    /* an event waits to be read; the work may go on or be over */
    BEZEL_TOKEN = 2,
    /* a tool has not answered yet: step again later, after its own source had news */
    BEZEL_TOOL_PENDING = 3,
    /* the job or turn is finished, its result can be read */
    BEZEL_DONE = 4,

    /* an allocation failed; unless its comment says otherwise the object is as before the call and can be used again */
    BEZEL_ERR_MEMORY = -1,
    /* a parameter is wrong: NULL, an unknown option, or a call that the state of the object does not allow: a fault of
     * the program, not of its input */
    BEZEL_ERR_ARGUMENT = -2,
    /* the system refused a file, pipe or thread operation */
    BEZEL_ERR_IO = -3,
    /* the bytes do not follow the format they claim; offset tells where */
    BEZEL_ERR_FORMAT = -4,
    /* a format or struct version that this build cannot read: one of the two is newer than the other */
    BEZEL_ERR_VERSION = -5,
    /* the input ends too early */
    BEZEL_ERR_TRUNCATED = -6,
    /* larger than a documented limit; the text has both numbers */
    BEZEL_ERR_LIMIT = -7,
    /* a size computation does not fit its type; the input is hostile or damaged */
    BEZEL_ERR_OVERFLOW = -8,
    /* a value has the wrong type */
    BEZEL_ERR_TYPE = -9,
    /* a value is outside its range; place names the option or parameter */
    BEZEL_ERR_RANGE = -10,
    /* a tensor or array has the wrong shape */
    BEZEL_ERR_SHAPE = -11,
    /* a name occurs twice */
    BEZEL_ERR_DUPLICATE = -12,
    /* something required is not there: a file, a key, a tensor, a conversation */
    BEZEL_ERR_MISSING = -13,
    /* valid, but not something this build can do */
    BEZEL_ERR_UNSUPPORTED = -14,
    /* NaN or infinity where a number is needed:
     * damaged weights, or a value that JSON cannot say */
    BEZEL_ERR_NUMERIC = -15,
    /* a file changed while it was in use */
    BEZEL_ERR_CHANGED = -16,
    /* the context has no room for the tokens: raise n_ctx or shorten; of file functions: the disk has none for the
     * bytes */
    BEZEL_ERR_FULL = -17,
    /* bezel_job_cancel or bezel_agent_cancel was called; what had been written can be read */
    BEZEL_ERR_CANCELLED = -18,
    /* a deadline passed */
    BEZEL_ERR_TIMEOUT = -19,
    /* a function of the host failed: a body or score function, or a tool */
    BEZEL_ERR_CALLBACK = -20,
    /* policy forbids it: a private address, a write to a read-only store, a name that is no tool, or the system said
     * no */
    BEZEL_ERR_DENIED = -21,
    /* the model repeated its calls or never answered, and the turn was stopped */
    BEZEL_ERR_LOOP = -22,
    /* SQLite reported an error that has no code of its own here; its words are in the text */
    BEZEL_ERR_STORE = -23,
    /* the object is in use: a generation or turn runs, or another process writes; try again after it */
    BEZEL_ERR_BUSY = -24,
    /* name lookup, connection, TLS or HTTP failure */
    BEZEL_ERR_NETWORK = -25,
    /* the bytes do not have the hash that was asked for */
    BEZEL_ERR_CHECKSUM = -26,
    /* text of a model cannot be read as what it should be: a call, or the arguments of one */
    BEZEL_ERR_PARSE = -27,
    /* a broken promise inside Bezel; please report it */
    BEZEL_ERR_INTERNAL = -28
};

/* Name of a status in lower case without prefix ("ok", "memory", "truncated", ...), "unknown" for any other number.
 * For logs and records; people are better served by the text of the error.
 *   Owns     static text
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_status_name(bezel_status status);

/* What went wrong, filled by the lowest function that knows the cause. Pass NULL where you do not care.
 * A failing call overwrites the struct; a succeeding one leaves it as it is. All texts are NUL-terminated valid UTF-8.
 * Control characters, bidirectional marks and invalid bytes in them appear as \xNN; a text that is too long is cut at a
 * character border. Nothing is allocated, so the struct needs no free and may be copied.
 * One struct may serve many calls one after the other. Compare status, not the words: they may change with any version.
 *   Thread   the caller's own */
typedef struct bezel_error {
    /* sizeof(bezel_error), set by BEZEL_ERROR_INIT */
    uint32_t size;
    /* the code that the call returned; BEZEL_OK in a fresh struct */
    bezel_status status;
    /* byte in the file or text (in a list of ids, the index), -1 when there is none */
    int64_t offset;
    /* module that reports it: "gguf", "tokenizer", "store" */
    char origin[32];
    /* one sentence: what, where, value found, value expected */
    char text[512];
    /* what to do about it, or empty */
    char hint[256];
    /* file, key, tensor, tool or option that it is about, or empty */
    char place[256];
} bezel_error;

/* Initial value of a bezel_error: bezel_error err = BEZEL_ERROR_INIT; */
#define BEZEL_ERROR_INIT {sizeof(bezel_error), 0, -1, "", "", "", ""}

/* --- World -------------------------------------------------------------------------------- */

/* What file_open of a world returns; its meaning is the world's. */
typedef struct bezel_file bezel_file;
/* What thread_start of a world returns; its meaning is the world's. */
typedef struct bezel_thread bezel_thread;

/* Mode of file_open: one of the two. */
enum {
    /* an existing regular file, read only */
    BEZEL_FILE_READ = 1,
    /* created or truncated, for the owner only (0600), read and write */
    BEZEL_FILE_CREATE = 2,
};

/* What a file is, to notice that it changed while in use. */
typedef struct bezel_file_info {
    /* bytes */
    uint64_t size;
    /* last change, nanoseconds since 1970 */
    int64_t mtime_ns;
    /* device and inode mixed into one number; 0 when unknown */
    uint64_t identity;
} bezel_file_info;

/* Everything Bezel takes from the system goes through this table, given once at engine creation and copied.
 * Give your own to count or limit memory, to read models from an archive, or to make time and randomness repeatable.
 * Members that are NULL are filled with the system's own, which ignore `ud`. Two things do not pass through it: the
 * memory of SQLite, cJSON and libcurl, and the environment variable BEZEL_ISA.
 *
 *     bezel_world world;
 *     bezel_world_init(&world);
 *     world.ud = &my_pool;
 *     world.allocate = my_allocate;    // memory from a pool of the host
 *     options.world = &world;
 *     bezel_engine_new(&engine, &options, &err);
 *
 * Functions that can fail return BEZEL_OK or a negative status; they fill no bezel_error, since the caller knows the
 * place.
 * The system's file functions give MISSING (no such file), DENIED (no right), FULL (no room), MEMORY, TRUNCATED (read
 * past the end), OVERFLOW (an offset beyond 2^63), else IO.
 * They open regular files only, not those of /proc and /sys; a file they create follows no symbolic link.
 * They keep errno as it was.
 *   Owns     the engine copies the table; what ud points to must outlive the engine
 *   Thread   every function may be called from any thread, several at once */
typedef struct bezel_world {
    /* set by bezel_world_init; read as that of an option struct */
    uint32_t size;
    /* 0 */
    uint32_t reserved;
    /* first argument of each function */
    void *ud;

    /* realloc, malloc (ptr NULL, old_size 0) and free (new_size 0) in one. NULL on failure, which leaves ptr valid.
     * Blocks are aligned to 16 bytes. old_size is exactly what was asked for last. */
    void *(*allocate)(void *ud, void *ptr, size_t old_size, size_t new_size);
    /* nanoseconds from an arbitrary start; never goes back */
    int64_t (*monotonic_ns)(void *ud);
    /* milliseconds since 1970, UTC */
    int64_t (*wall_ms)(void *ud);
    /* fills the buffer with bytes that nobody can predict: seeds of samplers and of hash tables, ids of a store */
    bezel_status (*random)(void *ud, void *buffer, size_t size);

    /* opens a file; mode is BEZEL_FILE_... */
    bezel_status (*file_open)(void *ud, bezel_file **out, const char *path, uint32_t mode);
    /* size, time of change and identity of an open file */
    bezel_status (*file_info)(void *ud, bezel_file *file, bezel_file_info *out);
    /* reads all `size` bytes at `offset`, or fails; a file that is shorter is BEZEL_ERR_TRUNCATED. Several threads may
     * read one file at once */
    bezel_status (*file_read)(void *ud, bezel_file *file, uint64_t offset, void *buffer, size_t size);
    /* writes all bytes at `offset`, or fails; what was written of them before a failure is not known */
    bezel_status (*file_write)(void *ud, bezel_file *file, uint64_t offset, const void *bytes, size_t size);
    /* the first `size` bytes as memory, read-only and shared with other processes that map the file; stays after
     * file_close. size is at least 1 */
    bezel_status (*file_map)(void *ud, bezel_file *file, uint64_t size, const void **out);
    /* ends a mapping, with the size it was made with */
    void (*file_unmap)(void *ud, const void *address, uint64_t size);
    /* returns when the bytes survive a power loss */
    bezel_status (*file_sync)(void *ud, bezel_file *file);
    /* closes an open file */
    void (*file_close)(void *ud, bezel_file *file);
    /* gives a file a new name in one step; a file of that name is replaced, and the new name survives a power loss
     * where the file system can promise that */
    bezel_status (*file_rename)(void *ud, const char *from, const char *to);
    /* removes a file */
    bezel_status (*file_remove)(void *ud, const char *path);

    /* starts fn(arg) on a new thread with all signals blocked, so that the host's handlers run on the host's threads;
     * name is at most 15 bytes, a longer one is cut */
    bezel_status (*thread_start)(void *ud, bezel_thread **out, const char *name, void (*fn)(void *arg), void *arg);
    /* waits for the end of the thread and frees it */
    void (*thread_join)(void *ud, bezel_thread *thread);

    /* calls fn with the name of each entry of a folder, in any order. Used to clean cache_folder of a model: a world whose
     * files lie elsewhere than the system's gives its own */
    bezel_status (*file_list)(void *ud, const char *folder, void (*fn)(void *arg, const char *name), void *arg);
} bezel_world;

/* Fills the table with the system's own functions.
 * Call it before you replace single members; out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_world_init(bezel_world *out);

/* --- Log ---------------------------------------------------------------------------------- */

/* Levels of log lines. An engine with level n gives out lines of levels 1 to n. */
enum {
    /* something failed and no caller is there to be told; no line of this version has it, since every failure goes to
     * its caller as a bezel_error */
    BEZEL_LOG_ERROR = 1,
    /* it goes on, but not as one would expect: an odd key in a model file, a BLAS that failed its check */
    BEZEL_LOG_WARNING = 2,
    /* facts, once for an object: which kernels, how many threads, which BLAS.
     * A server keeps this level on */
    BEZEL_LOG_INFO = 3,
    /* details for people who look for a fault; no line of this version has it */
    BEZEL_LOG_DEBUG = 4
};

/* Takes one line of log: valid UTF-8, no newline, no control characters, at most 1023 bytes, never prompt or answer
 * text.
 * Called only inside a call that the host made on that engine or on something made with it, on the host's thread; lines
 * of other threads wait for the next such call (at most 256; then the oldest are dropped and a warning says how many).
 * `origin` is the module that has something to say, as in bezel_error; both texts live until the function returns. No
 * lock is held meanwhile.
 *   Thread   that of the host's call; with several host threads any of them, one at a time */
typedef void (*bezel_log_fn)(void *ud, uint32_t level, const char *origin, const char *text);

/* --- Build -------------------------------------------------------------------------------- */

/* Version of the library that is running, "0.1.0".
 * Compare it with BEZEL_VERSION_TEXT to notice that program and shared library are of different versions.
 *   Owns     static text
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_version(void);

/* 1 when this build has an optional part, 0 when not or when the name is unknown or NULL.
 * Names: "http", "store", "agents", "lua", "blas", "avx2", "avx512", "neon". The last three tell what was compiled in,
 * not what the machine can do; for that see bezel_engine_describe.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API int32_t bezel_has(const char *part);

#ifdef __cplusplus
}
#endif
#endif
