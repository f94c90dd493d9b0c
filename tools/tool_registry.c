/* SPDX-License-Identifier: MIT */
/* The set of tools of a host. Main invariant: a tool is in the set with everything it needs or not at all, names are
 * unique, and a failed add leaves the set as it was. Does not run tools and knows no prompt text. */
#include "tool_registry.h"

#include <bezel/engine.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "result_summary.h"

#define ORIGIN "tools"

/* --- Warnings ----------------------------------------------------------------------------- */

typedef struct add_context {
    bezel_toolset *tools;
    const char *name;
} add_context;

static void keep_warning(void *ud, const char *path, const char *keyword, const char *reason)
{
    const add_context *at = ud;
    bezel_toolset *tools = at->tools;
    char text[320];
    if (tools->n_warnings >= 1000) /* a schema of thousands of odd keywords tells nothing new */
        return;
    snprintf(text, sizeof text, "%.64s: %.120s: %.40s: %.80s", at->name, path, keyword, reason);
    if (tools->n_warnings == tools->warnings_capacity) {
        size_t wanted = tools->warnings_capacity == 0 ? 8 : tools->warnings_capacity * 2;
        char **grown = bz_realloc(tools->world, tools->warnings, wanted * sizeof *grown);
        if (grown == NULL) {
            tools->warn_failed = 1;
            return;
        }
        tools->warnings = grown;
        tools->warnings_capacity = wanted;
    }
    char *copy = bz_text_dup(tools->world, text, SIZE_MAX);
    if (copy == NULL)
        tools->warn_failed = 1;
    else
        tools->warnings[tools->n_warnings++] = copy;
}

static void drop_warnings(bezel_toolset *tools, size_t keep)
{
    while (tools->n_warnings > keep)
        bz_free(tools->world, tools->warnings[--tools->n_warnings]);
}

/* --- One tool ----------------------------------------------------------------------------- */

/* Frees what the set made; the host's ud is untouched. */
static void release_tool(const bezel_world *w, bz_tool *tool)
{
    if (tool->borrowed)
        return;
    bz_free(w, tool->summary);
    for (size_t i = 0; tool->examples != NULL && tool->examples[i] != NULL; i++)
        bz_free(w, tool->examples[i]);
    bz_free(w, tool->examples);
    bz_free(w, tool->name);
    bz_free(w, tool->description);
    bz_schema_free(tool->schema);
    bezel_tree_free(tool->tree);
    memset(tool, 0, sizeof *tool);
}

static int is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bezel_status check_name(const bezel_toolset *tools, const char *name, bezel_error *err)
{
    size_t n = name != NULL ? strlen(name) : 0;
    int good = n > 0 && n <= BZ_TOOL_NAME_BYTES && is_name_start(name[0]);
    for (size_t i = 0; i < n && good; i++)
        good = is_name_start(name[i]) || (name[i] >= '0' && name[i] <= '9') || name[i] == '.' || name[i] == '-';
    if (!good) {
        bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "tool name \"%.80s\": expected a letter or _, then letters, digits, _ . -",
                name != NULL ? name : "");
        bz_error_hint(err, BEZEL_ERR_RANGE, "use a name of 1 to 64 such characters, for example get_weather");
        return bz_error_place(err, BEZEL_ERR_RANGE, "%.80s", name != NULL ? name : "");
    }
    if (bz_tool_find(tools, name, n) != NULL) {
        bz_fail(err, BEZEL_ERR_DUPLICATE, ORIGIN, "tool %s is already in the set", name);
        bz_error_hint(err, BEZEL_ERR_DUPLICATE, "give each tool its own name");
        return bz_error_place(err, BEZEL_ERR_DUPLICATE, "%s", name);
    }
    return BEZEL_OK;
}

static bezel_status copy_texts(const bezel_world *w, bz_tool *to, const bezel_tool *from, bezel_error *err)
{
    to->name = bz_text_dup(w, from->name, SIZE_MAX);
    to->description = bz_text_dup(w, from->description != NULL ? from->description : "", SIZE_MAX);
    if (to->name == NULL || to->description == NULL)
        return bz_fail_memory(err, ORIGIN, "a tool", 0);
    if (from->summary != NULL) {
        to->summary = bz_text_dup(w, from->summary, SIZE_MAX);
        if (to->summary == NULL)
            return bz_fail_memory(err, ORIGIN, "the summary of a tool", strlen(from->summary));
    }
    if (from->examples == NULL)
        return BEZEL_OK;
    size_t n = 0;
    while (from->examples[n] != NULL)
        n++;
    to->examples = bz_zalloc_array(w, n + 1, sizeof *to->examples);
    if (to->examples == NULL)
        return bz_fail_memory(err, ORIGIN, "the examples of a tool", n);
    for (size_t i = 0; i < n; i++) {
        to->examples[i] = bz_text_dup(w, from->examples[i], SIZE_MAX);
        if (to->examples[i] == NULL)
            return bz_fail_memory(err, ORIGIN, "the examples of a tool", n);
    }
    return BEZEL_OK;
}

