-- SPDX-License-Identifier: MIT
-- The unseen questions of a folder (tools.json, unseen.jsonl) as a file that `bezel bench calls` judges.
--   lua5.4 examples/teach/unseen.lua examples/teach/home > DIR/simple_home.jsonl
package.cpath = "build/?.so;" .. package.cpath
local bezel = require "bezel"

local folder = arg[1]
local file = assert(io.open(folder .. "/tools.json"))
local tools = assert(bezel.json.decode(file:read "a"))
file:close()
local n = 0
for line in io.lines(folder .. "/unseen.jsonl") do
  local example, truth = assert(bezel.json.decode(line)), {}
  n = n + 1
  for i, call in ipairs(example.calls) do
    local accepted = {}
    for name, value in pairs(call.arguments) do accepted[name] = { value } end
    truth[i] = { [call.name] = accepted }
  end
  print(bezel.json.encode {
    id = "unseen_" .. n,
    question = { { { role = "user", content = example.question } } },
    ["function"] = tools,
    ground_truth = truth,
  })
end
