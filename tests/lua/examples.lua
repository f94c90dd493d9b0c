-- SPDX-License-Identifier: MIT
-- The Lua examples as users run them: the weather tools against a server that speaks Open-Meteo's API, without network, and
-- the whole agent on the script model; then the usage report on its store.
local t = ...
local here = "examples/lua/"

-- Output of a Lua program with the module on its path and an environment.
local function run(file, environment, arguments)
  local words = { "LUA_CPATH='" .. t.build .. "/?.so'", "LUA_PATH='" .. here .. "?.lua'" }
  for name, value in pairs(environment) do words[#words + 1] = name .. "='" .. value .. "'" end
  local pipe = io.popen(table.concat(words, " ") .. " lua5.4 " .. file .. " " .. (arguments or "") .. " 2>&1")
  local text = pipe:read "a"
  local ok = pipe:close()
  return text, ok
end

local function tools(body, url)
  local path = t.path "weather_case.lua"
  local file = assert(io.open(path, "w"))
  file:write('local w = require "weather_tools"\n', body, "\n")
  file:close()
  return (run(path, { BEZEL_GEOCODING_URL = url or t.server(), BEZEL_FORECAST_URL = url or t.server() }):gsub("%s+$", ""))
end

t.test("a forecast names days, weather and degrees", function()
  t.eq(tools 'print(w.forecast { location = "Oslo", days = 3 })',
    "Monday clear, 2 to 10 degrees; Tuesday light rain, 3 to 11 degrees; Wednesday cloudy, 4 to 12 degrees")
  t.match(tools 'print(w.forecast { location = "Oslo", days = 1, units = "fahrenheit" })', "Monday clear, 36 to 50 degrees")
  t.match(tools 'print(w.forecast { location = "Oslo" })', "Wednesday")
end)

t.test("alerts are derived from gusts, rain and thunderstorms", function()
  local severe = "Wednesday storm gusts of 95 km/h; Friday 61 mm of rain"
  t.eq(tools 'print(w.alerts { location = "Oslo", severity = "severe" })', "2 severe warnings for Oslo: " .. severe)
  t.eq(tools 'print(w.alerts { location = "Oslo" })', "3 warnings for Oslo: " .. severe .. "; Saturday thunderstorm")
  t.match(tools 'print(w.alerts { location = "S\u{e3}o Paulo" })', "for S\u{e3}o Paulo: ")
end)

t.test("what the service refuses is a message, not the sample", function()
  t.match(tools 'print(w.forecast { location = "Nowhere" })', "^nil%s+no place named Nowhere")
  t.match(tools 'print(w.forecast { location = "Breakdown" })', "^nil%s+the weather service answered with status 503")
  t.match(tools 'print(w.alerts { location = "Babel" })', "^nil%s+the weather service did not answer in JSON")
end)

t.test("without network it says so and uses the sample", function()
  local text = tools('print(w.forecast { location = "Tokyo", days = 2 })\nprint(w.alerts { location = "Tokyo" })', "http://127.0.0.1:1")
  t.match(text, "%(no network: sample answers from weather_sample%.json%)")
  t.match(text, "Monday cloudy, 9 to 16 degrees; Tuesday light rain")
  t.eq(select(2, text:gsub("no network", "")), 1)
end)

t.test("the weather agent runs from the question to the usage row", function()
  for _, url in ipairs { t.server(), "http://127.0.0.1:1" } do
    local model = t.model("instruct", 'get_weather_forecast(location="Oslo", days=5)', "Clear on Monday.") -- a transcript has example results
    local text, ok = run(here .. "weather.lua", { BEZEL_MODEL = model, BEZEL_STORE = t.path "weather.db",
      BEZEL_GEOCODING_URL = url, BEZEL_FORECAST_URL = url }, "'Any rain in Oslo?'")
    t.ok(ok, text)
    t.match(text, "get_weather_forecast")
    t.match(text, "Monday c%l+, %d+ to %d+ degrees")
    t.match(text, "Answer: Clear on Monday%.")
    t.match(text, "tokens")
  end
end)

t.test("the weather agent is replayed from a recording, without model, network and tools", function()
  local file = t.path "weather.jsonl"
  local model = t.model("instruct", 'get_weather_forecast(location="Oslo", days=5)', "Clear on Monday.")
  local function agent(environment)
    environment.BEZEL_STORE = t.new_path "played.db"
    local text, ok = run(here .. "weather.lua", environment, "'Any rain in Oslo?'")
    t.ok(ok, text)
    return text:match "(Question: .-)\nUsage row", text:match "  generated_tokens +(%d+)"
  end
  local said, tokens = agent { BEZEL_MODEL = model, BEZEL_GEOCODING_URL = t.server(), BEZEL_FORECAST_URL = t.server(),
    BEZEL_RECORD = file }
  t.match(said, "Monday c%l+, %d+ to %d+ degrees")
  local again, same = agent { BEZEL_MODEL = "/nowhere", BEZEL_GEOCODING_URL = "http://127.0.0.1:1", BEZEL_REPLAY = file }
  t.eq(again, said)
  t.eq(same, tokens)
  local text, ok = run(here .. "weather.lua", { BEZEL_STORE = t.path "played.db", BEZEL_REPLAY = file }, "'Any snow in Oslo?'")
  t.ok(not ok, text)
  t.match(text, "the prompt differs from the recorded one")
end)

t.test("the usage report reads that store", function()
  local text, ok = run(here .. "usage.lua", {}, t.path "weather.db" .. " rain")
  t.ok(ok, text)
  t.match(text, "tool=get_weather_forecast")
  t.match(text, "usage_by_model\n.*model=Script model")
  t.match(text, 'messages with "rain"\n  ')
end)

t.test("the MCP example asks a server", function()
  local model = t.model("instruct", 'echo(text="hi")', "It said hi.")
  local text, ok = run(here .. "mcp.lua", { BEZEL_MODEL = model, BEZEL_MCP_ONLY = "echo count" },
    "'Say hi.' lua5.4 tests/support/mcp_server.lua modern")
  t.ok(ok, text)
  t.match(text, "^fake 2, protocol 2026%-07%-28, offers:\n  count +Does count\n  echo +Does echo\n")
  t.match(text, 'call:   echo{"text":"hi"}\n  result: "hi"\nAnswer: It said hi%.')
  text, ok = run(here .. "mcp.lua", {}, "'Say hi.' no-such-program-here")
  t.ok(not ok)
  t.match(text, "the server does not start: no%-such%-program%-here cannot be started")
end)

t.test("every example has at most 120 lines", function()
  local pipe = io.popen "wc -l examples/*.c examples/lua/*.lua"
  for count, name in pipe:read "a":gmatch "(%d+) ([%w_/.]+%.%l+)" do
    t.ok(tonumber(count) <= 120, name .. " has " .. count .. " lines")
  end
  pipe:close()
end)

t.test("a session is recorded, and replayed without the model", function()
  local model = t.model("instruct", 'get_stock(item="lamp")', "There are twelve lamps.")
  local file = t.path "example.jsonl"
  local first, ok = run(here .. "replay.lua", { BEZEL_MODEL = model }, "'" .. file .. "'")
  t.ok(ok, first)
  t.match(first, "^%(the tool runs%)\nget_stock")
  t.match(first, "twelve lamps")
  local again, good = run(here .. "replay.lua", { BEZEL_MODEL = "/nowhere" }, "'" .. file .. "'")
  t.ok(good, again)
  t.eq(again, (first:gsub("^%(the tool runs%)\n", "")))
end)
