/* SPDX-License-Identifier: MIT */
/* The rows of tool profiles: wording only, no code. "instruct" follows the prompt of an instruction-tuned model; a
 * pretrained model follows examples, not rules, so "transcript" shows whole exchanges, one of them without a call. */
#include <bezel/tools.h>

#include <string.h>

static const char *const profile_result_labels[] = {"FUNCTION_", NULL};
static const char *const profile_transcript_labels[] = {"User:", "Assistant:", "Result:", "Available Functions", "FUNCTION_",
                                                        NULL};
/* "\n User:" is the label with the blank that the guard puts before it: a model copies what it reads. */
static const char *const profile_transcript_stops[] = {"\n\n",      "\nUser:", "\n User:",
                                                      "\nResult:", "\nAvailable Functions", NULL};

/* None of the demo's functions occurs here: a small model would call what it saw. Both calls stand before their results
 * because the model then makes the second call, too; a number stands among the values because it otherwise copies the
 * range of the declaration (both measured with the 270M model). */
#define PROFILE_EXCHANGES(calls)                                                                                        \
    {                                                                                                                   \
        "Available Functions:\n"                                                                                        \
        "- find_flights: Flights between two cities\n"                                                                  \
        "  Parameters: origin (string): City of departure; destination (string): City of arrival\n"                     \
        "- find_hotels: Hotels in a city\n"                                                                             \
        "  Parameters: city (string): Name of the city; nights (integer 1-30, optional); stars (string, optional, one of " \
        "\"any\", \"three\", \"five\")\n"                                                                               \
        "\n"                                                                                                            \
        "User: Are there flights from Oslo to Rome, and any five star hotels there for 4 nights?\n"                     \
        "Assistant: " calls "\n"                                                                                        \
        "Result: find_flights = flight SK4711 at 08:15 for 120 euros\n"                                                 \
        "Result: find_hotels = Hotel Artemide for 210 euros a night\n"                                                  \
        "Assistant: Flight SK4711 leaves Oslo at 08:15 and costs 120 euros. In Rome, Hotel Artemide has rooms for 210 " \
        "euros a night.\n"                                                                                              \
        "\n"                                                                                                            \
        "User: Tell me a fun fact.\n"                                                                                   \
        "Assistant: Honey never spoils.",                                                                               \
            NULL                                                                                                        \
    }

/* ORDER of all lists by dialect: function_call, python, json, functiongemma, gemma4 */
static const char *const profile_exchanges[][2] = {
    PROFILE_EXCHANGES("FUNCTION_CALL: find_flights(origin=\"Oslo\", destination=\"Rome\")\n"
                      "FUNCTION_CALL: find_hotels(city=\"Rome\", nights=4, stars=\"five\")"),
    PROFILE_EXCHANGES("[find_flights(origin=\"Oslo\", destination=\"Rome\"), find_hotels(city=\"Rome\", nights=4, stars=\"five\")]"),
    PROFILE_EXCHANGES("[{\"name\": \"find_flights\", \"parameters\": {\"origin\": \"Oslo\", \"destination\": \"Rome\"}}, "
                      "{\"name\": \"find_hotels\", \"parameters\": {\"city\": \"Rome\", \"nights\": 4, \"stars\": \"five\"}}]"),
    PROFILE_EXCHANGES(
        "<start_function_call>call:find_flights{origin:<escape>Oslo<escape>,destination:<escape>Rome<escape>}<end_function_call>"
        "<start_function_call>call:find_hotels{city:<escape>Rome<escape>,nights:4,stars:<escape>five<escape>}<end_function_call>"),
    PROFILE_EXCHANGES("<|tool_call>call:find_flights{origin:<|\"|>Oslo<|\"|>,destination:<|\"|>Rome<|\"|>}<tool_call|>"
                      "<|tool_call>call:find_hotels{city:<|\"|>Rome<|\"|>,nights:4,stars:<|\"|>five<|\"|>}<tool_call|>"),
};

#define PROFILE_INSTRUCT(dialect_name, marker, form, several)                                                           \
    {                                                                                                                   \
        .size = sizeof(bezel_tool_profile), .n_examples = 0, .name = "instruct",                                        \
        .intro = "You are a helpful assistant that can call functions to look things up or to do things for the user.", \
        .rules = "Rules:\n"                                                                                             \
                 "1. Decide whether one of the functions above is needed for the request, and which one.\n"             \
                 "2. Take the values of its parameters from the request. Leave optional parameters out when the "       \
                 "request does not mention them.\n"                                                                     \
                 "3. To call a function, answer only with: " form "\n"                                                  \
                 "4. To call several functions, " several "\n"                                                          \
                 "5. If no function is needed, answer normally.\n"                                                      \
                 "6. Results come back as FUNCTION_RESULT lines. Use them to answer; never invent a result.",           \
        .call_marker = marker, .result_format = "FUNCTION_RESULT: %n(%a) = %v", .error_format = "FUNCTION_ERROR: %n: %v", \
        .list_label = "Available Functions:", .context_label = "Context: ", .labels = profile_result_labels,            \
        .dialect = dialect_name                                                                                         \
    }

