-- SPDX-License-Identifier: MIT
-- Options tables, the null sentinel, the engine: what all topics share.
local t = ...
local bezel = require "bezel"

t.test("the module says what it is", function()
  t.match(bezel.version, "^%d+%.%d+%.%d+$")
  t.eq(bezel.has "store", true)
  t.eq(bezel.has "no such part", false)
  t.raises("string expected", bezel.has)
  t.raises("NUL", bezel.has, "a\0b")
end)

t.test("the machine is described", function()
  local machine = assert(bezel.machine())
  t.eq(type(machine.isa), "string")
  t.ok(machine.threads >= 1)
end)

t.test("setup comes before everything else or raises", function()
  t.raises("already in use", bezel.setup, { threads = 1 })
  t.raises("unknown option", bezel.setup, { thread = 1 })
end)

t.test("options are checked by name and type", function()
  t.raises("unknown option 'x'", bezel.http.get, "http://127.0.0.1/", { x = 1 })
  t.raises("table of names expected", bezel.http.get, "http://127.0.0.1/", { 1 })
  t.raises("timeout_ms: integer expected, got string", bezel.http.get, "http://127.0.0.1/", { timeout_ms = "5" })
  t.raises("timeout_ms: integer expected", bezel.http.get, "http://127.0.0.1/", { timeout_ms = 1.5 })
  t.raises("allow_private: boolean expected", bezel.http.get, "http://127.0.0.1/", { allow_private = 1 })
  t.raises("table expected", bezel.http.get, "http://127.0.0.1/", 5)
  t.raises("NUL byte", bezel.store, t.path "x.db\0y")
end)

t.test("two states in one process do not know each other", function()
  -- A state of its own in a coroutine is none; loading the module twice in one state must be harmless, though.
  package.loaded.bezel = nil
  local again = require "bezel"
  t.eq(again.version, bezel.version)
  t.eq(again.null, bezel.null)
  t.eq(again.json.encode(bezel.list()), "[]")
end)
