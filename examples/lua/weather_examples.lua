-- SPDX-License-Identifier: MIT
-- Example exchanges of the weather tools, for pretrained models: they follow examples, not rules. Order and wording were
-- tried on Gemma 3 270M (greedy): the six questions of the demo and four others get the right call or none; without the
-- second alerts example it asks for a forecast instead. None of the questions of the demo is here.
local M = {}

M.forecast = {
  [[
User: How warm is it in Madrid in fahrenheit for a week?
Assistant: FUNCTION_CALL: get_weather_forecast(location="Madrid", days=7, units="fahrenheit")
Result: get_weather_forecast = Monday clear, 50 to 71 degrees; Tuesday clear, 52 to 73 degrees
Assistant: It is warm in Madrid: up to 73 degrees fahrenheit.]],
  [[
User: Will it snow in Oslo over the next 2 days?
Assistant: FUNCTION_CALL: get_weather_forecast(location="Oslo", days=2)
Result: get_weather_forecast = Saturday snow, -3 to 1 degrees; Sunday clear, -6 to 0 degrees
Assistant: Yes, it will snow in Oslo on Saturday. Sunday is clear.]],
  [[
User: I'm flying to Nairobi on Monday. What's the 3-day forecast, and are there any severe weather warnings?
Assistant: FUNCTION_CALL: get_weather_forecast(location="Nairobi", days=3)
Result: get_weather_forecast = Monday clear, 14 to 26 degrees; Tuesday showers, 15 to 24 degrees; Wednesday cloudy, 14 to 24 degrees
Assistant: FUNCTION_CALL: get_weather_alerts(location="Nairobi", severity="severe")
Result: get_weather_alerts = 1 severe warning for Nairobi: Tuesday 70 mm of rain
Assistant: In Nairobi it is clear on Monday, with showers on Tuesday and clouds on Wednesday. There is a severe warning: 70 mm of rain on Tuesday.]],
  [[
User: I'm going to Lima. What's the 4-day forecast, and are there any weather warnings?
Assistant: FUNCTION_CALL: get_weather_forecast(location="Lima", days=4)
Result: get_weather_forecast = Monday cloudy, 15 to 19 degrees; Tuesday fog, 15 to 18 degrees; Wednesday clear, 16 to 21 degrees; Thursday clear, 16 to 22 degrees
Assistant: FUNCTION_CALL: get_weather_alerts(location="Lima", severity="severe")
Result: get_weather_alerts = no severe warnings for Lima
Assistant: Lima has clouds on Monday, fog on Tuesday and clear days after that, 15 to 22 degrees. There are no severe warnings for Lima.]],
}

M.alerts = {
  [[
User: Any earthquake warnings in Quito?
Assistant: FUNCTION_CALL: get_weather_alerts(location="Quito", severity="severe")
Result: get_weather_alerts = no severe warnings for Quito
Assistant: No, there are no severe warnings for Quito.]],
  [[
User: Are there heat warnings for Seville?
Assistant: FUNCTION_CALL: get_weather_alerts(location="Seville", severity="all")
Result: get_weather_alerts = no warnings for Seville
Assistant: No, there are no warnings for Seville.]],
  [[
User: Any storm alerts in Miami?
Assistant: FUNCTION_CALL: get_weather_alerts(location="Miami", severity="all")
Result: get_weather_alerts = 1 warning for Miami: Friday storm gusts of 105 km/h
Assistant: Yes, there is a warning for Miami: storm gusts of 105 km/h on Friday.]],
  [[
User: Who wrote Hamlet?
Assistant: William Shakespeare wrote Hamlet.]],
  [[
User: Tell me a riddle.
Assistant: What has keys but opens no door? A piano.]],
}

return M
