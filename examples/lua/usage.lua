-- SPDX-License-Identifier: MIT
-- Questions to the store: who used which model, which tools, how fast; and what was said.
--
--     bezel run examples/lua/usage.lua [bezel.db] [search words]
local bezel = require "bezel"

local store = assert(bezel.store(arg and arg[1] or os.getenv "BEZEL_STORE" or "bezel.db", { read_only = true }))

local function show(title, rows)
  print(title)
  if #rows == 0 then print "  (nothing yet)" end
  for _, row in ipairs(rows) do
    local cells = {}
    for name, value in pairs(row) do cells[#cells + 1] = name .. "=" .. tostring(value) end
    table.sort(cells)
    print("  " .. table.concat(cells, "  "))
  end
  print()
end

for _, view in ipairs { "usage_by_model", "usage_by_tool", "usage_by_user", "usage_by_day", "slowest_turns" } do
  show(view, assert(store:view(view)))
end
show("tokens generated in the last hour", assert(store:query(
  "SELECT user, sum(generated_tokens) AS tokens FROM usage WHERE started_ms > (unixepoch() - ?1) * 1000 GROUP BY user", 3600)))
if arg and arg[2] then
  local words = table.concat(arg, " ", 2)
  show('messages with "' .. words .. '"', assert(store:search(words, 5)))
end
store:close()
