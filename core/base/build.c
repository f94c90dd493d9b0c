/* SPDX-License-Identifier: MIT */
/* What this build is: its version and its parts. A part is a folder or file that can be left out of the tree; a build that
 * leaves one out while it is there says so with -DBZ_HAS_<PART>=0. The only file that looks to the right of core, and it
 * looks only whether something is there. */
#include <bezel/base.h>

#include <string.h>

#ifndef BZ_HAS_HTTP
#if __has_include("base/http.c")
#define BZ_HAS_HTTP 1
#else
#define BZ_HAS_HTTP 0
#endif
#endif

#ifndef BZ_HAS_BLAS
#if __has_include("compute/blas.c")
#define BZ_HAS_BLAS 1
#else
#define BZ_HAS_BLAS 0
#endif
#endif

#ifndef BZ_HAS_AGENTS
#if __has_include("../agents/include/bezel/agent.h")
#define BZ_HAS_AGENTS 1
#else
#define BZ_HAS_AGENTS 0
#endif
#endif

#ifndef BZ_HAS_MCP
#if __has_include("../tools/mcp/mcp.c")
#define BZ_HAS_MCP 1
#else
#define BZ_HAS_MCP 0
#endif
#endif

#ifndef BZ_HAS_STORE
#if __has_include("../store/include/bezel/store.h")
#define BZ_HAS_STORE 1
#else
#define BZ_HAS_STORE 0
#endif
#endif

#ifndef BZ_HAS_LUA
#if __has_include("../bindings/lua/lbezel.h")
#define BZ_HAS_LUA 1
#else
#define BZ_HAS_LUA 0
#endif
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define BZ_HAS_AVX2 1
#define BZ_HAS_AVX512 1
#else
#define BZ_HAS_AVX2 0
#define BZ_HAS_AVX512 0
#endif

#if defined(__aarch64__) && __has_include("compute/kernel_neon.c")
#define BZ_HAS_NEON 1
#else
#define BZ_HAS_NEON 0
#endif

const char *bezel_version(void)
{
    return BEZEL_VERSION_TEXT;
}

int32_t bezel_has(const char *part)
{
    static const struct {
        const char *name;
        int32_t has;
    } parts[] = {
        {"http", BZ_HAS_HTTP}, {"mcp", BZ_HAS_MCP},   {"store", BZ_HAS_STORE},   {"agents", BZ_HAS_AGENTS}, {"lua", BZ_HAS_LUA},
        {"blas", BZ_HAS_BLAS}, {"avx2", BZ_HAS_AVX2}, {"avx512", BZ_HAS_AVX512}, {"neon", BZ_HAS_NEON},
    };
    for (size_t i = 0; part != NULL && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].name, part) == 0)
            return parts[i].has;
    }
    return 0;
}
