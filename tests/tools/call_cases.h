/* SPDX-License-Identifier: MIT */
/* The 76 cases of the FUNCTION_CALL dialect: what a model writes, what must come out. Used whole, cut at every byte, byte
 * by byte and as prefixes. How unclear cases are settled:
 *  - text: segments trimmed, joined by one newline; NULL = not compared.
 *  - 19, 20: None for an optional parameter is no parameter, for a required one it is missing.
 *  - 55: text behind a call is text; the agent ignores it.
 *  - 56, 57: fences, bold and code marks around a call belong to the call.
 *  - 62, 63: the end of the output closes nothing; with repair_tail 63 is a call, 62 never (its value has no end).
 *  - 76: the call before a broken one stands. */
#ifndef CALL_CASES_H
#define CALL_CASES_H

static const char call_case_tools[] =
    "[{\"name\":\"get_time\",\"description\":\"Current time\"},"
    "{\"name\":\"get_weather\",\"description\":\"Weather\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"city\":{\"type\":\"string\"},\"units\":{\"type\":\"string\",\"enum\":[\"celsius\",\"fahrenheit\"]},"
    "\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}},\"required\":[\"city\"]}},"
    "{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},"
    "\"b\":{\"type\":\"number\"}},\"required\":[\"a\",\"b\"]}},"
    "{\"name\":\"say\",\"parameters\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"},"
    "\"loud\":{\"type\":\"boolean\"}},\"required\":[\"text\"]}},"
    "{\"name\":\"tag\",\"parameters\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"maxLength\":8},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},\"required\":[\"id\"]}},"
    "{\"name\":\"make\",\"parameters\":{\"type\":\"object\",\"properties\":{\"opts\":{\"type\":\"object\"},"
    "\"n\":{\"type\":\"integer\"}},\"required\":[\"opts\"]}},"
    "{\"name\":\"math.hypot\",\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"},"
    "\"y\":{\"type\":\"number\"}},\"required\":[\"x\",\"y\"]}}]";

typedef struct call_case {
    int nr;
    const char *input;
    const char *calls;  /* JSON: [[name, arguments], ...] */
    const char *errors; /* codes, separated by blanks */
    const char *text;   /* NULL: not compared */
} call_case;

#define FC "FUNCTION_CALL: "
#define PARIS "[[\"get_weather\",{\"city\":\"Paris\"}]]"
#define TIME "[[\"get_time\",{}]]"
#define SAY(t) "[[\"say\",{\"text\":" t "}]]"
#define SAY_LOUD(t, l) "[[\"say\",{\"text\":" t ",\"loud\":" l "}]]"

