-- SPDX-License-Identifier: MIT
-- Shows that the synthetic data has nothing of a benchmark: names of functions and whole questions that both have.
--   lua5.4 examples/teach/overlap.lua tools.jsonl examples.jsonl BENCHMARK.jsonl...
-- examples.jsonl: `bezel teach --tools tools.jsonl --vary --dry-run --json --count N`; exit status 1 when there is an overlap.
package.cpath = "build/?.so;" .. package.cpath
local bezel = require "bezel"

local function lines(path, each)
  for line in io.lines(path) do
    if line:find "%S" then each(assert(bezel.json.decode(line))) end
  end
end
local function plain(text) return (text:lower():gsub("%W+", " "):gsub("^ ", ""):gsub(" $", "")) end

local names, questions, n = {}, {}, 0
local function texts(x)
  if type(x) == "string" then
    questions[plain(x)] = true
  elseif type(x) == "table" and x.content then
    texts(x.content)
  elseif type(x) == "table" then
    for _, item in ipairs(x) do texts(item) end
  end
end
for i = 3, #arg do
  lines(arg[i], function(entry)
    n = n + 1
    texts(entry.question)
    for _, f in ipairs(entry["function"] or {}) do names[f.name] = true end
  end)
end

local same, n_tools, n_examples = 0, 0, 0
local function report(what, text)
  same = same + 1
  print(what .. ": " .. text)
end
lines(arg[1], function(tool)
  n_tools = n_tools + 1
  for _, name in ipairs { tool.name, table.unpack(tool.names or {}) } do
    if names[name] then report("function", name) end
  end
end)
lines(arg[2], function(example)
  n_examples = n_examples + 1
  local question = example.messages[1].content
  if questions[plain(question)] then report("question", question) end
end)
print(("%d tools and %d examples against %d entries: %d in both"):format(n_tools, n_examples, n, same))
os.exit(same == 0 and 0 or 1)