/* The schema as a value, from JSON when it is given as text. */
static bezel_status read_parameters(const bezel_value **out, bezel_tree *tree, const bezel_tool *tool, bezel_error *err)
{
    *out = tool->parameters;
    if (tool->parameters != NULL || tool->parameters_json == NULL)
        return BEZEL_OK;
    bezel_value *value = NULL;
    bezel_status status = bezel_json_read(&value, tree, tool->parameters_json, strlen(tool->parameters_json), err);
    *out = value;
    if (status != BEZEL_OK && status != BEZEL_ERR_MEMORY) {
        status = BEZEL_ERR_FORMAT;
        bz_fail(err, status, ORIGIN, "tool %s: parameters_json is not JSON", tool->name);
        bz_error_hint(err, status, "pass a JSON schema such as {\"type\":\"object\",\"properties\":{}}");
        return bz_error_place(err, status, "%s", tool->name);
    }
    return status;
}

static bezel_status check_root(const bz_schema *schema, const char *name, bezel_error *err)
{
    const bz_schema_node *root = bz_schema_at(schema, 0);
    bezel_status status = BEZEL_OK;
    if (root->kind != BZ_SCHEMA_OBJECT) {
        status = BEZEL_ERR_FORMAT;
        bz_fail(err, status, ORIGIN, "%s: parameters: type: expected an object, found %s", name,
                bz_schema_kind_name(root->kind));
        bz_error_hint(err, status, "put each parameter under \"properties\"");
    } else if (root->count > BZ_TOOL_PARAMETERS) {
        status = BEZEL_ERR_LIMIT;
        bz_fail(err, status, ORIGIN, "%s: parameters: %u properties, at most %u", name, (unsigned)root->count,
                BZ_TOOL_PARAMETERS);
    }
    return status == BEZEL_OK ? status : bz_error_place(err, status, "%s.parameters", name);
}

static bezel_status compile_tool(bezel_toolset *tools, bz_tool *to, const bezel_tool *from, bezel_error *err)
{
    add_context at = {tools, from->name};
    bz_schema_source source = {NULL, from->name, 1, keep_warning, &at};
    bezel_status status = bezel_tree_new(&to->tree, tools->engine, err);
    if (status == BEZEL_OK)
        status = read_parameters(&source.value, to->tree, from, err);
    if (status == BEZEL_OK && from->parameters != NULL) {
        source.value = bezel_tree_copy(to->tree, from->parameters);
        if (source.value == NULL)
            status = bz_fail_memory(err, ORIGIN, "a schema", 0);
    }
    to->parameters = source.value;
    if (status == BEZEL_OK)
        status = bz_schema_new(&to->schema, tools->engine, &source, err);
    if (status == BEZEL_OK)
        status = check_root(to->schema, from->name, err);
    if (status == BEZEL_OK && tools->warn_failed)
        status = bz_fail_memory(err, ORIGIN, "a warning", 0);
    return status;
}

static bezel_status make_room(bezel_toolset *tools, bezel_error *err)
{
    if (tools->count >= BZ_TOOL_COUNT)
        return bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "more than %u tools in one set", BZ_TOOL_COUNT);
    if (tools->count < tools->capacity)
        return BEZEL_OK;
    size_t wanted = tools->capacity == 0 ? 8 : tools->capacity * 2;
    bz_tool *grown = bz_realloc(tools->world, tools->tools, wanted * sizeof *grown);
    if (grown == NULL)
        return bz_fail_memory(err, ORIGIN, "a set of tools", wanted * sizeof *grown);
    tools->tools = grown;
    tools->capacity = wanted;
    return BEZEL_OK;
}

