/* SPDX-License-Identifier: MIT */
/* What every Bezel header needs: version, status codes, errors, the world and the log.
 *
 *     bezel_error err = BEZEL_ERROR_INIT;
 *     if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK)
 *         fprintf(stderr, "%s\n%s\n", err.text, err.hint);
 *
 * Nothing here holds state: no function of Bezel writes a global variable. */
#ifndef BEZEL_BASE_H
#define BEZEL_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BEZEL_VERSION_MAJOR 0
#define BEZEL_VERSION_MINOR 1
#define BEZEL_VERSION_PATCH 0
#define BEZEL_VERSION_TEXT "0.1.0"

#if defined(_WIN32)
#define BEZEL_API __declspec(dllimport)
#elif defined(__GNUC__)
#define BEZEL_API __attribute__((visibility("default")))
#else
#define BEZEL_API
#endif

/* --- Status ------------------------------------------------------------------------------- */

/* 0 is success, negative a failure, positive an outcome that is no failure. Values are never reused. */
typedef int32_t bezel_status;

enum {
    BEZEL_OK = 0,

    BEZEL_MORE = 1,         /* the job has work left: step again */
    BEZEL_TOKEN = 2,        /* the job has work left and an event to read */
    BEZEL_TOOL_PENDING = 3, /* a tool has not answered yet: step again later */
    BEZEL_DONE = 4,         /* the job is finished, its result can be read */

    BEZEL_ERR_MEMORY = -1,       /* an allocation failed; the object is unchanged */
    BEZEL_ERR_ARGUMENT = -2,     /* a parameter is wrong: NULL, unknown option, wrong object state */
    BEZEL_ERR_IO = -3,           /* the system refused a file, pipe or thread operation */
    BEZEL_ERR_FORMAT = -4,       /* the bytes do not follow the format they claim */
    BEZEL_ERR_VERSION = -5,      /* a format or struct version that this build cannot read */
    BEZEL_ERR_TRUNCATED = -6,    /* the input ends too early */
    BEZEL_ERR_LIMIT = -7,        /* larger than a documented limit */
    BEZEL_ERR_OVERFLOW = -8,     /* a size computation does not fit */
    BEZEL_ERR_TYPE = -9,         /* a value has the wrong type */
    BEZEL_ERR_RANGE = -10,       /* a value is outside its range */
    BEZEL_ERR_SHAPE = -11,       /* a tensor or array has the wrong shape */
    BEZEL_ERR_DUPLICATE = -12,   /* a name occurs twice */
    BEZEL_ERR_MISSING = -13,     /* something required is not there */
    BEZEL_ERR_UNSUPPORTED = -14, /* valid, but not something this build can do */
    BEZEL_ERR_NUMERIC = -15,     /* NaN or infinity where a number is needed */
    BEZEL_ERR_CHANGED = -16,     /* a file changed while it was in use */
    BEZEL_ERR_FULL = -17,        /* the context or the disk has no room for what was asked */
    BEZEL_ERR_CANCELLED = -18,   /* bezel_*_cancel was called */
    BEZEL_ERR_TIMEOUT = -19,     /* a deadline passed */
    BEZEL_ERR_CALLBACK = -20,    /* a function of the host failed; the text is the host's */
    BEZEL_ERR_DENIED = -21,      /* policy forbids it (private address, read-only store, ...) */
    BEZEL_ERR_LOOP = -22,        /* the agent repeated itself and was stopped */
    BEZEL_ERR_STORE = -23,       /* SQLite reported an error */
    BEZEL_ERR_BUSY = -24,        /* another thread or process holds the object */
    BEZEL_ERR_NETWORK = -25,     /* name lookup, connection, TLS or HTTP failure */
    BEZEL_ERR_CHECKSUM = -26,    /* the bytes do not have the hash that was asked for */
    BEZEL_ERR_PARSE = -27,       /* text of a model or user cannot be read as what it should be */
    BEZEL_ERR_INTERNAL = -28     /* a broken promise inside Bezel; please report it */
};

/* Name of a status in lower case without prefix ("ok", "memory", "truncated", ...), "unknown" for any other number.
 *   Owns     static text
 *   Thread   any */
BEZEL_API const char *bezel_status_name(bezel_status status);

/* What went wrong, filled by the lowest function that knows the cause. Pass NULL where you do not care.
 * A failing call overwrites the struct; a succeeding one leaves it as it is. All texts are NUL-terminated valid
 * UTF-8 without control characters, cut at a character border when too long. */
