-- SPDX-License-Identifier: MIT
-- Every method of every object: after close, on the wrong object, with the wrong type; closing in every order; objects
-- that nobody closes.
local t = ...
local bezel = require "bezel"

local function world()
  local w = { model = assert(bezel.load(t.model "pretrained")), store = assert(bezel.store(t.path "misuse_all.db")) }
  w.tools = bezel.tools { { name = "probe", run = function() return 1 end } }
  w.chat = assert(w.model:chat { tools = w.tools, store = w.store, conversation = assert(w.store:begin()) })
  return w
end

local methods = {
  model = { "chat", "complete", "detokenize", "info", "kind", "name", "tokenize" },
  chat = { "append", "ask", "cancel", "clear", "event", "fd", "history", "prompt", "result", "send", "step", "stream" },
  tools = { "names", "parse", "warnings" },
  store = { "backup", "begin", "conversations", "delete", "messages", "query", "report", "search", "view", "views" },
}
local names = { "model", "chat", "tools", "store" }

t.test("every method after close raises", function()
  local w = world()
  for _, name in ipairs(names) do
    w[name]:close()
    w[name]:close()
    t.match(tostring(w[name]), "closed")
    for _, method in ipairs(methods[name]) do
      t.raises("bezel." .. name .. " is closed", w[name][method], w[name], "x", {})
    end
  end
end)

t.test("every method on a wrong self raises", function()
  local w = world()
  local values = { false, 5, "x", {}, print, io.stdout, coroutine.create(print), bezel.null }
  for _, name in ipairs(names) do
    for _, method in ipairs(methods[name]) do
      local fn = w[name][method]
      for _, value in ipairs(values) do t.raises("bad argument", fn, value) end
      t.raises("bad argument", fn)
      for _, other in ipairs(names) do
        if other ~= name then t.raises("bad argument", fn, w[other], "x") end
      end
    end
  end
  t.raises("bezel object expected", w.chat.close, {})
  t.raises("bezel object expected", w.chat.close, io.stdout)
  t.raises("bezel object expected", w.chat.close)
end)

t.test("every method with arguments of every wrong type raises or fails, and nothing more", function()
  local w = world()
  local values = { false, true, 5, -1, 0.5, 0 / 0, "x", "", {}, { 1 }, { x = 1 }, math.abs, io.stdout, bezel.null, w.model, w.tools }
  for _, name in ipairs(names) do
    for _, method in ipairs(methods[name]) do
      if method ~= "backup" and method ~= "report" then
        for _, a in ipairs(values) do
          pcall(w[name][method], w[name], a)
          for _, b in ipairs(values) do pcall(w[name][method], w[name], a, b) end
          if name == "chat" then
            w.chat:cancel()
            repeat local st = w.chat:step() until st == "done" or not st
            w.chat:clear()
          end
        end
      end
    end
  end
  for _, f in ipairs { "load", "store", "chat", "tools", "list", "has", "setup" } do
    for _, a in ipairs(values) do
      if not (f == "store" and type(a) ~= "table") then pcall(bezel[f], a) end
      for _, b in ipairs(values) do if f ~= "store" then pcall(bezel[f], a, b) end end
    end
  end
end)

-- Every order of four closes.
local function orders(list, n, fn)
  if n == 0 then return fn(list) end
  for i = 1, n do
    list[i], list[n] = list[n], list[i]
    orders(list, n - 1, fn)
    list[i], list[n] = list[n], list[i]
  end
end

t.test("closing in every order is safe", function()
  orders({ "model", "chat", "tools", "store" }, 4, function(order)
    local w = world()
    assert(w.chat:send "forever")
    w.chat:step(0)
    for _, name in ipairs(order) do
      w[name]:close()
      collectgarbage "step"
    end
  end)
end)

t.test("the collector closes what nobody closes", function()
  for i = 1, 6 do
    local w = world()
    w.self = w
    if i % 2 == 0 then w.chat:send "forever" w.chat:step(0) end
  end
  collectgarbage()
  collectgarbage()
end)

t.test("a finaliser that uses a dead object raises", function()
  local found
  do
    local w = world()
    setmetatable({}, { __gc = function() found = { pcall(w.chat.ask, w.chat, "x") } end })
  end
  collectgarbage()
  collectgarbage()
  t.ok(found)
end)

t.test("metatables are out of reach", function()
  local w = world()
  for _, name in ipairs(names) do
    t.eq(getmetatable(w[name]), "bezel object")
    t.eq(w[name].__gc, nil)
    t.raises("", function() w[name].x = 1 end)
  end
end)

-- For the end of the program: everything open, a turn in the middle, a stream half read.
KEEP_UNTIL_CLOSE = world()
KEEP_UNTIL_CLOSE.chat:send "forever"
KEEP_UNTIL_CLOSE.chat:step(0)
KEEP_STREAM = KEEP_UNTIL_CLOSE.model:chat { background = true }
KEEP_STREAM:send "forever"
KEEP_STREAM:step(1)