static bezel_status check_numbers(const bezel_tool *tool, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    const int repeatable = tool->permission == BEZEL_TOOL_PURE || tool->permission == BEZEL_TOOL_READ || tool->idempotent != 0;
    if (tool->permission > BEZEL_TOOL_NETWORK || tool->timeout_ms < 0)
        status = bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "tool %s: permission %u or timeout %lld is out of range", tool->name,
                         (unsigned)tool->permission, (long long)tool->timeout_ms);
    else if (tool->retries > 10 || tool->retry_ms > 3600000)
        status = bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "tool %s: %u retries (at most 10) or %u ms (at most 3600000)", tool->name,
                         (unsigned)tool->retries, (unsigned)tool->retry_ms);
    else if (tool->retries > 0 && !repeatable)
        status = bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "tool %s has retries, but running it twice might do more than once",
                         tool->name);
    else
        return BEZEL_OK;
    bz_error_hint(err, status, "only pure, read and idempotent tools have retries");
    return bz_error_place(err, status, "%s", tool->name);
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bezel_toolset_new(bezel_toolset **out, bezel_engine *engine, bezel_error *err)
{
    if (out == NULL || engine == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out or engine is NULL");
    *out = NULL;
    const bezel_world *w = bezel_engine_world(engine);
    bezel_toolset *tools = bz_zalloc(w, sizeof *tools);
    if (tools == NULL)
        return bz_fail_memory(err, ORIGIN, "a set of tools", sizeof *tools);
    tools->engine = engine;
    tools->world = w;
    *out = tools;
    return BEZEL_OK;
}

void bezel_toolset_free(bezel_toolset *tools)
{
    if (tools == NULL)
        return;
    for (size_t i = 0; i < tools->count; i++) {
        if (tools->tools[i].free_ud != NULL && !tools->tools[i].borrowed)
            tools->tools[i].free_ud(tools->tools[i].ud);
        release_tool(tools->world, &tools->tools[i]);
    }
    drop_warnings(tools, 0);
    bz_free(tools->world, tools->warnings);
    bz_free(tools->world, tools->tools);
    bz_free(tools->world, tools);
}

bezel_status bezel_toolset_add(bezel_toolset *tools, const bezel_tool *tool, bezel_error *err)
{
    if (tools == NULL || tool == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "tools or tool is NULL");
    if (tool->size < sizeof(bezel_tool))
        return bz_fail(err, BEZEL_ERR_VERSION, ORIGIN, "bezel_tool of %u bytes, expected %u; start from BEZEL_TOOL_INIT",
                       (unsigned)tool->size, (unsigned)sizeof(bezel_tool));
    bz_tool made;
    memset(&made, 0, sizeof made);
    size_t warnings = tools->n_warnings;
    tools->warn_failed = 0;
    bezel_status status = check_name(tools, tool->name, err);
    if (status == BEZEL_OK)
        status = check_numbers(tool, err);
    if (status == BEZEL_OK && tool->summary != NULL && !bz_summary_is_valid(tool->summary)) {
        status = bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "tool %s: a brace of the summary is not closed", tool->name);
        bz_error_hint(err, status, "write {key} for a value of the result and {{ for a brace");
        bz_error_place(err, status, "%s", tool->name);
    }
    if (status == BEZEL_OK)
        status = copy_texts(tools->world, &made, tool, err);
    if (status == BEZEL_OK)
        status = compile_tool(tools, &made, tool, err);
    if (status == BEZEL_OK)
        status = make_room(tools, err);
    if (status != BEZEL_OK) {
        release_tool(tools->world, &made);
        drop_warnings(tools, warnings);
        return status;
    }
    made.fn = tool->fn;
    made.ud = tool->ud;
    made.free_ud = tool->free_ud;
    made.timeout_ms = tool->timeout_ms != 0 ? tool->timeout_ms : 30000;
    made.permission = tool->permission;
    made.retries = tool->retries;
    made.retry_ms = tool->retry_ms != 0 ? tool->retry_ms : 100;
    made.always = tool->always != 0;
    made.serial = tool->serial != 0;
    tools->tools[tools->count++] = made;
    return BEZEL_OK;
}

