-- SPDX-License-Identifier: MIT
-- bezel.store: what a turn leaves there, queries as tables, resuming.
local t = ...
local bezel = require "bezel"

local function open(name, options) return assert(bezel.store(t.path(name), options)) end

t.test("R33, R34: a turn with a call is in the store, and the conversation goes on after a restart", function()
  local model <close> = assert(bezel.load(t.model "pretrained"))
  local store = open "turns.db"
  local id = assert(store:begin("Trip", "ann"))
  local c = assert(model:chat { store = store, conversation = id, user = "ann", tools = { {
    name = "probe", run = function() return { seen = true } end, parameters = {
      { name = "text", type = "string" }, { name = "count", type = "integer" } } } } })
  assert(c:ask "How is it?")
  c:close()
  store:close()
  store = open "turns.db"
  local messages = assert(store:messages(id))
  t.eq(messages[1].role, "user")
  t.eq(messages[1].text, "How is it?")
  t.match(messages[#messages].text, "forty%-two")
  t.eq(store:conversations()[1].title, "Trip")
  t.eq(store:search("how")[1].conversation, id)
  local rows = assert(store:query("SELECT count(*) AS n FROM usage WHERE user = ?1", "ann"))
  t.eq(rows[1].n, 2)
  t.eq(store:view("usage_by_tool")[1].tool, "probe")
  local again <close> = assert(model:chat { store = store, conversation = id })
  assert(again:append(messages))
  t.eq(#again:history(), #messages)
  t.ok(store:backup(t.path "copy.db"))
  t.eq(#assert(open("copy.db"):conversations()), 1)
  t.ok(store:report(t.path "page.html", { days = 3, conversations = 1 }))
  local page <close> = assert(io.open(t.path "page.html"))
  t.ok(page:read("a"):find('"turns":', 1, true))
  t.code("denied", store:report(t.path "copy.db"))
  t.raises("days", store.report, store, t.path "page.html", { days = -1 })
  t.ok(store:delete(id))
  t.eq(#store:conversations(), 0)
  t.code("missing", store:messages(id))
end)

t.test("a store goes to another one by lines of JSON, once", function()
  local from <close> = open "from.db"
  local to <close> = open "to.db"
  local id = assert(from:begin("Trip", "ann"))
  local rows = assert(from:export(t.path "rows.jsonl"))
  t.eq(rows, 1)
  t.eq(to:import(t.path "rows.jsonl"), 1)
  t.eq(to:import(t.path "rows.jsonl"), 0)
  t.eq(to:conversations()[1].id, id)
  t.eq(to:conversations()[1].title, "Trip")
  t.code("denied", from:export(t.path "rows.jsonl"))
  t.code("missing", to:import(t.path "nothing.jsonl"))
  local lines <close> = assert(io.open(t.path "bad.jsonl", "w"))
  lines:write('{"bezel_store":1,"schema":1,"user_keys":""}\nnonsense\n')
  lines:flush()
  local _, message, code = to:import(t.path "bad.jsonl")
  t.eq(code, "format")
  t.match(message, "line 2")
end)

t.test("queries take any parameter and write nothing", function()
  local store <close> = open "queries.db"
  local row = assert(store:query("SELECT ?1 AS a, ?2 AS b, ?3 AS c, ?4 AS d, ?5 AS e", 1, 2.5, "x", nil, true))[1]
  t.eq(row.a, 1)
  t.eq(row.b, 2.5)
  t.eq(row.c, "x")
  t.eq(row.d, nil)
  t.eq(row.e, 1)
  t.code("denied", store:query "DELETE FROM usage")
  t.code("store", store:query "SELECT nonsense FROM nowhere")
  t.raises("function cannot be a value", store.query, store, "SELECT ?1", print)
  for _, view in ipairs(store:views()) do t.eq(type(assert(store:view(view))), "table", view) end
  t.raises("is no view", store.view, store, "usage; DROP TABLE usage")
end)

t.test("R21: windows of a guard in a store go on after a restart", function()
  for round = 1, 2 do
    local store <close> = open "windows.db"
    local guard <close> = assert(bezel.guard { max_requests = 2, window_s = 60, store = store })
    t.eq(guard:request "ann", true)
    local rate = guard:rate "ann"
    t.eq(rate.used, round)
    if round == 2 then t.eq((guard:request "ann"), false) end
    t.eq(#store:query "SELECT * FROM rate_window", 1)
  end
  t.raises("a store expected", bezel.guard, { store = 1 })
end)

t.test("R24: users by keyed hashes, the same user over a rotation", function()
  local keys = { ("k"):rep(32), ("l"):rep(32) }
  local store = assert(bezel.store(t.path "keys.db", { user_keys = { keys[1] } }))
  assert(store:begin("one", "ann"))
  t.match(store:user "ann", "^u1%-%x+$")
  t.eq(store:conversations()[1].user, store:user "ann")
  store:close()
  store = assert(bezel.store(t.path "keys.db", { user_keys = keys }))
  t.match(store:user "ann", "^u2%-%x+$")
  t.eq(store:conversations()[1].user, store:user "ann")
  store:close()
  t.code("denied", bezel.store(t.path "keys.db", { user_keys = { keys[2] } }))
  store = open "keys.db"
  t.eq(#store:conversations(), 1)
  t.code("denied", store:begin("two", "ann"))
  store:close()
  t.raises("32 bytes", bezel.store, t.path "keys.db", { user_keys = { "short" } })
end)

t.test("R35: a store is bounded in size, and totals stay", function()
  local store <close> = assert(bezel.store(t.path "bounded.db", { max_bytes = 1 << 30, content_days = 90 }))
  t.eq(store:tidy(), true)
  t.eq(store:vacuum(), true)
  t.raises("0..3600000 expected", store.tidy, store, -1)
end)

t.test("a view's rows may be limited", function()
  local store <close> = open "limit.db"
  for i = 1, 5 do assert(store:begin("c" .. i)) end
  t.eq(#store:view("usage_by_day", 3), 0)
  t.raises("0..100000 expected", store.view, store, "usage_by_day", -1)
end)

t.test("files of others are refused", function()
  local path = t.path "other.db"
  local file = assert(io.open(path, "wb"))
  file:write(("not a database"):rep(100))
  file:close()
  t.eq(bezel.store(path), nil)
  t.eq(bezel.store "/no/such/folder/x.db", nil)
  t.eq(bezel.store(t.path "none.db", { read_only = true }), nil)
end)

t.test("a store that is closed first is held by its chat", function()
  local model = assert(bezel.load(t.model "pretrained"))
  local store = open "held.db"
  local c = assert(model:chat { store = store, conversation = assert(store:begin()) })
  store:close()
  model:close()
  t.raises("bezel.store is closed", store.views, store)
  t.ok(c:ask "?")
  c:close()
  t.eq(open("held.db"):view("usage_by_model")[1].turns, 1)
end)

t.test("misuse raises", function()
  local store <close> = open "misuse.db"
  t.raises("string expected", store.query, store)
  t.raises("NUL byte", store.query, store, "SELECT 1\0")
  t.raises("0%.%.100000 expected", store.conversations, store, -1)
  t.raises("0 or more", store.conversations, store, 1, -1)
  t.raises("0%.%.1000 expected", store.search, store, "x", 1001)
  t.raises("string expected", store.begin, store, {})
  t.raises("busy_ms: integer expected", bezel.store, t.path "x.db", { busy_ms = {} })
  t.raises("a store expected, got table", function()
    assert(bezel.load(t.model "pretrained")):chat { store = {} }
  end)
end)