static const call_case call_cases[] = {
    {1, FC "get_time()", TIME, "", ""},
    {2, FC "get_weather(city=\"Paris\", units=\"celsius\")", "[[\"get_weather\",{\"city\":\"Paris\",\"units\":\"celsius\"}]]", "", ""},
    {3, FC "add(a=1, b=-2.5)", "[[\"add\",{\"a\":1,\"b\":-2.5}]]", "", ""},
    {4, FC "add(a=\"1\", b=\"2\")", "[[\"add\",{\"a\":1,\"b\":2}]]", "", ""},
    {5, FC "get_weather(city='Paris')", PARIS, "", ""},
    {6, FC "get_weather(city=Paris)", PARIS, "", ""},
    {7, FC "get_weather(city=New York, days=3)", "[[\"get_weather\",{\"city\":\"New York\",\"days\":3}]]", "", ""},
    {8, FC "say(text=\"He said \\\"hi\\\" twice\")", SAY("\"He said \\\"hi\\\" twice\""), "", ""},
    {9, FC "say(text=\"He said \"hi\" to me\", loud=true)", SAY_LOUD("\"He said \\\"hi\\\" to me\"", "true"), "", ""},
    {10, FC "say(text='it's fine', loud=False)", SAY_LOUD("\"it's fine\"", "false"), "", ""},
    {11, FC "say(text=\"a, b=c) and (d\", loud=True)", SAY_LOUD("\"a, b=c) and (d\"", "true"), "", ""},
    {12, FC "say(text=\"line1\nline2\")", SAY("\"line1\\nline2\""), "", ""},
    {13, FC "say(text=\"line1\\nline2\\t\\u00e9\\ud83d\\ude00\")", SAY("\"line1\\nline2\\t\xC3\xA9\xF0\x9F\x98\x80\""), "", ""},
    {14, FC "say(text=\"C:\\Users\\bob\\notes\")", SAY("\"C:\\\\Users\\\\bob\\\\notes\""), "", ""},
    {15, FC "say(text=r\"C:\\new\\dir\")", SAY("\"C:\\\\new\\\\dir\""), "", ""},
    {16, FC "say(text=\"\"\"multi\n\"quoted\" text\"\"\")", SAY("\"multi\\n\\\"quoted\\\" text\""), "", ""},
    {17, FC "say(text=\xE2\x80\x9Csmart\xE2\x80\x9D, loud=true)", SAY_LOUD("\"smart\"", "true"), "", ""},
    {18, FC "say(text=\"\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x81\xAF\xE6\x99\xB4\xE3\x82\x8C \xF0\x9F\x8C\x9E\")",
     SAY("\"\xE6\x9D\xB1\xE4\xBA\xAC\xE3\x81\xAF\xE6\x99\xB4\xE3\x82\x8C \xF0\x9F\x8C\x9E\""), "", ""},
    {19, FC "get_weather(city=\"Paris\", units=None)", PARIS, "", ""},
    {20, FC "get_weather(city=None)", "[]", "missing_parameter", ""},
    {21, FC "get_weather(city=\"Paris\",)", PARIS, "", ""},
    {22, FC "get_weather(\"Paris\", \"celsius\", 3)", "[[\"get_weather\",{\"city\":\"Paris\",\"units\":\"celsius\",\"days\":3}]]", "", ""},
    {23, FC "get_weather(\"Paris\", days=3)", "[[\"get_weather\",{\"city\":\"Paris\",\"days\":3}]]", "", ""},
    {24, FC "get_weather(city: \"Paris\", days: 3)", "[[\"get_weather\",{\"city\":\"Paris\",\"days\":3}]]", "", ""},
    {25, FC "get_weather({\"city\": \"Paris\", \"days\": 3})", "[[\"get_weather\",{\"city\":\"Paris\",\"days\":3}]]", "", ""},
    {26, FC "get_weather(city=\"Paris\" days=3)", "[[\"get_weather\",{\"city\":\"Paris\",\"days\":3}]]", "", ""},
    {27, FC "tag(id=\"x\", tags=[\"a\", \"b\",])", "[[\"tag\",{\"id\":\"x\",\"tags\":[\"a\",\"b\"]}]]", "", ""},
    {28, FC "tag(id=\"x\", tags=['a, b', 'c)'])", "[[\"tag\",{\"id\":\"x\",\"tags\":[\"a, b\",\"c)\"]}]]", "", ""},
    {29, FC "tag(id=\"x\", tags=\"solo\")", "[[\"tag\",{\"id\":\"x\",\"tags\":[\"solo\"]}]]", "", ""},
    {30, FC "tag(id=\"x\", tags=\"[\\\"a\\\", \\\"b\\\"]\")", "[[\"tag\",{\"id\":\"x\",\"tags\":[\"a\",\"b\"]}]]", "", ""},
    {31, FC "make(opts={\"k\": {\"n\": [1, 2.5, None]}, 't': True,}, n=2)",
     "[[\"make\",{\"opts\":{\"k\":{\"n\":[1,2.5,null]},\"t\":true},\"n\":2}]]", "", ""},
    {32, FC "make(opts={k: \"v\", n: 1})", "[[\"make\",{\"opts\":{\"k\":\"v\",\"n\":1}}]]", "", ""},
    {33, FC "tag(id=007)", "[[\"tag\",{\"id\":\"007\"}]]", "", ""},
    {34, FC "tag(id=\"123456789\")", "[]", "too_long", ""},
    {35, FC "get_weather(city=\"Paris\", days=9)", "[]", "out_of_range", ""},
    {36, FC "get_weather(city=\"Paris\", days=\"three\")", "[]", "bad_type", ""},
    {37, FC "get_weather(city=\"Paris\", days=3.0)", "[[\"get_weather\",{\"city\":\"Paris\",\"days\":3}]]", "", ""},
    {38, FC "get_weather(city=\"Paris\", days=2.5)", "[]", "bad_type", ""},
    {39, FC "get_weather(city=\"Paris\", units=\"Celsius\")", "[[\"get_weather\",{\"city\":\"Paris\",\"units\":\"celsius\"}]]", "", ""},
    {40, FC "get_weather(city=\"Paris\", units=\"kelvin\")", "[]", "bad_enum", ""},
    {41, FC "get_weather(City=\"Paris\")", PARIS, "", ""},
    {42, FC "get_weather(town=\"Paris\")", "[]", "unknown_parameter", ""},
    {43, FC "get_weather()", "[]", "missing_parameter", ""},
    {44, FC "get_wether(city=\"Paris\")", "[]", "unknown_function", ""},
    {45, FC "GetWeather(city=\"Paris\")", PARIS, "", ""},
    {46, FC "functions.get_weather(city=\"Paris\")", PARIS, "", ""},
    {47, FC "math.hypot(x=3, y=4)", "[[\"math.hypot\",{\"x\":3,\"y\":4}]]", "", ""},
    {48, FC "get_time", TIME, "", ""},
    {49, FC "get_weather(city=\"Paris\")\n" FC "get_weather(city=\"Rome\")",
     "[[\"get_weather\",{\"city\":\"Paris\"}],[\"get_weather\",{\"city\":\"Rome\"}]]", "", ""},
    {50, FC "get_weather(city=\"Paris\"), " FC "get_time()", "[[\"get_weather\",{\"city\":\"Paris\"}],[\"get_time\",{}]]", "", ""},
    {51, FC "get_weather(city=\"Paris\")\nget_time()", "[[\"get_weather\",{\"city\":\"Paris\"}],[\"get_time\",{}]]", "", ""},
    {52, FC "[get_weather(city=\"Paris\"), get_time()]", "[[\"get_weather\",{\"city\":\"Paris\"}],[\"get_time\",{}]]", "", ""},
    {53, "1. " FC "get_time()\n2. " FC "add(a=1, b=2)", "[[\"get_time\",{}],[\"add\",{\"a\":1,\"b\":2}]]", "", ""},
    {54, "Sure! Let me check.\n\n" FC "get_weather(city=\"Paris\")", PARIS, "", "Sure! Let me check."},
    {55, FC "get_time()\nRESULT: 12:00. It is noon.", TIME, "", "RESULT: 12:00. It is noon."},
    {56, "```\n" FC "get_time()\n```", TIME, "", ""},
    {57, "**FUNCTION_CALL:** `get_weather(city=\"Paris\")`", PARIS, "", ""},
    {58, "function_call: get_time()", TIME, "", ""},
    {59, "FUNCTION_CALL get_time()", TIME, "", ""},
    {60, "Use `FUNCTION_CALL: function_name(param1=\"value1\")` to call.", "[]", "",
     "Use `FUNCTION_CALL: function_name(param1=\"value1\")` to call."},
    {61, "You could use get_time() here.", "[]", "", "You could use get_time() here."},
    {62, FC "get_weather(city=\"Par", "[]", "truncated", ""},
    {63, FC "get_weather(city=\"Paris\"", "[]", "truncated", ""},
    {64, FC "say(text=get_time())", "[]", "nested_call", ""},
    {65, FC "get_weather(city=\"Paris\", city=\"Paris\")", PARIS, "", ""},
    {66, FC "get_weather(city=\"Paris\", city=\"Rome\")", "[]", "duplicate_parameter", ""},
    {67, FC "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}", PARIS, "", ""},
    {68, "```tool_code\nprint(get_weather(city=\"Paris\"))\n```", PARIS, "", ""},
    {69, "[get_weather(city=\"Paris\"), add(a=1, b=2)]", "[[\"get_weather\",{\"city\":\"Paris\"}],[\"add\",{\"a\":1,\"b\":2}]]", "", ""},
    {70, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}", PARIS, "", ""},
    {71, "```json\n[{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 1, \\\"b\\\": 2}\"}]\n```", "[[\"add\",{\"a\":1,\"b\":2}]]", "", ""},
    {72, "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>", TIME, "", ""},
    {73, "<start_function_call>call:get_weather{city:<escape>Tokyo, Japan<escape>,days:2}<end_function_call>",
     "[[\"get_weather\",{\"city\":\"Tokyo, Japan\",\"days\":2}]]", "", ""},
    {74, "<|tool_call>call:say{loud:true,text:<|\"|>say \"hi\", {ok}<|\"|>}<tool_call|>", SAY_LOUD("\"say \\\"hi\\\", {ok}\"", "true"), "", ""},
    {75, "{\"answer\": 42}", "[]", "", "{\"answer\": 42}"},
    {76, FC "add(a=1, b=2)\n" FC "add(a=1, b=)", "[[\"add\",{\"a\":1,\"b\":2}]]", "syntax", ""},
};
enum { N_CALL_CASES = sizeof call_cases / sizeof call_cases[0] };

#endif
