-- SPDX-License-Identifier: MIT
-- Tools that yield: resumed by later steps, side by side, dropped with their turn, and what then is in the store.
local t = ...
local bezel = require "bezel"

local two = t.model("pretrained", 'slow(id=1)\nFUNCTION_CALL: slow(id=2)', "Both are done.")
local one = t.model("pretrained", "slow(id=1)", "It is done.")

local function chat(run, options, more, file)
  options = options or {}
  local tool = { name = "slow", run = run, parameters = { { name = "id", type = "integer" } } }
  for k, v in pairs(more or {}) do tool[k] = v end
  options.tools = { tool }
  options.constrain = false
  return assert(assert(bezel.load(file or one)):chat(options))
end

local function events(c) repeat until not c:event() end

-- Steps until the tools are pending; the wait that step names.
local function pending(c)
  for _ = 1, 1000 do
    local status, wait = assert(c:step(-1))
    if status == "pending" then return wait end
    t.ok(status ~= "done", "the turn ended")
  end
end

t.test("a tool that yields is pending; each step resumes it once, with its hint as the host's wait", function()
  local n = 0
  local c <close> = chat(function(args)
    n = 1
    coroutine.yield() -- the step after the one that told the call resumes it
    n = 2
    coroutine.yield()
    n = 3
    t.eq(coroutine.yield(0), nil)
    coroutine.yield(3600e3)
    return args.id + 41
  end)
  assert(c:send "?")
  t.eq(pending(c), 1) -- no wish: each millisecond
  t.eq(n, 2)
  local _, wait = c:step(0)
  t.eq(n, 3)
  t.eq(wait, 0)
  _, wait = c:step(0)
  t.ok(wait > 29e3 and wait <= 30e3, "never beyond its own time limit") -- timeout_ms
  c:cancel()
  t.code("cancelled", c:step())
end)

