-- SPDX-License-Identifier: MIT
-- The command `bezel` from outside: every subcommand, exit statuses, the stable JSON forms, Ctrl-C, downloads.
--
--     lua5.4 tests/command/run.lua BUILD
--
-- BUILD holds bezel, bezel.so (for its JSON), tests/script_model and tests/http_server. Prints one line of totals.
local build = arg[1] or "build"
package.cpath = build .. "/?.so;" .. package.cpath
local bezel = require "bezel"
local json = bezel.json
local only = os.getenv "BEZEL_COMMAND_TEST"

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -m 700 '" .. folder .. "'")
local passed, failed = 0, 0

local function path(name) return folder .. "/" .. name end
local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

local function write(name, text)
  local file = assert(io.open(path(name), "wb"))
  file:write(text)
  file:close()
  return path(name)
end

local function read(name)
  local file = assert(io.open(path(name), "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- Nothing of the caller's environment reaches the command.
local environment = "env -i PATH=/usr/bin:/bin HOME=" .. folder .. " TMPDIR=" .. folder .. " XDG_CACHE_HOME=" .. folder .. "/cache XDG_DATA_HOME="
  .. folder .. "/data " .. (os.getenv "ASAN_OPTIONS" and "ASAN_OPTIONS=" .. os.getenv "ASAN_OPTIONS" .. " " or "")

-- Runs bezel with a list of arguments; standard output, status, standard error.
local function run(arguments, input, extra)
  local words = {}
  for i, word in ipairs(arguments) do words[i] = quote(word) end
  local stdin = input and write("stdin", input) or "/dev/null"
  local ok, how, status = os.execute(("%s %s '%s/bezel' %s <%s >%s 2>%s"):format(
    environment, extra or "", build, table.concat(words, " "), stdin, path "out", path "err"))
  return read "out", (ok and 0) or (how == "exit" and status) or 128 + status, read "err"
end

local function read_file(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function eq(found, expected, what)
  if found ~= expected then
    error(("%sfound %s, expected %s"):format(what and what .. ": " or "", tostring(found), tostring(expected)), 2)
  end
end
local function match(text, pattern)
  if not text:find(pattern) then error(("'%s' does not match '%s'"):format(text, pattern), 2) end
end

-- Decoded standard output of a run that must succeed.
local function object(arguments, input)
  local out, status, err = run(arguments, input)
  if status ~= 0 then error("status " .. status .. ": " .. err, 2) end
  if not out:find "^[{].*}\n$" then error("not one line of JSON: " .. out, 2) end
  return assert(json.decode(out))
end

local function keys(map)
  local list = {}
  for key in pairs(map) do list[#list + 1] = key end
  table.sort(list)
  return table.concat(list, " ")
end

local function test(name, fn)
  if only and not name:find(only, 1, true) then return end
  local ok, message = xpcall(fn, debug.traceback)
  if ok then passed = passed + 1 else
    failed = failed + 1
    io.stderr:write("FAILED command: ", name, "\n", message, "\n")
  end
end

local function script(name, kind, call, answer)
  local file = path(name)
  assert(os.execute(("'%s/tests/script_model' %s %s %s %s"):format(build, file, kind, quote(call), quote(answer))))
  return file
end

local P = script("p.gguf", "pretrained", 'probe(text="hi", count=3)', "The answer is forty-two.")
local I = script("i.gguf", "instruct", 'probe(text="hi", count=3)', "The answer is forty-two.")
local tiny = "tests/golden/tiny_gemma3.gguf"
local tools = write("tools.json", [=[[{"name":"probe","description":"Looks","parameters":{"type":"object","properties":
  {"text":{"type":"string"},"count":{"type":"integer","minimum":1,"maximum":9}},"required":["text"]}}]]=])
local wrapped = write("wrapped.json", [=[[{"type":"function","function":{"name":"probe","description":"Looks","parameters":
  {"type":"dict","properties":{"text":{"type":"string"},"count":{"type":"integer"}},"required":["text"]}}}]]=])
local results = write("results.json", '{"probe":{"seen":true}}')

-- --- Wrong use and errors -------------------------------------------------------------------

test("wrong use has status 2 and says what is right, on standard error", function()
  local rows = { {}, { "frobnicate" }, { "tokenize", "--frob" }, { "complete", "--max-tokens" }, { "complete", "--max-tokens", "x" },
    { "complete", "--max-tokens", "0" }, { "complete", "--json=1" }, { "ask", "--results", results, "x" }, { "parse", "x" },
    { "parse", "--tools", tools, "--stopped", "maybe", "x" }, { "get", "http://127.0.0.1/x" },
    { "get", "http://127.0.0.1/x", "--sha256", "zz" }, { "run" }, { "stats", "no_view" }, { "score", "--top", "65", "x" },
    { "complete", "--isa", "mmx", "--model", P, "x" }, { "complete", "--activations", "q4", "--model", P, "x" },
    { "ask", "--profile", "alpaca", "--model", P, "x" }, { "ask", "--constrain", "maybe", "--model", P, "x" } }
  for _, row in ipairs(rows) do
    local out, status, err = run(row)
    eq(status, 2, table.concat(row, " "))
    eq(out, "")
    match(err, "bezel")
  end
end)

test("errors have status 1, a sentence and a hint on standard error, nothing on standard output", function()
  local rows = { { "info" }, { "tokenize", "--model", "/no/such.gguf", "x" }, { "info", "--model", tools },
    { "parse", "--tools", "/no/such.json", "x" }, { "parse", "--tools", P, "x" }, { "detokenize", "--model", P, "[1,2" },
    { "detokenize", "--model", P, "[99999999]" }, { "detokenize", "--model", P, '["a"]' }, { "score", "--model", P, "--ids", "[1.5]" },
    { "render", "--model", P, "{}" }, { "render", "--model", P, '{"messages":[{"role":"user"}]}' },
    { "ask", "--model", P, "--tools", tools, "--results", tools, "x" }, { "run", "/no/such.lua" },
    { "complete", "--model", P, "--n-ctx", "8", "a text that is longer than that" } }
  for _, row in ipairs(rows) do
    local out, status, err = run(row)
    eq(status, 1, table.concat(row, " "))
    eq(out, "", table.concat(row, " "))
    match(err, "^bezel: ")
  end
end)

test("help and version", function()
  match(run { "--version" }, "^bezel %d+%.%d+%.%d+\n$")
  local out, status = run { "--help" }
  eq(status, 0)
  for name in out:gmatch "\n  (%l+)  " do
    local help, code = run { name, "--help" }
    eq(code, 0, name)
    match(help, "^usage: bezel " .. name)
    local page = io.open("docs/bezel.1"):read "a"
    match(page, name)
  end
end)

-- --- Tokens ---------------------------------------------------------------------------------

test("tokenize and detokenize go both ways, byte for byte", function()
  local text = "Hello \u{e9}\0\xff\r\n  <end_of_turn>\n"
  local r = object({ "tokenize", "--model", tiny }, text)
  eq(keys(r), "ids")
  local out = run({ "detokenize", "--model", tiny }, json.encode(r))
  eq(out, text)
  eq(run({ "detokenize", "--model", tiny }, json.encode(r.ids)), text)
  eq(#object({ "tokenize", "--model", tiny }, "").ids, 0)
  eq(json.encode(object { "tokenize", "--model", tiny, "--bos", "" }), '{"ids":[2]}')
  eq(#object({ "tokenize", "--model", tiny, "--special", "<end_of_turn>" }).ids, 1)
  eq(json.encode(object { "tokenize", "--model", tiny, "a", "b" }), json.encode(object { "tokenize", "--model", tiny, "a b" }))
  eq(json.encode(object { "tokenize", "--model", tiny, "--", "--bos" }), json.encode(object({ "tokenize", "--model", tiny }, "--bos")))
end)

-- --- Numbers --------------------------------------------------------------------------------

test("score has an entry a token, the first without logprob", function()
  local r = object { "score", "--model", tiny, "--top", "3", "--isa", "scalar", "--activations", "f32", "abc" }
  eq(keys(r), "positions")
  eq(r.positions[1].id, 2)
  eq(r.positions[1].logprob, bezel.null)
  for i, p in ipairs(r.positions) do
    eq(keys(p), "id logprob top")
    eq(#p.top, 3)
    for k, best in ipairs(p.top) do
      eq(keys(best), "id logprob")
      assert(best.logprob <= 0 and (k == 1 or best.logprob <= p.top[k - 1].logprob))
    end
    local next_one = r.positions[i + 1]
    if next_one then assert(next_one.logprob <= p.top[1].logprob + 1e-6) end
  end
  local ids = {}
  for i = 2, #r.positions do ids[i - 1] = r.positions[i].id end
  local plain = object { "score", "--model", tiny, "--ids", json.encode(bezel.list(ids)) }
  for _, words in ipairs { { "--ids" }, { "--ids", "-" }, { "--ids", "--top", "0" } } do
    local read_in = object({ "score", "--model", tiny, table.unpack(words) }, json.encode(bezel.list(ids)))
    eq(#read_in.positions, #plain.positions)
  end
  eq(plain.positions[1].id, ids[1]) -- no BOS is added
  eq(plain.positions[1].logprob, bezel.null)
  eq(#plain.positions[1].top, 0)
  eq(#object { "score", "--model", tiny, "<end_of_turn>" }.positions, 2)
  assert(#object { "score", "--model", tiny, "--plain", "<end_of_turn>" }.positions > 2)
end)

test("complete --schema gives JSON of the schema whatever the model prefers", function()
  local schema = write("schema.json", '{"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":7},' ..
    '"ok":{"type":"boolean"}},"required":["n","ok"]}')
  local r = object { "complete", "--model", tiny, "--schema", schema, "Say it: " }
  eq(r.stop_reason, "eos")
  local value = json.decode(r.text)
  assert(value.n >= 3 and value.n <= 7 and type(value.ok) == "boolean", r.text)
  local _, status, err = run { "complete", "--model", tiny, "--schema", "/no/such.json", "x" }
  eq(status, 1)
  match(err, "no/such")
end)

test("complete gives text, ids without the end token, why it stopped and timings", function()
  local r = object { "complete", "--model", P, "--max-tokens", "20", "--temperature", "0", "Result: probe = 1\nAssistant:" }
  eq(keys(r), "ids stop_reason text timings")
  eq(r.text, " The answer is forty-two.")
  eq(r.stop_reason, "eos")
  eq(#r.ids, 4)
  eq(run({ "detokenize", "--model", P }, json.encode(r.ids)), r.text)
  r = object { "complete", "--model", P, "--max-tokens", "3", "forever:" }
  eq(r.stop_reason, "max_tokens")
  eq(r.text, " and and and")
  eq(r.timings.generated_tokens, 3)
  r = object { "complete", "--model", P, "--stop", "zzz", "--stop", " forty", "Result: probe = 1\nAssistant:" }
  eq(r.text, " The answer is")
  eq(r.stop_reason, "stop")
  eq(object({ "complete", "--model", P, "--n-ctx", "32", "--max-tokens", "500" }, "forever:").stop_reason, "context")
  local a = object { "complete", "--model", tiny, "--seed", "7", "--temperature", "2", "--max-tokens", "12", "--top-k", "0", "x" }
  local b = object { "complete", "--model", tiny, "--seed", "7", "--temperature", "2", "--max-tokens", "12", "--top-k", "0",
    "--threads", "1", "--chunk", "1", "x" }
  eq(a.text, b.text)
end)

test("complete --batch answers lines in order, each as alone, and tells which failed", function()
  local lines = { '"Result: probe = 1\\nAssistant:"', '{"prompt":"forever:","max_tokens":3}', '', '{"prompt":"x","top_q":1}', 'no json',
    '{"prompt":"forever:","max_tokens":6,"temperature":2,"top_k":4,"seed":3}', '17' }
  for _, together in ipairs { "1", "2", "16" } do
    local out, status = run({ "complete", "--batch", "--together", together, "--model", P, "--max-tokens", "20" },
      table.concat(lines, "\n"))
    eq(status, 1)
    local results = {}
    for line in out:gmatch "[^\n]+" do results[#results + 1] = json.decode(line) end
    eq(#results, 6)
    eq(results[1].text, " The answer is forty-two.")
    eq(keys(results[1]), "ids stop_reason text timings")
    eq(results[2].text, " and and and")
    match(results[3].error.message, "top_q")
    eq(results[3].error.code, "argument")
    assert(results[4].error.code and results[6].error.code)
    eq(results[5].text, object { "complete", "--model", P, "--max-tokens", "6", "--temperature", "2", "--top-k", "4", "--seed", "3",
      "forever:" }.text)
  end
  local _, status = run({ "complete", "--batch", "--model", P, "--max-tokens", "2" }, '"a"\n"b"\n')
  eq(status, 0)
  eq(run({ "complete", "--batch", "--model", P }, "\n"), "")
end)

test("bench has a row a measurement, the product default first, and the memory beside it", function()
  local r = object { "bench", "--json", "--model", tiny, "--prompt", "20,9", "--context", "8,40", "--generate", "5", "--rounds", "2",
    "--threads", "1", "--seed", "3", "--sessions", "2,3" }
  assert(r.resident_bytes > 1000000)
  local rows = {}
  for _, row in ipairs(r.rows) do
    local name = row.test .. " " .. (row.test == "prompt" and row.tokens or row.context)
    rows[name] = rows[name] or row
    eq(row.threads, 1)
    eq(#row.runs, 2)
    eq(#row.read_runs, 2)
    assert(row.runs[1] > 0 and row.runs[2] > 0 and row.read_gb_per_second > 0)
    assert(math.abs(row.milliseconds - (row.runs[1] + row.runs[2]) / 2) < 1e-9 * row.milliseconds)
    local rate = row.tokens * 1e3 / row.milliseconds
    assert(math.abs(row.tokens_per_second - rate) <= 1e-9 * rate)
    eq(type(row.head), "string")
    eq(math.type(row.context), "integer")
  end
  assert(rows["load 0"] and rows["prompt 20"] and rows["prompt 9"] and rows["forced 16"] and rows["mixed 0"])
  eq(rows["decode 8"].tokens, 5)
  assert(rows["decode 40"])
  local sides, together = {}, {}
  for _, row in ipairs(r.rows) do
    if row.test == "sessions" then
      together[#together + 1] = row.sessions
      eq(row.tokens, row.sessions * 64)
    end
    if row.test == "ttft" then
      sides[#sides + 1] = row.side_file
      assert(row.context > 1 and row.context <= 32)
      assert(row.process_milliseconds >= row.milliseconds)
    end
  end
  eq(table.concat(together, " "), "2 3")
  eq(table.concat(sides, " "), "present absent")
  eq(keys(r.memory), "anonymous_bytes model_file_bytes other_file_bytes side_file_bytes")
  assert(r.memory.anonymous_bytes > 0 and r.memory.model_file_bytes > 0 and r.memory.other_file_bytes > 0)
  eq(os.execute("ls -d '" .. folder .. "'/bezel-bench-* 2>/dev/null"), nil, "folders left behind")
end)

test("bench measures what is asked for, and refuses what it does not know", function()
  local r = object { "bench", "--json", "--model", tiny, "--tests", "forced", "--rounds", "1", "--no-cache" }
  eq(#r.rows, 1)
  eq(r.rows[1].test, "forced")
  eq(r.rows[1].head, "none")
  eq(r.memory, nil)
  r = object { "bench", "--json", "--model", tiny, "--tests", "ttft", "--rounds", "1", "--no-cache" }
  eq(#r.rows, 1)
  eq(r.rows[1].side_file, "absent")
  for _, wrong in ipairs { { "--tests", "speed" }, { "--tests", "load,,ttft" }, { "--prompt", "0" }, { "--prompt", "12," },
    { "--context", "x" }, { "--sessions", "1025" }, { "--prompt", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17" } } do
    local _, status, err = run { "bench", "--model", tiny, wrong[1], wrong[2] }
    eq(status, 2)
    match(err, wrong[1])
  end
  match(run { "bench", "--model", tiny, "--tests", "load,memory", "--rounds", "1" }, "^test .-\nload .-\nmemory with 2048")
end)

-- A folder of the form that `bench calls` reads, and answers to its entries, from the cases beside this file.
local function calls_data()
  local cases = dofile(arg[0]:gsub("run%.lua$", "calls_cases.lua"))
  local files, answers = {}, {}
  os.execute("mkdir '" .. path "calls" .. "'")
  for i, case in ipairs(cases) do
    local id = "case_" .. i
    files[case[1]] = (files[case[1]] or "") .. ('{"id":"%s","question":[[{"role":"user","content":"Go?"}]],"function":%s%s}\n'):format(
      id, case[2]:gsub("\n", ""), case[3] and ',"ground_truth":' .. case[3] or "")
    answers[i] = json.encode { id = id, text = case[4] }
  end
  for name, text in pairs(files) do write("calls/" .. name .. ".jsonl", text) end
  return cases, write("answers.jsonl", table.concat(answers, "\n"))
end

test("bench calls judges answers by the rules of BFCL and as a ladder", function()
  local cases, answers = calls_data()
  local r = object { "bench", "calls", "--json", "--data", path "calls", "--answers", answers, "--output", path "judged" }
  local found, n = {}, 0
  for line in io.lines(path "judged") do
    local a = json.decode(line)
    found[a.id] = ("%d%d%d%d%d%d%d%d"):format(a.S0, a.S1, a.S2, a.S3, a.S4, a.S5, a.S6, a.S6b)
    n = n + 1
  end
  eq(n, #cases)
  for i, case in ipairs(cases) do eq(found["case_" .. i], case[5], "case " .. i .. ", " .. case[4]) end
  local rows = {}
  for _, row in ipairs(r.rows) do rows[row.category] = row end
  eq(keys(rows), "irrelevance multiple parallel relevance simple")
  eq(rows.irrelevance.n, 2)
  eq(rows.irrelevance.S0, 0.5)
  eq(rows.irrelevance.S4, 1.0)
  eq(rows.irrelevance.S6, bezel.null)
  eq(rows.parallel.S6, 1 / 3)
  eq(rows.simple.ms_per_call, bezel.null)
  assert(math.abs(rows.irrelevance.sampling_error.S0 - math.sqrt(0.25 / 2)) < 1e-12)
end)

test("bench calls asks the model, a row a category and variant", function()
  local base = { "bench", "calls", "--json", "--data", path "calls", "--model", P, "--max-tokens", "40" }
  local function rows(more)
    local list = table.move(base, 1, #base, 1, {})
    for _, word in ipairs(more) do list[#list + 1] = word end
    return object(list).rows
  end
  local r = rows { "--limit", "2" }
  eq(#r, 5)
  eq(keys(r[1]), "S0 S1 S2 S3 S4 S5 S6 S6b category constraint dialect forced ms_per_call n profile sampled sampling_error tool_choice")
  eq(r[1].constraint .. r[1].tool_choice .. r[1].profile .. r[1].dialect, "onautotranscriptfunction_call")
  r = rows { "--category", "simple", "--limit", "3", "--seed", "5", "--tool-choice", "required" }
  eq(#r, 1)
  eq(r[1].n, 3)
  eq(r[1].S0, bezel.null) -- nothing was left to decide
  assert(r[1].forced > 0)
  eq(#rows { "--category", "relevance", "--limit", "1", "--profile", "transcript", "--dialect", "function_call", "--all" }, 3)
  for _, wrong in ipairs { { "--tool-choice", "maybe" }, { "--constraint", "maybe" }, { "--dialect", "latin" },
    { "--constraint", "off", "--tool-choice", "required" } } do
    local list = table.move(wrong, 1, #wrong, #base + 1, table.move(base, 1, #base, 1, {}))
    eq(select(2, run(list)), 2, table.concat(wrong, " "))
  end
  eq(select(2, run { "bench", "calls" }), 2)
  local _, status, err = run { "bench", "calls", "--data", path "nowhere", "--model", P }
  eq(status, 1)
  match(err, "nowhere")
end)

-- --- Tools ----------------------------------------------------------------------------------

test("parse needs no model, and its errors are part of the answer", function()
  local r = object({ "parse", "--tools", tools }, 'Look:\nFUNCTION_CALL: probe(text="a", count="3")\nDone.')
  eq(keys(r), "calls errors text warnings")
  eq(r.text, "Look:\nDone.")
  eq(json.encode(r.calls), '[{"arguments":{"count":3,"text":"a"},"name":"probe"}]')
  eq(json.encode(r.errors), "[]")
  r = object { "parse", "--tools", tools, 'FUNCTION_CALL: probe(text="a", count=10)' }
  eq(json.encode(r.calls), "[]")
  eq(keys(r.errors[1]), "code message offset parameter tool")
  eq(r.errors[1].parameter, "count")
  r = object { "parse", "--tools", tools, "FUNCTION_CALL: nobody()" }
  eq(r.errors[1].code, "unknown_function")
  r = object { "parse", "--tools", tools, "--stopped", "limit", 'FUNCTION_CALL: probe(text="a"' }
  eq(#r.calls, 0)
  eq(#object { "parse", "--tools", tools, "--repair-tail", 'FUNCTION_CALL: probe(text="a"' }.calls, 1)
  eq(#object { "parse", "--tools", wrapped, 'FUNCTION_CALL: probe(text="a")' }.calls, 1)
end)

test("render gives the exact prompt, with --json its ids and stops", function()
  local input = json.encode { messages = bezel.list { { role = "system", content = "Be brief." }, { role = "user", content = "Hi" },
    { role = "assistant", content = "Yes?" }, { role = "user", content = "Go" } } }
  local prompt = run({ "render", "--model", I }, input)
  eq(prompt, "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nYes?<end_of_turn>\n"
    .. "<start_of_turn>user\nGo<end_of_turn>\n<start_of_turn>model\n")
  local r = object({ "render", "--json", "--model", I }, input)
  eq(keys(r), "ids prompt stops")
  eq(r.prompt, prompt)
  eq(json.encode(r.ids), json.encode(object({ "tokenize", "--model", I, "--special" }, prompt).ids))
  local with = json.encode { messages = bezel.list { { role = "user", content = "Hi" } }, context = "Berlin",
    tools = json.decode(read "tools.json") }
  match(run({ "render", "--model", P }, with), "probe: Looks\n.*Berlin.*User: Hi\nAssistant:")
  assert(#object({ "render", "--json", "--model", P }, with).stops > 0)
end)

for name, model in pairs { pretrained = P, instruct = I } do
  test("ask --json is the turn as one object: " .. name, function()
    local r = object { "ask", "--json", "--model", model, "--tools", tools, "--results", results, "Probe it." }
    eq(keys(r), "call_probability calls results stop_reason text usage")
    eq(r.text, "The answer is forty-two.")
    eq(json.encode(r.calls), '[{"arguments":{"count":3,"text":"hi"},"name":"probe"}]')
    eq(json.encode(r.results), '[{"name":"probe","value":{"seen":true}}]')
    eq(r.stop_reason, "eos")
    eq(r.usage.steps, 2)
    r = object { "ask", "--json", "--model", model, "--tools", tools, "Probe it." } -- no code: the turn ends after the calls
    eq(#r.calls, 1)
    eq(json.encode(r.results), "[]")
    eq(r.usage.steps, 1)
    r = object { "ask", "--json", "--model", model, "--tools", tools, "--results", write("none.json", "{}"), "Probe it." }
    eq(keys(r.results[1]), "error name")
  end)
end

test("ask --tool-choice says whether there is a call, and --constrain off leaves it to the model", function()
  local function calls(...)
    return #object { "ask", "--json", "--model", P, "--tools", tools, "--results", results, "--max-tokens", "40", ... }.calls
  end
  eq(calls("--tool-choice", "required", "Probe it."), 1)
  eq(calls("--tool-choice", "probe", "Probe it."), 1)
  eq(calls("--constrain", "off", "Probe it."), 1)
  local _, status, err = run { "ask", "--model", P, "--tools", tools, "--tool-choice", "prove", "Probe it." }
  eq(status, 1)
  match(err, "no tool prove")
end)

test("--allow and --deny decide; without a terminal nobody can be asked", function()
  local careful = write("careful.json", (read_file(tools):gsub('"name"', '"permission":"write","name"', 1)))
  local function ask(...)
    return object { "ask", "--json", "--model", P, "--tools", careful, "--results", results, ... }.results[1]
  end
  local answer = ask "Probe it."
  eq(answer.value, nil)
  match(answer.error, "not allowed by the user")
  eq(ask("--allow", "write", "Probe it.").error, nil)
  eq(ask("--allow", "read,probe", "Probe it.").error, nil)
  match(ask("--allow", "all", "--deny", "probe", "Probe it.").error, "not allowed here")
  local out, status, err = run({ "chat", "--model", P, "--no-store", "--tools", careful, "--results", results }, "Probe it.\n")
  eq(status, 0)
  match(err, "no terminal to ask at; %-%-allow probe would allow it")
  match(out, "forty%-two")
  local _, wrong = run { "ask", "--model", P, "--tools", tools, "--allow", ",", "x" }
  eq(wrong, 2)
end)

test("ask for people streams text; calls and notes go to standard error", function()
  local out, status, err = run { "ask", "--model", P, "--tools", tools, "--results", results, "Probe it." }
  eq(status, 0)
  match(out, "The answer is forty%-two%.\n$")
  match(err, "probe")
  eq((out .. err):find "\27", nil)
  out = run { "ask", "--model", P, "--tools", tools, "--show-prompt", "Probe it." }
  match(out, "User: Probe it%.\nAssistant:$")
  eq(run({ "ask", "--model", P, "--tools", tools, "--show-prompt" }, "Probe it."), out)
end)

-- --- Store ----------------------------------------------------------------------------------

test("stats show what was asked, and --no-store keeps nothing", function()
  local db = path "stats.db"
  for _ = 1, 2 do object { "ask", "--json", "--model", P, "--store", db, "--user", "ann", "--tools", tools, "--results", results, "?" } end
  object { "ask", "--json", "--model", P, "--store", db, "--no-store", "?" }
  local r = object { "stats", "--json", "--store", db }
  eq(r.usage_by_model[1].turns, 2)
  eq(r.usage_by_tool[1].tool, "probe")
  eq(keys(object { "stats", "--json", "--store", db, "usage_by_user" }), "usage_by_user")
  local out = run { "stats", "--store", db }
  match(out, "usage_by_model\nmodel")
  match(out, "Script model")
  match(out, "2 turns")
  match(out, "▁█  2 turns\n") -- the newest day is the last one
  match(out, "usage_by_user\nuser")
  match(out, "slowest_turns\n")
  eq(out:find("\27", 1, true), nil) -- no colours into a pipe
  for line in run({ "stats", "--store", db }, nil, "COLUMNS=60"):gmatch "[^\n]+" do
    if (utf8.len(line) or 0) > 60 then error("wider than 60 columns: " .. line) end
  end
end)

test("stats for Prometheus are sums of the store", function()
  local db = path "prometheus.db"
  for _ = 1, 2 do object { "ask", "--json", "--model", P, "--store", db, "--user", "ann", "--tools", tools, "--results", results, "?" } end
  local day = object({ "stats", "--json", "--store", db }).usage_by_day[1]
  local out, status = run { "stats", "--prometheus", "--store", db }
  eq(status, 0)
  match(out, "# TYPE gen_ai_client_token_usage_total counter\n")
  match(out, 'gen_ai_token_type="output"} ' .. day.generated_tokens .. "\n")
  match(out, 'bezel_turns_total{gen_ai_request_model="Script model"} 2\n')
  match(out, 'bezel_tool_calls_total{gen_ai_tool_name="probe"} 2\n')
  local labels = '{gen_ai_request_model="Script model",gen_ai_provider_name="bezel",gen_ai_operation_name="chat"'
  local below, buckets = 0, 0
  for le, n in out:gmatch("gen_ai_client_operation_duration_seconds_bucket" .. labels .. ',le="([%d.+Inf]+)"} (%d+)\n') do
    if tonumber(n) < below then error("a bucket has fewer than the one before: " .. le) end
    below, buckets = tonumber(n), buckets + 1
  end
  eq(buckets, 15)
  eq(below, day.model_calls)
  match(out, "gen_ai_client_operation_duration_seconds_sum" .. labels .. "} [%d.e-]+\n")
  match(out, "gen_ai_client_operation_duration_seconds_count" .. labels .. "} " .. day.model_calls .. "\n")
  match(out, "# TYPE gen_ai_client_operation_duration_seconds histogram\n")
  local seen = {}
  for line in out:gmatch "[^\n]+" do
    local name = line:match "^# TYPE (%S+)"
    if name then eq(seen[name], nil) seen[name] = true end
    if not line:match "^#" and not line:match "^[%a_]+%b{} %S+$" then error("no line of the format: " .. line) end
  end
  eq(select(2, run { "stats", "--prometheus", "--json", "--store", db }), 2)
end)

test("report makes a page, and replaces nothing else", function()
  local db, page = path "report.db", path "report.html"
  object { "ask", "--json", "--model", P, "--store", db, "--user", "ann", "?" }
  local _, status = run { "report", "--html", page, "--store", db, "--days", "7" }
  eq(status, 0)
  match(io.open(page):read "a", "<!doctype html>")
  local _, refused, said = run { "report", "--html", db, "--store", db }
  match(said, "is no report")
  eq(refused, 1)
  eq(select(2, run { "report", "--store", db }), 2)
end)

test("store exports, imports, copies and cleans", function()
  local db, other, file = path "rows.db", path "other.db", path "rows.jsonl"
  object { "ask", "--json", "--model", P, "--store", db, "--user", "ann", "?" }
  local _, status, said = run { "store", "export", file, "--store", db }
  eq(status, 0)
  local rows = tonumber(said:match "^(%d+) rows")
  match(select(3, run { "store", "import", file, "--store", other }), "^" .. rows .. " rows were new")
  match(select(3, run { "store", "import", file, "--store", other }), "^0 rows were new")
  local day = object({ "stats", "--json", "--store", other }).usage_by_day[1]
  eq(day.turns, 1)
  eq(select(2, run { "store", "backup", path "copy.db", "--store", db }), 0)
  eq(select(2, run { "store", "vacuum", "--store", db }), 0)
  eq(select(2, run { "store", "tidy", "--store", db }), 0)
  _, status, said = run { "store", "import", P, "--store", other }
  eq(status, 1)
  match(said, "line 1")
  eq(select(2, run { "store", "explode", "--store", db }), 2)
  eq(select(2, run { "store", "export", "--store", db }), 2)
  eq(select(2, run { "store", "--store", db }), 2)
end)

test("chat reads lines, keeps them, and goes on later", function()
  local db = path "chat.db"
  local out, status = run({ "chat", "--model", P, "--store", db }, "one\n/history\n/nonsense\n/clear\n/history\ntwo\n/quit\nnever\n")
  eq(status, 0)
  match(out, "user: one")
  eq(out:find "never", nil)
  local store = assert(bezel.store(db))
  local list = store:conversations() -- /clear began another one
  eq(#list, 2)
  local id = list[1].title == "one" and list[1].id or list[2].id
  eq(#store:messages(id), 2)
  store:close()
  out = run({ "chat", "--model", P, "--store", db, "--conversation", id }, "/history\nthree\n/history\n")
  match(out, "user: one.*user: one.*user: three")
  local _, bad = run({ "chat", "--model", P, "--store", db, "--conversation", "nobody" }, "x\n")
  eq(bad, 1)
end)

-- --- Ctrl-C ---------------------------------------------------------------------------------

-- Starts bezel in the background, sends a signal after it has written something; status and output.
local function interrupted(command, input)
  write("out", "")
  write("err", "")
  local file = write("interrupt.sh", ([[
%s '%s/bezel' %s <%s >%s 2>%s &
pid=$!
i=0
while [ ! -s %s ] && [ $i -lt 500 ]; do sleep 0.02; i=$((i+1)); done
kill -INT $pid
i=0
while kill -0 $pid 2>/dev/null && [ $i -lt 200 ]; do sleep 0.05; i=$((i+1)); done
kill -9 $pid 2>/dev/null && echo "had to be killed"
wait $pid
echo "status $?"
]]):format(environment, build, command, input, path "out", path "err", path "out"))
  -- bash: a background job of sh ignores SIGINT; exec resets nothing, the handler of the command does
  local pipe = io.popen("bash " .. file)
  local said = pipe:read "a"
  pipe:close()
  return said, read "out", read "err"
end

test("Ctrl-C stops the answer of chat, not the program", function()
  local input = write("lines", "forever\n/history\n/clear\nhello\n")
  local said, out, err = interrupted("chat --no-store --isa scalar --threads 1 --n-ctx 8192 --max-tokens 100000 --model " .. P, input)
  match(said, "status 0")
  match(err, "stopped")
  match(out, "user: forever")
  match(out, "FUNCTION_CALL")
end)

-- What a person at a terminal sees; script(1) is the terminal, its input the keyboard.
test("Ctrl-C on a terminal stops the answer of chat, and at the prompt only the line", function()
  write("tty", "")
  local command = ("exec %s '%s/bezel' chat --no-store --isa scalar --threads 1 --n-ctx 8192 --max-tokens 100000 --model %s"):format(environment, build, P)
  local keyboard = io.popen(("script -qefc %s %s >/dev/null 2>&1"):format(quote(command), path "tty"), "w")
  local function press(keys, answer)
    local before = #read "tty"
    keyboard:write(keys)
    keyboard:flush()
    for _ = 1, 500 do
      if read "tty":find(answer, before + 1) then return end
      os.execute "sleep 0.02"
    end
    keyboard:write "\3\4"
    error(("no '%s' in '%s'"):format(answer, read "tty":sub(-300)))
  end
  press("", "> ")
  press("forever\r", "\n[^>]+%w+ %w+ ")
  press("\3", "%(stopped%).*> ")
  press("\3", "\n> ")
  press("\3", "\n> ")
  press("/history\r", "user: forever.*> ")
  press("/quit\r", "/quit")
  local ok, how, status = keyboard:close()
  eq(ok and 0 or how .. status, 0)
end)

test("Ctrl-C ends ask with status 1", function()
  local said, _, err = interrupted("ask --no-store --isa scalar --threads 1 --n-ctx 8192 --max-tokens 100000 --model " .. P, write("lines", "forever"))
  match(said, "status 1")
  match(err, "cancelled")
end)

-- --- Files ----------------------------------------------------------------------------------

test("info and doctor", function()
  local r = object { "info", "--json", "--model", P }
  eq(r.kind, "pretrained")
  eq(r.name, "Script model")
  eq(object({ "info", "--json", "--check", I }).kind, "instruct")
  match(run { "info", "--model", P }, "Script model")
  local out, status = run { "doctor", "--model", P, "--store", path "doctor.db" }
  eq(status, 0)
  match(out, "ok  model")
  match(out, "ok  side files [1-9]%d* %.vocab .*, 0 half%-written in ") -- the tests before this one loaded models
  out, status = run { "doctor" }
  eq(status, 1)
  match(out, "!!  model")
end)

test("run has the module ready, arguments, and a traceback", function()
  local file = write("script.lua", 'local b = require "bezel"\nprint(b.version, arg[0] ~= nil, arg[1], ...)\nprint(os.getenv "BEZEL_STORE")')
  local out, status = run { "run", file, "one", "--two" }
  eq(status, 0)
  match(out, "^%d+%.%d+%.%d+\ttrue\tone\tone\t%-%-two\n.*bezel.db\n$")
  local _, bad, err = run { "run", write("bad.lua", "local function f() error 'oh no' end\nf()") }
  eq(bad, 1)
  match(err, "oh no.*stack traceback")
  _, bad, err = run { "run", write("bytes.luac", string.dump(function() end)) }
  eq(bad, 1)
  match(err, "binary")
end)

local function sha256(name)
  local pipe = io.popen("sha256sum " .. quote(path(name)))
  local hash = pipe:read "a":match "^%x+"
  pipe:close()
  return hash
end

test("get fetches, checks, resumes and refuses", function()
  local pipe = assert(io.popen("exec '" .. build .. "/tests/http_server'"))
  local url = assert(pipe:read "l")
  local whole = assert(bezel.http.get(url .. "/bytes?200000", { allow_private = true })).body
  write("whole", whole)
  local hash = sha256 "whole"
  local out, status = run { "get", url .. "/bytes?200000", "--sha256", hash, "--output", path "a" }
  eq(status, 0)
  eq(out, path "a" .. "\n")
  eq(read "a", whole)
  eq(select(2, run { "get", url .. "/status/500", "--sha256", hash, "--output", path "a" }), 0) -- it is there already
  -- cut in the middle, then resumed
  eq(select(2, run { "get", url .. "/cut?200000", "--sha256", hash, "--output", path "b" }), 1)
  eq(#read "b.part", 100000)
  eq(select(2, run { "get", url .. "/status/503", "--sha256", hash, "--output", path "b" }), 1)
  eq(#read "b.part", 100000) -- an error page does not cost what is there
  eq(select(2, run { "get", url .. "/cut?200000", "--sha256", hash, "--output", path "b" }), 0)
  eq(read "b", whole)
  -- a server that cannot resume
  write("c.part", whole:sub(1, 70000))
  eq(select(2, run { "get", url .. "/whole?200000", "--sha256", hash, "--output", path "c" }), 0)
  eq(read "c", whole)
  -- the part is whole already
  write("d.part", whole)
  eq(select(2, run { "get", url .. "/bytes?200000", "--sha256", hash, "--output", path "d" }), 0)
  -- another hash
  local _, wrong, err = run { "get", url .. "/bytes?1000", "--sha256", hash, "--output", path "e" }
  eq(wrong, 1)
  match(err, "hash")
  eq(io.open(path "e"), nil)
  eq(io.open(path "e.part"), nil)
  _, wrong, err = run { "get", url .. "/bytes?1000", "--sha256", hash, "--output", path "a" }
  eq(wrong, 0) -- the right file is there
  _, wrong, err = run { "get", url .. "/bytes?1000", "--sha256", ("0"):rep(64), "--output", path "a" }
  eq(wrong, 1)
  match(err, "another hash")
  eq(read "a", whole)
  -- into the cache folder, which is made
  out, status = run { "get", url .. "/bytes/model.gguf?200000", "--sha256", hash }
  eq(status, 0)
  eq(out, folder .. "/cache/bezel/model.gguf\n")
  bezel.http.get(url .. "/quit", { allow_private = true })
  pipe:close()
end)

test("teach learns from examples, tells wrong ones by line, is repeatable, and goes on after Ctrl-C", function()
  local mine = {}
  for i = 1, 8 do mine[i] = ('{"question":"say %d","answer":"is %d"}\n'):format(i, i) end
  local good, common = write("mine.jsonl", table.concat(mine)), { "--model", tiny, "--max-length", "64", "--validation", "0", "--threads", "1" }
  local function teach(more, extra)
    local words = { "teach" }
    for _, list in ipairs { common, more } do
      for _, word in ipairs(list) do words[#words + 1] = word end
    end
    return run(words, nil, extra)
  end
  local out, status, err = teach { "--examples", good, "--dry-run" }
  eq(status, 0)
  match(out, "%-%-%- " .. good .. ":8")
  match(out, ">>>is 8<end_of_turn><<<")
  -- wrong use, a wrong line, nothing to learn from
  eq(select(2, teach { "--examples", good }), 2)
  eq(select(2, teach { "--output", path "none" }), 2)
  _, status, err = teach { "--output", path "none", "--examples", write("bad.jsonl", '{"question":"a","answer":"b"}\n\n{"question":"a"}\n') }
  eq(status, 1)
  match(err, "bad.jsonl:3: answer")
  match(err, 'add "calls" or "answer"')
  -- two runs give the same bytes; the checkpoint goes with the end
  for _, name in ipairs { "ad1", "ad2" } do
    _, status, err = teach { "--examples", good, "--output", path(name), "--epochs", "3", "--rank", "2", "--seed", "5" }
    eq(status, 0, err)
    match(err, "8 examples")
    match(read(name .. "/loss.svg"), "^<svg")
    eq(io.open(path(name .. "/teach.checkpoint")), nil)
  end
  eq(read "ad1/adapter_model.safetensors", read "ad2/adapter_model.safetensors")
  eq(read "ad1/adapter.gguf", read "ad2/adapter.gguf")
  eq(select(2, run { "ask", "--model", tiny, "--no-store", "--adapter", path "ad1", "--max-tokens", "4", "hi" }), 0)
  -- Ctrl-C leaves a checkpoint and says how to go on; without --resume it is not run over
  local long = { "--examples", good, "--output", path "ad3", "--epochs", "10000", "--rank", "2" }
  _, _, err = teach(long, "timeout -s INT 2")
  match(err, "%-%-resume goes on")
  _, status, err = teach(long)
  eq(status, 1)
  match(err, "is left from a run that was stopped")
  long[#long + 1] = "--resume"
  _, _, err = teach(long, "timeout -s INT 2")
  match(err, "%-%-resume goes on")
  long[4] = path "ad4"
  eq(select(2, teach(long)), 1)
end)

print(("command: %d passed, %d failed"):format(passed, failed))
os.execute("rm -rf '" .. folder .. "'")
os.exit(failed == 0, true)