/* fit_neutral: chosen on half of 200 + 120 entries of BFCL, checked on the other (docs/calls.md). */
#define PROFILE_TRANSCRIPT(dialect_name, marker, place)                                                                 \
    {                                                                                                                   \
        .size = sizeof(bezel_tool_profile), .n_examples = 8, .name = "transcript",                                      \
        .intro = "The assistant calls a function when one fits the question, and answers other questions itself.",      \
        .call_marker = marker, .result_format = "Result: %n = %v", .error_format = "Result: %n = error: %v",            \
        .examples = profile_exchanges[place], .stops = profile_transcript_stops, .list_label = "Available Functions:",  \
        .context_label = "Context: ", .labels = profile_transcript_labels, .one_line = 1, .fit_weight = 1.0f,           \
        .fit_neutral = 4.0f, .name_weight = 1.0f, .evidence_weight = 1.0f, .dialect = dialect_name                              \
    }

#define PROFILE_NATIVE(dialect_name, marker, sentence)                                                                  \
    {                                                                                                                   \
        .size = sizeof(bezel_tool_profile), .name = "native", .intro = sentence, .call_marker = marker,                 \
        .result_format = "%n: %v", .error_format = "%n: %v", .context_label = "Context: ", .dialect = dialect_name,     \
        .native = 1                                                                                                     \
    }

static const bezel_tool_profile profile_rows[] = {
    PROFILE_INSTRUCT("function_call", "FUNCTION_CALL: ", "FUNCTION_CALL: function_name(param1=\"value1\", param2=\"value2\")",
                     "write each call on a line of its own."),
    PROFILE_INSTRUCT("python", "[", "[function_name(param1=\"value1\", param2=\"value2\")]", "put all of them into the list."),
    PROFILE_INSTRUCT("json", "[{\"name\": \"",
                     "[{\"name\": \"function_name\", \"parameters\": {\"param1\": \"value1\", \"param2\": \"value2\"}}]",
                     "put all of them into the list."),
    PROFILE_INSTRUCT("functiongemma", "<start_function_call>call:",
                     "<start_function_call>call:function_name{param1:<escape>value1<escape>,param2:<escape>value2<escape>}"
                     "<end_function_call>",
                     "write one call behind the other."),
    PROFILE_INSTRUCT("gemma4", "<|tool_call>call:",
                     "<|tool_call>call:function_name{param1:<|\"|>value1<|\"|>,param2:<|\"|>value2<|\"|>}<tool_call|>",
                     "write one call behind the other."),
    PROFILE_TRANSCRIPT("function_call", "FUNCTION_CALL: ", 0),
    PROFILE_TRANSCRIPT("python", "[", 1),
    PROFILE_TRANSCRIPT("json", "[{\"name\": \"", 2),
    PROFILE_TRANSCRIPT("functiongemma", "<start_function_call>call:", 3),
    PROFILE_TRANSCRIPT("gemma4", "<|tool_call>call:", 4),
    /* The sentence is the one that the model was trained on; declarations follow without a blank. */
    PROFILE_NATIVE("functiongemma", "<start_function_call>call:",
                   "You are a model that can do function calling with the following functions"),
    PROFILE_NATIVE("gemma4", "<|tool_call>call:", ""),
};

const bezel_tool_profile *bezel_tool_profile_find_in(const char *name, const char *dialect)
{
    for (size_t i = 0; name != NULL && dialect != NULL && i < sizeof profile_rows / sizeof profile_rows[0]; i++)
        if (strcmp(profile_rows[i].name, name) == 0 && strcmp(profile_rows[i].dialect, dialect) == 0)
            return &profile_rows[i];
    return NULL;
}

const bezel_tool_profile *bezel_tool_profile_find(const char *name)
{
    return bezel_tool_profile_find_in(name, "function_call");
}

const bezel_tool_profile *bezel_tool_profile_of(const bezel_profile *profile)
{
    const bezel_tool_profile *native = profile != NULL ? bezel_tool_profile_find_in("native", profile->name) : NULL;
    if (native != NULL)
        return native;
    /* A transcript is a form in which lines carry labels. */
    return bezel_tool_profile_find(profile != NULL && profile->label_guard ? "transcript" : "instruct");
}