typedef struct bezel_error {
    uint32_t size;       /* sizeof(bezel_error), set by BEZEL_ERROR_INIT */
    bezel_status status; /* the code that the call returned */
    int64_t offset;      /* byte offset in the file or text, -1 when there is none */
    char origin[32];     /* module that reports it: "gguf", "tokenizer", "store" */
    char text[512];      /* one sentence: what, where, value found, value expected */
    char hint[256];      /* what to do about it, or empty */
    char place[256];     /* file, key, tensor, tool or parameter, or empty */
} bezel_error;

#define BEZEL_ERROR_INIT {sizeof(bezel_error), 0, -1, "", "", "", ""}

/* --- World -------------------------------------------------------------------------------- */

typedef struct bezel_file bezel_file;     /* what file_open of a world returns; its meaning is the world's */
typedef struct bezel_thread bezel_thread; /* what thread_start of a world returns */

enum {
    BEZEL_FILE_READ = 1,   /* existing regular file, read only */
    BEZEL_FILE_CREATE = 2, /* create or truncate, mode 0600, read and write */
};

/* What a file is, to notice that it changed while in use. */
typedef struct bezel_file_info {
    uint64_t size;     /* bytes */
    int64_t mtime_ns;  /* last change, nanoseconds since 1970 */
    uint64_t identity; /* device and inode mixed; 0 when unknown */
} bezel_file_info;

/* Everything Bezel takes from the system goes through this table, given once at engine creation and copied.
 * NULL members are filled with the system's own. Every function may be called from any thread. Functions that can
 * fail return BEZEL_OK or a negative status (they fill no bezel_error; the caller knows the place). The system's file
 * functions give MISSING (no such file), DENIED (no right), FULL (no room), TRUNCATED (read past the end), else IO; only
 * regular files are opened, created ones are private and follow no link. */
typedef struct bezel_world {
    uint32_t size; /* sizeof(bezel_world) */
    uint32_t reserved;
    void *ud; /* first argument of each function */

    /* realloc, malloc (ptr NULL, old_size 0) and free (new_size 0) in one; NULL on failure, which leaves ptr valid.
     * Blocks are aligned to 16 bytes. */
    void *(*allocate)(void *ud, void *ptr, size_t old_size, size_t new_size);
    int64_t (*monotonic_ns)(void *ud); /* never goes back; nanoseconds from an arbitrary start */
    int64_t (*wall_ms)(void *ud);      /* milliseconds since 1970, UTC */
    bezel_status (*random)(void *ud, void *buffer, size_t size); /* unpredictable bytes */

    bezel_status (*file_open)(void *ud, bezel_file **out, const char *path, uint32_t mode);
    bezel_status (*file_info)(void *ud, bezel_file *file, bezel_file_info *out);
    bezel_status (*file_read)(void *ud, bezel_file *file, uint64_t offset, void *buffer, size_t size); /* all or error */
    bezel_status (*file_write)(void *ud, bezel_file *file, uint64_t offset, const void *bytes, size_t size);
    bezel_status (*file_map)(void *ud, bezel_file *file, uint64_t size, const void **out); /* read-only, shared */
    void (*file_unmap)(void *ud, const void *address, uint64_t size);
    bezel_status (*file_sync)(void *ud, bezel_file *file);
    void (*file_close)(void *ud, bezel_file *file);
    bezel_status (*file_rename)(void *ud, const char *from, const char *to); /* replaces `to` at once */
    bezel_status (*file_remove)(void *ud, const char *path);

    /* Starts fn(arg) on a new thread with all signals blocked; name is at most 15 bytes. */
    bezel_status (*thread_start)(void *ud, bezel_thread **out, const char *name, void (*fn)(void *arg), void *arg);
    void (*thread_join)(void *ud, bezel_thread *thread);
} bezel_world;

/* The system's own world.
 *   Thread   any */
BEZEL_API void bezel_world_init(bezel_world *out);

/* --- Log ---------------------------------------------------------------------------------- */

enum {
    BEZEL_LOG_ERROR = 1,
    BEZEL_LOG_WARNING = 2,
    BEZEL_LOG_INFO = 3,
    BEZEL_LOG_DEBUG = 4
};

/* One line of log: valid UTF-8, no newline, no control characters, never prompt or answer text. Called only inside a
 * call that the host made on that engine, on the host's thread; lines of other threads wait for the next such call. */
typedef void (*bezel_log_fn)(void *ud, uint32_t level, const char *origin, const char *text);

/* --- Build -------------------------------------------------------------------------------- */

/* Version of the library that is running, "0.1.0".
 *   Thread   any */
BEZEL_API const char *bezel_version(void);

/* Whether this build has an optional part: "http", "store", "agents", "lua", "blas", "avx2", "avx512", "neon".
 * The ISA names tell what was compiled in, not what the machine can do.
 *   Returns  1 or 0
 *   Thread   any */
BEZEL_API int32_t bezel_has(const char *part);

#ifdef __cplusplus
}
#endif
#endif
