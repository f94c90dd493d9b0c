-- SPDX-License-Identifier: MIT
-- Turns with and without tools, on the script model: it calls probe(text="hi", count=3), then answers.
local t = ...
local bezel = require "bezel"

local function probe(run, more)
  local tool = { name = "probe", description = "Looks", run = run, parameters = {
    { name = "text", type = "string" }, { name = "count", type = "integer" } } }
  for k, v in pairs(more or {}) do tool[k] = v end
  return { tool }
end

local models = {}
local function chat(run, options, more, kind)
  kind = kind or "pretrained"
  models[kind] = models[kind] or assert(bezel.load(t.model(kind)))
  options = options or {}
  options.tools = run and probe(run, more)
  return assert(models[kind]:chat(options))
end

for _, kind in ipairs { "pretrained", "instruct" } do
  t.test("a turn with a call ends in the answer: " .. kind, function()
    local seen
    local c <close> = chat(function(args) seen = args return { deg = 21.5, list = bezel.list() } end, nil, nil, kind)
    local turn = assert(c:ask "How is it?")
    t.eq(seen.text, "hi")
    t.eq(math.type(seen.count), "integer")
    t.eq(turn.text, "The answer is forty-two.")
    t.eq(turn.stop_reason, "eos")
    t.eq(#turn.calls, 1)
    t.eq(turn.calls[1].name, "probe")
    t.eq(turn.calls[1].arguments.count, 3)
    t.eq(turn.calls[1].result.deg, 21.5)
    t.eq(turn.usage.steps, 2)
    t.ok(turn.usage.prompt_tokens > turn.usage.cached_tokens and turn.usage.tokens_generated >= 5)
    t.eq(#c:history(), 4)
    t.eq(c:result().text, turn.text)
  end)
end

t.test("a turn tells how probable a call was, where calls are constrained", function()
  local c <close> = chat(function() return "fine" end)
  local turn = assert(c:ask "How is it?")
  t.ok(turn.call_probability > 0.5 and turn.call_probability <= 1)
  t.ok(turn.usage.forced_tokens >= 0)
  local free <close> = chat(function() return "fine" end, { constrain = false })
  turn = assert(free:ask "How is it?")
  t.eq(turn.call_probability, nil)
  t.eq(turn.usage.forced_tokens, 0)
  t.eq(#turn.calls, 1)
end)

t.test("with any_order arguments come in the order that the model wants", function()
  local order = { parameters = { { name = "count", type = "integer" }, { name = "text", type = "string" } } }
  local seen
  local function run(args) seen = args return "fine" end
  local free <close> = chat(run, { any_order = true }, order)
  assert(free:ask "How is it?")
  t.eq(seen.text, "hi") -- what the script writes, text first
  t.eq(seen.count, 3)
end)

t.test("tool_choice names the tool of the first call; a name that is no tool is an error of the turn", function()
  local c <close> = chat(function() return "fine" end, { tool_choice = "probe", call_bias = -5 })
  t.eq(assert(c:ask "How is it?").calls[1].name, "probe")
  local wrong <close> = chat(function() return "fine" end, { tool_choice = "prove" })
  local turn, message, code = wrong:ask "How is it?"
  t.eq(turn, nil)
  t.match(message, "no tool prove")
  t.eq(code, "missing")
end)

t.test("on_event sees text, calls and results in order", function()
  local c <close> = chat(function() return "fine" end)
  local order, text = {}, {}
  assert(c:ask("How is it?", function(event)
    if event.type == "text" then text[#text + 1] = event.text else order[#order + 1] = event.type .. " " .. event.name end
    if event.type == "result" then t.eq(event.result, "fine") end
  end))
  t.eq(table.concat(order, ", "), "call probe, result probe")
  t.match(table.concat(text), "The answer is forty%-two%.")
  t.ok(#text >= 1)
end)

-- What a tool can do wrong: each is told to the model, and the turn goes on to its answer.
local late = 'timeout'
local failures = {
  { "an error with a text", function() error "out of order" end, "callback", "out of order" },
  { "an error without place", function() error("out of order", 0) end, "callback", "^out of order$" },
  { "a table as error", function() error { message = "in the table" } end, "callback", "in the table" },
  { "a table without message", function() error {} end, "callback", "raised a table without" },
  { "a table with tostring", function() error(setmetatable({}, { __tostring = function() return "told" end })) end,
    "callback", "told" },
  { "a table whose tostring fails", function() error(setmetatable({}, { __tostring = error })) end, "callback", "." },
  { "a table whose tostring loops", function()
    error(setmetatable({}, { __tostring = function() while true do end end })) end, nil, "." },
  { "nil as error", function() error() end, "callback", "nil without a message" },
  { "a number as error", function() error(5) end, "callback", "5" },
  { "nil and a message", function() return nil, "no such place" end, "callback", "^no such place$" },
  { "an error after a yield", function() coroutine.yield(1) error "out of order" end, "callback", "out of order" },
  { "a yield through a sort", function() table.sort({ 1, 2, 3 }, coroutine.yield) end, "callback", "yield across" },
  { "endless yields", function() while true do coroutine.yield() end end, "timeout", "longer" },
  { "a yield for a day", function() coroutine.yield(864e5) end, "timeout", "longer" },
  { "a loop after a yield", function() coroutine.yield(1) while true do pcall(error) end end, "timeout", "longer" },
  { "a function as result", function() return print end, "callback", "function cannot be a value" },
  { "a table in itself as result", function() local x = {} x.x = x return x end, "callback", "nested deeper" },
  { "a mixed table as result", function() return { 1, x = 2 } end, "callback", "neither a list" },
  { "endless recursion", function() local function f() return 1 + f() end return f() end, nil, "." },
  { "bytes and control characters", function() error("a\1\xff\n" .. ("\u{e9}"):rep(400), 0) end, "callback", "^a \u{fffd} \u{e9}" },
  { "an endless loop", function() while true do end end, late, "longer" },
  { "a loop in pcall", function() while true do pcall(function() while true do end end) end end, late, "longer" },
  { "a loop in xpcall", function()
    while true do xpcall(function() while true do end end, function(m) return m end) end
  end, late, "longer" },
  { "a loop in its own coroutine", function()
    local co = coroutine.wrap(function() while true do end end)
    while true do pcall(co) end
  end, late, "longer" },
  { "a loop in a close method", function()
    local x <close> = setmetatable({}, { __close = function() while true do end end })
  end, late, "longer" },
  { "a loop in a sort", function()
    local x = {}
    for i = 1, 1000 do x[i] = i end
    while true do table.sort(x, function(a, b) return a < b end) end
  end, late, "longer" },
}
for _, row in ipairs(failures) do
  t.test("a failing tool is told to the model: " .. row[1], function()
    local c <close> = chat(row[2], nil, { timeout_ms = 100 })
    local turn = assert(c:ask "How is it?")
    t.eq(turn.text, "The answer is forty-two.")
    t.match(turn.calls[1].error, row[4])
    t.ok(utf8.len(turn.calls[1].error), "not UTF-8")
    if row[3] then t.eq(turn.calls[1].code, row[3]) end
  end)
end

-- Functions of Lua's own library that take long in C: seen before they are called, however the tool got at them.
local find = string.find
local as = ("a"):rep(100000)
local slow = {
  { "optional letters", function() return find(("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30)) end },
  { "a lazy group", function() return as:find "(.-).-.-x" end },
  { "a match", function() return string.match(as, ".-.-.-b") end },
  { "a greedy match", function() return as:match "a*a*a*b" end },
  { "gsub", function() return as:gsub(".-.-b", "") end },
  { "gmatch", function() for _ in as:gmatch ".-.-b" do end end },
  { "a balance at each place", function() return ("("):rep(200000):find "%b()" end },
  { "repeated captures", function() return as:find "(a*)%1b" end },
  { "a plain find", function() return as:rep(20):find(as:rep(10) .. "b", 1, true) end },
  { "find as a value", function() return select(2, pcall(pcall, find, as, ".-.-.-b")) end },
  { "a number as subject", function() return find(11111111111111, ("1?"):rep(40) .. ("1"):rep(40)) end },
  { "in a coroutine of its own", function() return coroutine.wrap(function() return as:find ".-.-.-b" end)() end },
  { "again and again in pcall", function() while true do pcall(find, as, ".-.-.-b") end end },
}
for _, row in ipairs(slow) do
  t.test("a pattern in a tool ends at the time limit: " .. row[1], function()
    local c <close> = chat(row[2], nil, { timeout_ms = 100 })
    local began = os.clock()
    local call = assert(c:ask "How is it?").calls[1]
    t.ok(os.clock() - began < 2, "took too long")
    t.eq(call.code, "timeout")
    t.match(call.error, "took longer than")
  end)
end

t.test("patterns that end give in a tool what they give outside", function()
  local subject = ("key%d = value; "):rep(300):gsub("%%d", "7")
  local function all()
    local list = { subject:find("(%w+) = (.-);", 20), subject:match "^(.*)= value; $", subject:find("7 = ", 40, true) }
    for k, v in subject:gmatch "(%w+)%s*=%s*(%w+)" do list[#list + 1] = k .. v end
    list[#list + 1] = subject:gsub("%f[%w]%w+", { value = "x" }, 500)
    list[#list + 1] = select(2, pcall(find, subject:rep(40), "(.-)%1[a"))
    list[#list + 1] = select(2, pcall(find, {}, "a"))
    list = bezel.json.encode(list)
    return #list .. list:sub(-200)
  end
  local inside
  local c <close> = chat(function() inside = all() end)
  assert(c:ask "?")
  t.eq(inside, all())
  t.eq(string.find, find)
  t.eq(getmetatable("").__index, string)
end)

t.test("what a tool allocates is bounded, and only while it runs", function()
  for _, run in ipairs {
    function() return #("a"):rep(1e9) end,
    function() local s = "a" while true do s = s .. s end end,
    function() local list = {} for i = 1, 1e9 do list[i] = ("x"):rep(2 ^ 20) .. i end end,
    function() return #("a"):rep(1e6):gsub("", ("x"):rep(1000)) end } do
    local c <close> = chat(run, nil, { memory_mb = 32 })
    local call = assert(c:ask "?").calls[1]
    t.eq(call.code, "limit")
    t.match(call.error, "more than its 32 MiB of memory")
  end
  local c <close> = chat(function() return #("a"):rep(2 ^ 24) end)
  t.eq(assert(c:ask "?").calls[1].result, 2 ^ 24)
  t.eq(#("a"):rep(300 * 2 ^ 20), 300 * 2 ^ 20)
end)

t.test("loops in C over counts beyond reason are refused", function()
  for _, run in ipairs { function() return (""):rep(1e12) end, function() return table.move({}, 1, 1e12, 2) end } do
    local c <close> = chat(run)
    local call = assert(c:ask "?").calls[1]
    t.eq(call.code, "callback")
    t.match(call.error, "more than 67108864")
  end
end)

t.test("results of every type come back as they are", function()
  for _, value in ipairs { 1, 2.5, "text", false, true, {}, { 1, 2 }, { a = { b = 1 } } } do
    local c <close> = chat(function() return value end)
    local result = assert(c:ask "?").calls[1].result
    t.eq(bezel.json.encode(result), bezel.json.encode(value))
  end
  local c <close> = chat(function() end)
  t.eq(assert(c:ask "?").text, "The answer is forty-two.")
end)

t.test("a tool cannot use its own chat, but asking it is no crash", function()
  local c
  local seen = {}
  c = chat(function()
    seen.ask = { c:ask "again" }
    seen.step = { c:step() }
    seen.append = { c:append { { role = "user", text = "x" } } }
    seen.prompt = { c:prompt "x" }
    c:clear()
    seen.stream = { pcall(c.stream, c, "again") }
    c:event()
    c:history()
    return "ok"
  end)
  t.eq(assert(c:ask "How is it?").text, "The answer is forty-two.")
  t.eq(seen.ask[3], "busy")
  t.eq(seen.step[3], "busy")
  t.eq(seen.append[3], "busy")
  t.eq(seen.prompt[3], "busy")
  t.eq(seen.stream[1], false)
  c:close()
end)

t.test("a tool may close its chat, its tools, its model: the turn ends with an error", function()
  local model = assert(bezel.load(t.model "pretrained"))
  local tools, c
  tools = bezel.tools(probe(function()
    c:close()
    tools:close()
    model:close()
    collectgarbage()
    return "ok"
  end))
  for _, how in ipairs { "ask", "step", "stream" } do
    model = assert(bezel.load(t.model "pretrained"))
    tools = bezel.tools(probe(function()
      c:close()
      tools:close()
      model:close()
      collectgarbage()
      return "ok"
    end))
    c = assert(model:chat { tools = tools })
    t.raises("closed", function()
      if how == "ask" then
        c:ask "?"
      elseif how == "stream" then
        for _ in c:stream "?" do end
      else
        assert(c:send "?")
        repeat local st = c:step() until st == "done" or not st
      end
    end)
    t.raises("closed", c.ask, c, "?")
  end
end)

t.test("a tool may cancel its chat", function()
  local c
  c = chat(function() c:cancel() return "ok" end)
  local turn, _, code = c:ask "?"
  t.eq(turn, nil)
  t.eq(code, "cancelled")
  c:clear()
  t.ok(c:ask "forever" == nil or true)
  c:close()
end)

t.test("a tool may run a chat of its own, under the outer time limit", function()
  local inner_text
  local c <close> = chat(function()
    local inner <close> = chat(function() return "deep" end)
    inner_text = assert(inner:ask "inner").text
    return inner_text
  end)
  t.eq(assert(c:ask "outer").calls[1].result, "The answer is forty-two.")
  local outer <close> = chat(function()
    local inner <close> = chat(function() while true do end end, nil, { timeout_ms = 60000 })
    return inner:ask("inner").calls[1].code
  end, nil, { timeout_ms = 300 })
  local call = assert(outer:ask "outer").calls[1]
  t.ok(call.code == "timeout" or call.result == "timeout")
end)

t.test("two chats share a toolset", function()
  local n = 0
  local tools = bezel.tools(probe(function() n = n + 1 return n end))
  local model = assert(bezel.load(t.model "pretrained"))
  local a, b = model:chat { tools = tools }, model:chat { tools = tools }
  tools:close()
  model:close()
  t.eq(assert(a:ask "?").calls[1].result, 1)
  t.eq(assert(b:ask "?").calls[1].result, 2)
  a:close()
  b:close()
end)

t.test("stream gives the pieces; result has the turn", function()
  local c <close> = chat(function() return 1 end)
  local pieces = {}
  for text in c:stream "?" do pieces[#pieces + 1] = text end
  t.match(table.concat(pieces), "The answer is forty%-two%.$")
  t.eq(c:result().text, "The answer is forty-two.")
end)

t.test("leaving a stream ends its turn, and the chat goes on", function()
  local c <close> = chat(nil, { max_tokens = 2000 })
  for _ in c:stream "forever" do break end
  t.eq(c:result().stop_reason, "cancelled")
  local n = 0
  t.raises("enough", function()
    for _ in c:stream "forever" do
      n = n + 1
      if n == 3 then error "enough" end
    end
  end)
  c:clear()
  t.ok(assert(c:ask "x"))
end)

t.test("a stream without a loop is over when another turn begins", function()
  local c <close> = chat(nil, { max_tokens = 50 })
  local next_piece = c:stream "forever"
  t.eq(next_piece(), " and")
  t.code("busy", c:ask "x")
  c:cancel()
  repeat local st = c:step() until st == "done" or not st
  t.ok(assert(c:send "forever"))
  t.raises("another turn", next_piece)
  c:cancel()
end)

t.test("a stream that fails raises", function()
  local c <close> = chat(nil, { n_ctx = 256, overflow = "error" })
  t.raises("", function() for _ in c:stream(("x"):rep(2000)) do end end)
  t.eq(#c:history(), 0)
end)

t.test("streams work in coroutines, tools included", function()
  local c <close> = chat(function() return 1 end)
  local pieces = {}
  local co = coroutine.wrap(function()
    for text in c:stream "?" do coroutine.yield(text) end
  end)
  for text in co do pieces[#pieces + 1] = text end
  t.match(table.concat(pieces), "forty%-two")
  local two = coroutine.create(function() for text in c:stream "forever" do coroutine.yield(text) end end)
  coroutine.resume(two)
  t.ok(coroutine.close(two))
  t.ok(c:send "x")
  c:cancel()
end)

t.test("step gives the host its time back", function()
  local c <close> = chat(function() return 1 end)
  assert(c:send "?")
  local n, status = 0
  repeat
    status = assert(c:step(0))
    n = n + 1
    repeat until not c:event()
  until status == "done"
  t.ok(n > 5)
  t.eq(c:result().text, "The answer is forty-two.")
  t.raises("milliseconds", c.step, c, 0 / 0)
  t.raises("milliseconds", c.step, c, 1e300)
  t.raises("number expected", c.step, c, {})
end)

t.test("in the background a descriptor tells when to step", function()
  local c <close> = chat(function() return 1 end, { background = true })
  assert(c:send "?")
  t.eq(math.type(c:fd()), "integer")
  local status, n = nil, 0
  repeat status = assert(c:step(1)) n = n + 1 until status == "done" or n > 1e6
  t.eq(c:result().text, "The answer is forty-two.")
  local busy = chat(nil, { background = true, max_tokens = 5000 })
  assert(busy:send "forever")
  busy:step(0)
  busy:close()
  t.eq(chat():fd(), nil)
end)

t.test("on_event may fail, close or ask", function()
  local c = chat(function() return 1 end)
  t.raises("my own error", c.ask, c, "?", function() error "my own error" end)
  t.eq(c:result().stop_reason, "cancelled")
  local inner
  assert(c:ask("?", function(event) if event.type == "text" and not inner then inner = { c:ask "x" } end end))
  t.eq(inner[3], "busy")
  t.raises("closed in its own turn", c.ask, c, "?", function() c:close() end)
  t.raises("closed", c.ask, c, "?")
  t.raises("yield", function()
    local d <close> = chat()
    local co = coroutine.wrap(function() d:ask("x", coroutine.yield) end)
    co()
  end)
end)

t.test("histories are read, appended, cleared", function()
  local c <close> = chat()
  assert(c:append { { role = "user", text = "Hi\0there" }, { role = "assistant", text = "Yes" } })
  t.eq(#c:history(), 2)
  t.eq(c:history()[2].role, "assistant")
  t.match(assert(c:prompt "next"), "Yes.*next")
  t.match(assert(c:prompt()), "Yes")
  t.code("format", c:append { { role = "system", text = "x" } })
  t.raises("needs a role", c.append, c, { { role = "robot", text = "x" } })
  t.raises("needs a role", c.append, c, { { role = "user" } })
  t.raises("message 1 is a string", function() c:append { "x" } end)
  c:clear()
  t.eq(#c:history(), 0)
  t.code("argument", c:prompt())
end)

t.test("many chats do not pile up", function()
  local before = bezel.machine().bytes
  for _ = 1, 40 do chat(function() return 1 end):send "?" end
  collectgarbage()
  collectgarbage()
  t.ok(bezel.machine().bytes < before + 20e6, "bytes held: " .. bezel.machine().bytes - before)
end)

t.test("a recorded session is replayed byte for byte, and no tool runs", function()
  local file, asked = t.path "session.jsonl", { "How is it?", "And now?" }
  local function session(options, run)
    local events = {}
    local c <close> = chat(run, options)
    for _, question in ipairs(asked) do
      local turn, message = c:ask(question, function(e) events[#events + 1] = bezel.json.encode(e) end)
      events[#events + 1] = turn and bezel.json.encode { turn.text, turn.calls, turn.usage.prompt_tokens, turn.usage.cached_tokens,
        turn.usage.tokens_generated } or message
    end
    return events
  end
  local first = session({ record = file, temperature = 0.7, seed = 5 }, function() return { deg = os.time() } end)
  local again = session({ replay = file, temperature = 0.7, seed = 5 }, function() error "a tool ran" end)
  t.ok(#first > 4)
  t.eq(#again, #first)
  for i = 1, #first do t.eq(again[i], first[i]) end
  asked = { "Something else?" }
  t.match(session({ replay = file }, function() end)[1], "differs from the recorded one")
  local model = assert(bezel.load(t.model "pretrained"))
  t.code("denied", model:chat { record = file })
  t.code("argument", model:chat { record = t.path "x", replay = file })
  t.code("format", model:chat { replay = t.model "pretrained" })
end)

t.test("an adapter of a chat: its path, an object for several chats, and what is no adapter", function()
  local model <close> = assert(bezel.load "tests/golden/tiny_gemma3.gguf")
  local c, message, code = model:chat { adapter = "tests/golden/none" }
  t.eq(c, nil)
  t.eq(code, "missing")
  t.ok(message:find "none")
  t.eq(select(3, model:adapter "tests/golden/none.gguf"), "missing")
  t.raises("option adapter", model.chat, model, { adapter = 5 })
  t.raises("adapter_scale", model.chat, model, { adapter_scale = "x" })
  local shared = assert(model:adapter "tests/golden/tiny_adapter")
  for _, adapter in ipairs { shared, "tests/golden/tiny_adapter" } do
    local other <close> = assert(model:chat { adapter = adapter, adapter_scale = 0.5, profile = "transcript", max_tokens = 3 })
    t.ok(other:ask "hi")
  end
  local kept = assert(model:chat { adapter = shared, profile = "transcript", max_tokens = 3 })
  shared:close() -- the chat still holds it
  t.ok(kept:ask "hi")
  t.raises("closed", model.chat, model, { adapter = shared })
  kept:close()
end)
