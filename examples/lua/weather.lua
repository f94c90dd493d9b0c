-- SPDX-License-Identifier: MIT
-- The weather agent: a question, the model's calls, the Lua functions that answer them, the model's answer, and the usage
-- row in the store.
--
--     bezel run examples/lua/weather.lua ["question"]
--
-- BEZEL_RECORD=FILE records the session, and the model's words beside it; BEZEL_REPLAY=FILE plays it again without model and tools.
local bezel = require "bezel"
package.path = (arg and arg[0] or ""):gsub("[^/\\]*$", "") .. "?.lua;" .. package.path
local weather = require "weather_tools"

local question = arg and arg[1]
  or "I'm traveling to Tokyo next week. What's the 5-day forecast, and are there any severe weather warnings?"

local is_shown = false
local record, replay = os.getenv "BEZEL_RECORD", os.getenv "BEZEL_REPLAY"
local model = assert(bezel.load(replay and replay .. ".vocabulary", { vocabulary_only = replay ~= nil, progress = function(done)
  if done < 1 then io.stderr:write(("\rloading %3d %%"):format(done * 100)) elseif is_shown then io.stderr:write "\r\27[K" end
  is_shown = true
end }))
if record then assert(model:save_vocabulary(record .. ".vocabulary")) end
local store = assert(bezel.store(os.getenv "BEZEL_STORE" or "bezel.db"))
local agent = assert(model:chat {
  tools = weather.tools,
  store = store,
  conversation = assert(store:begin("Weather", os.getenv "USER")),
  user = os.getenv "USER",
  max_tokens = 120,
  record = record,
  replay = replay,
})

print("Question: " .. question .. "\n")
local turn, message = agent:ask(question, function(event)
  if event.type == "call" then
    print("  call:   " .. event.name .. bezel.json.encode(event.arguments))
  elseif event.type == "result" then
    print("  result: " .. tostring(event.result or event.text))
  elseif event.type ~= "text" then
    print("  " .. event.type .. ": " .. tostring(event.text))
  end
end)
if not turn then
  io.stderr:write("the turn failed: " .. message .. "\n")
  os.exit(1)
end
print("\nAnswer: " .. turn.text:match "^%s*(.-)%s*$" .. "\n")

local row = assert(store:query "SELECT * FROM usage ORDER BY id DESC LIMIT 1")[1]
print "Usage row in the store:"
local names = {}
for name in pairs(row) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do print(("  %-18s %s"):format(name, row[name])) end

agent:close()
store:close()
model:close()
