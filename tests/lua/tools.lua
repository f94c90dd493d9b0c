-- SPDX-License-Identifier: MIT
-- bezel.tools: declarations, what refuses them, and parsing a model's output.
local t = ...
local bezel = require "bezel"

local function probe(more)
  local tool = { name = "probe", description = "Looks", run = function() return 1 end, parameters = {
    { name = "text", type = "string" },
    { name = "count", type = "integer", minimum = 1, maximum = 9, optional = true } } }
  for k, v in pairs(more or {}) do tool[k] = v end
  return tool
end

t.test("both forms of parameters mean the same", function()
  local long = probe { parameters = { type = "object", required = { "text" }, properties = {
    count = { type = "integer", minimum = 1, maximum = 9 }, text = { type = "string" } } } }
  for _, tool in ipairs { probe(), long } do
    local tools = bezel.tools { tool }
    t.eq(tools:names()[1], "probe")
    local r = assert(tools:parse 'Look: FUNCTION_CALL: probe(text="a", count=3)\nDone.')
    t.eq(r.calls[1].name, "probe")
    t.eq(r.calls[1].arguments.count, 3)
    t.eq(r.text, "Look:\nDone.")
    t.eq(#r.errors, 0)
    tools:close()
  end
end)

t.test("errors and warnings of a parse are data", function()
  local tools = bezel.tools { probe() }
  local r = assert(tools:parse 'FUNCTION_CALL: probe(text="a", count=10)')
  t.eq(#r.calls, 0)
  t.eq(r.errors[1].tool, "probe")
  t.eq(r.errors[1].parameter, "count")
  t.eq(type(r.errors[1].code), "string")
  r = assert(tools:parse('FUNCTION_CALL: probe(text="a"', { stopped = "limit" }))
  t.eq(#r.calls, 0)
  r = assert(tools:parse('FUNCTION_CALL: probe(text="a"', { repair_tail = true }))
  t.eq(#r.calls + #r.errors, 1)
  t.raises("stopped: 'x' is none", tools.parse, tools, "", { stopped = "x" })
  t.raises("string expected", tools.parse, tools)
end)

t.test("a tool without parameters, and one with an empty table", function()
  for _, parameters in ipairs { false, {}, bezel.list() } do
    local tools = bezel.tools { { name = "now", run = print, parameters = parameters or nil } }
    t.eq(assert(tools:parse "FUNCTION_CALL: now()").calls[1].name, "now")
  end
end)

t.test("bad declarations raise", function()
  t.raises("a name is missing", bezel.tools, { { run = print } })
  t.raises("run must be a function, got nil", bezel.tools, { { name = "x" } })
  t.raises("run must be a function, got table", bezel.tools, { { name = "x", run = {} } })
  t.raises("unknown option 'fn'", bezel.tools, { { name = "x", fn = print } })
  t.raises("permission: 'root' is none", bezel.tools, { probe { permission = "root" } })
  t.raises("parameters: item 1 needs a name", bezel.tools, { probe { parameters = { { type = "string" } } } })
  t.raises("parameters: item 1 needs a name", bezel.tools, { probe { parameters = { "text" } } })
  t.raises("parameters: table expected", bezel.tools, { probe { parameters = "text" } })
  t.raises("timeout_ms: 0 is outside", bezel.tools, { probe { timeout_ms = 0 } })
  t.raises("memory_mb: 0 is outside", bezel.tools, { probe { memory_mb = 0 } })
  t.raises("examples: strings expected", bezel.tools, { probe { examples = { 5 } } })
  t.raises("examples: list of strings", bezel.tools, { probe { examples = "x" } })
  t.raises("list of tools expected", bezel.tools, probe())
  t.raises("item 1 is a string", bezel.tools, { "probe" })
  t.raises("table expected", bezel.tools)
  t.raises("table expected", bezel.tools, 5)
  t.raises("probe", bezel.tools, { probe(), probe() })
  t.raises("name", bezel.tools, { probe { name = "two words" } })
  t.raises("NUL byte", bezel.tools, { probe { name = "a\0b" } })
end)

t.test("unknown keywords of a schema are warnings", function()
  local tools = bezel.tools { probe { parameters = { { name = "a", type = "string", contentEncoding = "base64" } } } }
  for _, warning in ipairs(tools:warnings()) do t.eq(type(warning), "string") end
  t.eq(type(tools:warnings()), "table")
end)
