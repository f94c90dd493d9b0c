-- SPDX-License-Identifier: MIT
-- The two weather tools of the demo over Open-Meteo's geocoding and forecast API. Without network they say so and use
-- weather_sample.json, which has the API's own shape. weather.lua is the agent; the tests run both against a local server.
local bezel = require "bezel"
local examples = require "weather_examples"

local M = { offline = false }
local geocoding = os.getenv "BEZEL_GEOCODING_URL" or "https://geocoding-api.open-meteo.com"
local forecast = os.getenv "BEZEL_FORECAST_URL" or "https://api.open-meteo.com"
local options = { timeout_ms = 4000, allow_private = os.getenv "BEZEL_GEOCODING_URL" ~= nil }
local folder = debug.getinfo(1, "S").source:match "^@(.*)[/\\]" or "."

local words = { -- WMO weather codes
  [0] = "clear", "mostly clear", "partly cloudy", "cloudy", [45] = "fog", [51] = "light drizzle", [53] = "drizzle",
  [61] = "light rain", [63] = "rain", [65] = "heavy rain", [71] = "light snow", [73] = "snow", [75] = "heavy snow",
  [80] = "light showers", [81] = "showers", [82] = "violent showers", [95] = "thunderstorm",
  [96] = "thunderstorm with hail", [99] = "thunderstorm with heavy hail",
}

local function sample(part)
  if not M.offline then
    io.stderr:write "(no network: sample answers from weather_sample.json)\n"
    M.offline = true
  end
  local file <close> = assert(io.open(folder .. "/weather_sample.json", "rb"))
  return assert(bezel.json.decode(file:read "a"))[part]
end

-- The decoded answer, or the sample's part when nobody answers at all.
local function fetch(url, part)
  if M.offline then return sample(part) end
  local response, message, code = bezel.http.get(url, options)
  if code == "network" or code == "timeout" then return sample(part) end
  if not response then return nil, message end
  if response.status ~= 200 then return nil, "the weather service answered with status " .. response.status end
  local answer = bezel.json.decode(response.body)
  if type(answer) ~= "table" then return nil, "the weather service did not answer in JSON" end
  return answer
end

local function place(location)
  local url = geocoding .. "/v1/search?count=1&name=" .. bezel.http.escape(location)
  local answer, message = fetch(url, "geocoding")
  if not answer then return nil, message end
  return answer.results and answer.results[1], "no place named " .. location
end

-- Daily table of a place, and its name.
local function daily(location, days, units)
  local found, message = place(location)
  if not found then return nil, message end
  local url = ("%s/v1/forecast?latitude=%s&longitude=%s&timezone=auto&forecast_days=%d&temperature_unit=%s&daily=%s")
    :format(forecast, found.latitude, found.longitude, days, units,
      "weather_code,temperature_2m_max,temperature_2m_min,precipitation_sum,wind_gusts_10m_max")
  local answer, reason = fetch(url, "forecast")
  if not answer then return nil, reason end
  if type(answer.daily) ~= "table" or type(answer.daily.time) ~= "table" then return nil, "the forecast has no days" end
  return answer.daily, M.offline and location or found.name
end

local function weekday(date)
  local y, m, d = date:match "^(%d+)-(%d+)-(%d+)$"
  return y and os.date("!%A", os.time { year = y, month = m, day = d, hour = 12 }) or date
end

local function degrees(celsius, units)
  local value = (units == "fahrenheit" and M.offline) and celsius * 9 / 5 + 32 or celsius -- the sample is in celsius
  return math.floor(value + 0.5)
end

function M.forecast(args)
  local units = args.units or "celsius"
  local days, message = daily(args.location, args.days or 3, units)
  if not days then return nil, message end
  local lines = {}
  for i = 1, math.min(args.days or 3, #days.time) do
    lines[i] = ("%s %s, %d to %d degrees"):format(weekday(days.time[i]), words[days.weather_code[i]] or "unknown",
      degrees(days.temperature_2m_min[i], units), degrees(days.temperature_2m_max[i], units))
  end
  return table.concat(lines, "; ")
end

-- Warnings derived from gusts (km/h), rain (mm a day) and thunderstorms; 2 is severe, 1 moderate.
local function warning(days, i)
  local gusts, rain, code = days.wind_gusts_10m_max[i], days.precipitation_sum[i], days.weather_code[i]
  if gusts >= 90 then return 2, ("storm gusts of %.0f km/h"):format(gusts) end
  if rain >= 50 then return 2, ("%.0f mm of rain"):format(rain) end
  if code >= 96 then return 2, words[code] or "thunderstorm" end
  if gusts >= 62 then return 1, ("gusts of %.0f km/h"):format(gusts) end
  if rain >= 25 then return 1, ("%.0f mm of rain"):format(rain) end
  if code == 95 then return 1, "thunderstorm" end
  return 0
end

function M.alerts(args)
  local days, name = daily(args.location, 7, "celsius")
  if not days then return nil, name end
  local least, lines = args.severity == "severe" and 2 or 1, {}
  for i = 1, #days.time do
    local level, text = warning(days, i)
    if level >= least then lines[#lines + 1] = weekday(days.time[i]) .. " " .. text end
  end
  local kind = args.severity == "severe" and "severe " or ""
  if #lines == 0 then return ("no %swarnings for %s"):format(kind, name) end
  return ("%d %swarning%s for %s: %s"):format(#lines, kind, #lines == 1 and "" or "s", name, table.concat(lines, "; "))
end

M.tools = {
  { name = "get_weather_forecast", description = "Weather forecast for a place", permission = "read", run = M.forecast,
    examples = examples.forecast, parameters = {
      { name = "location", type = "string", description = "City", maxLength = 80 },
      { name = "days", type = "integer", minimum = 1, maximum = 7, optional = true },
      { name = "units", type = "string", enum = { "celsius", "fahrenheit" }, optional = true } } },
  { name = "get_weather_alerts", description = "Severe weather warnings for a place", permission = "read", run = M.alerts,
    examples = examples.alerts, parameters = {
      { name = "location", type = "string", description = "City", maxLength = 80 },
      { name = "severity", type = "string", enum = { "all", "moderate", "severe" }, optional = true } } },
}

return M