t.test("calls of a tool that is not parallel begin one after another", function()
  local log = {}
  local c <close> = chat(function(args)
    log[#log + 1] = "begin " .. args.id
    coroutine.yield(0)
    log[#log + 1] = "end " .. args.id
  end, nil, { parallel = false }, two)
  assert(c:ask "?")
  t.eq(table.concat(log, ", "), "begin 1, end 1, begin 2, end 2")
end)

t.test("ask and stream wait for a pending tool", function()
  local c <close> = chat(function() for _ = 1, 3 do coroutine.yield(2) end return "fine" end)
  t.eq(assert(c:ask "?").calls[1].result, "fine")
  local pieces = {}
  for text in c:stream "?" do pieces[#pieces + 1] = text end
  t.match(table.concat(pieces), "It is done%.$")
end)

t.test("the calls of a turn overlap, and their results are told in call order", function()
  local log = {}
  local c <close> = chat(function(args)
    for i = 1, 3 do
      log[#log + 1] = args.id .. "." .. i
      coroutine.yield(args.id == 1 and 5 or 0)
    end
    log[#log + 1] = "end " .. args.id
    return args.id * 10
  end, nil, nil, two)
  local turn = assert(c:ask "?")
  t.eq(table.concat(log, " ", 1, 2), "1.1 2.1") -- both begin before any is waited for
  t.eq(table.concat(log, " "):match "end %d", "end 2")
  t.eq(turn.calls[1].result, 10)
  t.eq(turn.calls[2].result, 20)
  local told = c:history()[3].text
  t.ok(told:find("= 10", 1, true) < told:find("= 20", 1, true))
  t.eq(turn.text, "Both are done.")
end)

t.test("yields come through pcall, iterators and coroutines of the tool", function()
  local c <close> = chat(function()
    local inner = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
    local sum = 0
    for i in inner do
      local ok, got = pcall(function() coroutine.yield(0) return i end)
      sum = sum + (ok and got or 100)
    end
    local ok, message = pcall(function() coroutine.yield(0) error("x", 0) end)
    return { sum = sum, ok = ok, message = message }
  end)
  local r = assert(c:ask "?").calls[1].result
  t.eq(r.sum, 6)
  t.eq(r.ok, false)
  t.eq(r.message, "x")
end)

t.test("what a tool allocates is counted over its yields, what was collected is not", function()
  local c <close> = chat(function()
    for _ = 1, 20 do
      local text = ("x"):rep(8 << 20)
      t.ok(#text > 0)
      text = nil
      collectgarbage()
      coroutine.yield(0)
      collectgarbage()
    end
    return "ok"
  end, nil, { memory_mb = 32 })
  t.eq(assert(c:ask "?").calls[1].result, "ok")
  local d <close> = chat(function()
    local list = {}
    for i = 1, 100 do
      list[i] = ("x"):rep(4 << 20) .. i
      coroutine.yield(0)
    end
    return #list
  end, nil, { memory_mb = 32 })
  t.eq(assert(d:ask "?").calls[1].code, "limit")
end)

-- A tool with something to close, which never answers.
local function keeper(closed)
  return function()
    local guard <close> = setmetatable({}, { __close = function(_, why) closed[#closed + 1] = tostring(why) end })
    while guard do coroutine.yield(3600e3) end
  end
end

t.test("cancel, a late call, close and a collected chat close the coroutine; the store has the turn", function()
  for i, how in ipairs { "cancel", "late", "close", "collect", "stream" } do
    local closed = {}
    local store = assert(bezel.store(t.path("pending" .. i .. ".db")))
    local id = assert(store:begin())
    local c = chat(keeper(closed), { store = store, conversation = id }, { timeout_ms = how == "late" and 30 or nil })
    if how ~= "stream" then
      assert(c:send "a question")
      pending(c)
      t.eq(#closed, 0)
    end
    if how == "cancel" then
      c:cancel()
      t.code("cancelled", c:step())
      t.eq(c:result().calls[1].code, "cancelled")
    elseif how == "late" then
      repeat
        c:wait()
        events(c)
      until assert(c:step(-1)) == "done"
      t.eq(c:result().calls[1].code, "timeout")
    elseif how == "close" then
      c:close()
    elseif how == "collect" then
      c = nil
      collectgarbage()
      collectgarbage()
    else
      local next_piece, _, _, closing = c:stream "a question"
      local host = coroutine.create(next_piece)
      c:cancel()
      local ok, message = coroutine.resume(host)
      t.eq(ok, false)
      t.match(message, "cancelled")
      closing = nil
      closed[1] = "nil" -- the tool had not begun
    end
    t.eq(#closed, 1, how)
    t.eq(closed[1], "nil")
    local row = assert(store:query "SELECT status, withdrawn FROM turn")[1]
    t.eq(row.status, how ~= "late" and "cancelled" or nil, how)
    local call = assert(store:query "SELECT error_code, duration_us > 0 AS took, arguments FROM tool_call")[1]
    if how ~= "stream" then
      t.eq(call.error_code, how == "late" and "timeout" or "cancelled")
      t.eq(call.took, 1)
      t.eq(call.arguments, '{"id":1}')
    end
    t.eq(assert(store:query "SELECT text FROM message WHERE role = 'user'")[1].text, "a question")
    if c then c:close() end
    store:close()
  end
end)

t.test("a closing function that fails, loops or yields ends there", function()
  for _, last in ipairs { function() error "in close" end, function() while true do end end, coroutine.yield } do
    local c = chat(function()
      local guard <close> = setmetatable({}, { __close = last })
      while guard do coroutine.yield(0) end
    end)
    assert(c:send "?")
    pending(c)
    local began = os.clock()
    c:close()
    t.ok(os.clock() - began < 5)
  end
end)

t.test("a tool may close its chat after a yield", function()
  local c
  c = chat(function()
    coroutine.yield(0)
    c:close()
    return 1
  end)
  t.raises("closed", c.ask, c, "?")
end)

t.test("the time limit runs while a tool is pending", function()
  local c <close> = chat(function()
    coroutine.yield(20)
    while true do end
  end, nil, { timeout_ms = 60 })
  local began = bezel.machine and os.clock()
  t.eq(assert(c:ask "?").calls[1].code, "timeout")
  t.ok(os.clock() - began < 2)
end)

t.test("http in a tool yields: requests of a turn overlap, and a dropped one is ended", function()
  local get = bezel.http.get
  local url = t.server()
  local c <close> = chat(function(args)
    local ok, r, message = pcall(get, url .. (args.id == 1 and "/hello" or "/status/404"), { allow_private = true, timeout_ms = 5000 })
    return ok and r and r.status or message or r
  end, nil, nil, two)
  local turn = assert(c:ask "?")
  t.eq(turn.calls[1].result, 200)
  t.eq(turn.calls[2].result, 404)
  local d <close> = chat(function()
    local r, _, code = get("http://127.0.0.1:1/", { allow_private = true })
    local denied = select(3, get(url .. "/hello"))
    local inner = coroutine.wrap(function() return get(url .. "/hello", { allow_private = true }).body end)()
    return { r == nil, code, denied, inner }
  end)
  t.eq(table.concat({ select(2, table.unpack(assert(d:ask "?").calls[1].result)) }, " "), "network denied hello")
  local e <close> = chat(function() return get(url .. "/slow", { allow_private = true }) end, nil, { timeout_ms = 60 })
  local began = bezel.machine and os.time()
  t.eq(assert(e:ask "?").calls[1].code, "timeout")
  t.ok(os.time() - began <= 2)
  local f <close> = chat(function() return get(url .. "/slow", { allow_private = true }) end)
  assert(f:send "?")
  local wait = pending(f)
  t.ok(wait <= 2)
  f:cancel()
  t.code("cancelled", f:step())
end)

t.test("many pending chats do not pile up", function()
  local before = bezel.machine().bytes
  local model = assert(bezel.load(one))
  for _ = 1, 30 do
    local c
    c = assert(model:chat { constrain = false, tools = { { name = "slow", parameters = { { name = "id", type = "integer" } },
      run = function() while c do coroutine.yield() end end } } })
    assert(c:send "?")
    pending(c)
  end
  collectgarbage()
  collectgarbage()
  t.ok(bezel.machine().bytes < before + 20e6, "bytes held: " .. bezel.machine().bytes - before)
end)
