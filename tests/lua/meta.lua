-- SPDX-License-Identifier: MIT
-- The editor annotations against the module, both ways.
local t = ...
local bezel = require "bezel"

-- Names of the annotations: "bezel.load", "model.tokenize" (methods), "json.encode", ...
local function annotated()
  local found = {}
  for line in io.lines "bindings/lua/bezel.meta.lua" do
    local owner, name = line:match "^function ([%w_]+)[.:]([%w_]+)%("
    if owner then found[owner .. "." .. name] = true end
    local field = line:match "^%-%-%-@field ([%w_]+) "
    if field and not found.past_module then found["bezel." .. field] = true end
    if line:match "^local bezel" then found.past_module = true end
  end
  found.past_module = nil
  return found
end

local function provided()
  local found = {}
  for name in pairs(bezel) do found["bezel." .. name] = true end
  for name in pairs(bezel.json) do found["json." .. name] = true end
  for name in pairs(bezel.prompts) do found["prompts." .. name] = true end
  for name in pairs(bezel.http) do found["http." .. name] = true end
  local types = { model = "bezel.model", chat = "bezel.chat", tools = "bezel.tools", store = "bezel.store",
    mcp = "bezel.mcp", guard = "bezel.guard", monitor = "bezel.monitor", service = "bezel.service",
    judge = "bezel.judge", probe = "bezel.probe" }
  for owner, type_name in pairs(types) do
    for name in pairs(debug.getregistry()[type_name].__index) do found[owner .. "." .. name] = true end
  end
  return found
end

t.test("what is annotated is there, and what is there is annotated", function()
  local a, p = annotated(), provided()
  for name in pairs(a) do t.ok(p[name], "annotated but missing: " .. name) end
  for name in pairs(p) do t.ok(a[name], "not annotated: " .. name) end
end)

t.test("the annotations are valid Lua", function() t.ok(loadfile("bindings/lua/bezel.meta.lua", "t")) end)
