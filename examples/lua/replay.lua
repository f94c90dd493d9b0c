-- SPDX-License-Identifier: MIT
-- A session on record: the first run asks the model and runs the tool; every further one replays the file, without a model's
-- weights and without the tool, and says the same. For tests of a program that talks to a model.
--
--     bezel run examples/lua/replay.lua session.jsonl
local bezel = require "bezel"

local path = assert(arg and arg[1], "a file for the recording is missing")
local file <close> = io.open(path)
local words = path .. ".vocabulary" -- all that a replay needs of the model

local model
if file then
  model = assert(bezel.load(words, { vocabulary_only = true }))
else
  model = assert(bezel.load())
  assert(model:save_vocabulary(words))
end

local chat = assert(model:chat {
  [file and "replay" or "record"] = path,
  tool_choice = "required",
  tools = { {
    name = "get_stock", description = "How many of an item there are",
    parameters = { { name = "item", type = "string" } },
    run = function() print "(the tool runs)" return { count = 12 } end } } })
local turn = assert(chat:ask "How many lamps are there?")
for _, call in ipairs(turn.calls) do print(call.name, bezel.json.encode(call.arguments), bezel.json.encode(call.result)) end
print(turn.text)
chat:close()