bezel_status bezel_toolset_add_list(bezel_toolset *tools, const bezel_value *list, bezel_error *err)
{
    if (tools == NULL || bezel_value_type(list) != BEZEL_LIST)
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "expected a list of tools"),
                             "write [{\"name\": ..., \"description\": ..., \"parameters\": {...}}]");
    size_t before = tools->count, warnings = tools->n_warnings;
    bezel_status status = BEZEL_OK;
    for (size_t i = 0; i < bezel_value_count(list) && status == BEZEL_OK; i++) {
        const bezel_value *item = bezel_value_at(list, i), *inner = bezel_value_get(item, "function");
        item = bezel_value_type(inner) == BEZEL_MAP ? inner : item;
        const bezel_value *name = bezel_value_get(item, "name"), *text = bezel_value_get(item, "description");
        if (bezel_value_type(name) != BEZEL_TEXT) {
            status = bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "tool %zu of the list has no name", i);
            status = bz_error_place(err, status, "[%zu]", i);
            break;
        }
        bezel_tool tool = BEZEL_TOOL_INIT;
        tool.name = bezel_value_text(name, NULL);
        tool.description = bezel_value_text(text, NULL);
        tool.parameters = bezel_value_get(item, "parameters");
        if (bezel_value_type(tool.parameters) == BEZEL_NULL)
            tool.parameters = NULL;
        status = bezel_toolset_add(tools, &tool, err);
    }
    if (status != BEZEL_OK) { /* all or nothing */
        while (tools->count > before)
            release_tool(tools->world, &tools->tools[--tools->count]);
        drop_warnings(tools, warnings);
    }
    return status;
}

bezel_status bezel_toolset_borrow(bezel_toolset *tools, const bezel_toolset *from, size_t i, bezel_error *err)
{
    if (tools == NULL || from == NULL || tools == from)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "bezel_toolset_borrow needs two sets");
    if (i >= from->count)
        return bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "tool %zu of a set of %zu", i, from->count);
    bezel_status status = check_name(tools, from->tools[i].name, err);
    if (status == BEZEL_OK)
        status = make_room(tools, err);
    if (status != BEZEL_OK)
        return status;
    tools->tools[tools->count] = from->tools[i];
    tools->tools[tools->count++].borrowed = 1;
    return BEZEL_OK;
}

int32_t bezel_toolset_always(const bezel_toolset *tools, size_t i)
{
    return tools != NULL && i < tools->count ? (int32_t)tools->tools[i].always : 0;
}

int32_t bezel_toolset_serial(const bezel_toolset *tools, size_t i)
{
    return tools != NULL && i < tools->count ? (int32_t)tools->tools[i].serial : 0;
}

size_t bezel_toolset_count(const bezel_toolset *tools)
{
    return tools != NULL ? tools->count : 0;
}

const char *bezel_toolset_name(const bezel_toolset *tools, size_t i)
{
    return tools != NULL && i < tools->count ? tools->tools[i].name : NULL;
}

uint32_t bezel_toolset_permission(const bezel_toolset *tools, size_t i)
{
    return tools != NULL && i < tools->count ? tools->tools[i].permission : 0;
}

size_t bezel_toolset_warning_count(const bezel_toolset *tools)
{
    return tools != NULL ? tools->n_warnings : 0;
}

const char *bezel_toolset_warning(const bezel_toolset *tools, size_t i)
{
    return tools != NULL && i < tools->n_warnings ? tools->warnings[i] : NULL;
}

bezel_status bezel_toolset_constraint(bezel_constraint **out, const bezel_toolset *tools, bezel_model *model, const char *only,
                                      const bezel_constraint_options *options, bezel_error *err)
{
    bezel_constraint_options o;
    if (out == NULL || tools == NULL || model == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, tools or model is NULL");
    *out = NULL;
    bezel_constraint_options_init(&o);
    bezel_status status = bz_options_read(&o, sizeof o, options, ORIGIN, err);
    if (status != BEZEL_OK)
        return status;
    bezel_constraint_function *functions = bz_zalloc_array(tools->world, tools->count + 1, sizeof *functions);
    if (functions == NULL)
        return bz_fail_memory(err, ORIGIN, "a list of functions", (tools->count + 1) * sizeof *functions);
    o.kind = BEZEL_CONSTRAINT_CALLS;
    o.functions = functions;
    o.n_functions = 0;
    for (size_t i = 0; i < tools->count; i++)
        if (only == NULL || strcmp(only, tools->tools[i].name) == 0)
            functions[o.n_functions++] = (bezel_constraint_function){tools->tools[i].name, tools->tools[i].parameters};
    if (o.n_functions > 0)
        status = bezel_constraint_new(out, model, &o, err);
    else if (only != NULL)
        status = bz_fail(err, BEZEL_ERR_MISSING, ORIGIN, "there is no tool %.64s in the set", only);
    else
        status = bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "the set has no tool");
    bz_free(tools->world, functions);
    return status;
}

const bz_tool *bz_tool_find(const bezel_toolset *tools, const char *name, size_t size)
{
    for (size_t i = 0; tools != NULL && i < tools->count; i++) {
        const char *known = tools->tools[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0)
            return &tools->tools[i];
    }
    return NULL;
}
