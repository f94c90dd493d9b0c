-- SPDX-License-Identifier: MIT
-- A small sample of our own making for the judge of `bezel bench calls`: tools, accepted answers, an answer, and what the ladder
-- must say of it ("S0 S1 S2 S3 S4 S5 S6 S6b", a digit each). One case a rule.
local trip = [[{"name":"plan_trip","description":"Plans","parameters":{"type":"dict","properties":{"city":{"type":"string"},"days":{"type":"integer"},
"budget":{"type":"float","default":10.0},"quiet":{"type":"boolean"},"stops":{"type":"array","items":{"type":"string"}},
"sizes":{"type":"tuple","items":{"type":"float"}},"who":{"type":"dict","properties":{"name":{"type":"string"}}},
"legs":{"type":"array","items":{"type":"dict"}},"rest":{"type":"any"}},"required":["city"]}}]]
local hotel = [[{"name":"hotels.find","parameters":{"type":"dict","properties":{"city":{"type":"string"}},"required":["city"]}}]]
local one, two = "[" .. trip .. "]", "[" .. trip .. "," .. hotel .. "]"

-- Accepted: the city, and what is given; every other parameter may be left out.
local function truth(more)
  local parts = { '"city":["St. Ives","Saint Ives"]' }
  for _, name in ipairs { "days", "budget", "quiet", "stops", "sizes", "who", "legs", "rest" } do
    parts[#parts + 1] = ('"%s":%s'):format(name, more and more[name] or '[""]')
  end
  return '[{"plan_trip":{' .. table.concat(parts, ",") .. "}}]"
end
local function call(arguments) return "FUNCTION_CALL: plan_trip(" .. arguments .. ")" end
local city = 'city="st ives"'
local pair = '[{"hotels.find":{"city":["Rome"]}},{"hotels.find":{"city":["Oslo"]}}]'
local rome, oslo = 'FUNCTION_CALL: hotels.find(city="Rome")', 'FUNCTION_CALL: hotels.find(city="Oslo")'

return {
  -- texts: case, blanks and ,./-_*^ do not count, ' is "; nothing else is forgiven
  { "simple", one, truth(), call(city), "11111111" },
  { "simple", one, truth(), call 'city="ST-IVES_"', "11111111" },
  { "simple", one, truth(), call 'city="St Ives!"', "11111100" },
  { "simple", one, truth { rest = '["it\'s"]' }, call(city .. ', rest="it\\"s"'), "11111111" },
  -- required, unknown, and optional parameters whose absence is not accepted
  { "simple", one, truth { days = "[3]" }, call "days=3", "11110100" },
  { "simple", one, truth { days = "[3]" }, call(city), "11111100" },
  { "simple", one, truth(), call(city .. ", nights=3"), "11110100" },
  { "simple", one, truth(), call(city .. ", days=3"), "11111100" },
  -- types: an integer is a float, a float no integer, a text no number; S6b converts
  { "simple", one, truth { budget = "[5.0]" }, call(city .. ", budget=5"), "11111111" },
  { "simple", one, truth { days = "[3]" }, call(city .. ", days=3.0"), "11011101" },
  { "simple", one, truth { days = "[3]" }, call(city .. ', days="3"'), "11011101" },
  { "simple", one, truth { quiet = "[true]" }, call(city .. ", quiet=true"), "11111111" },
  { "simple", one, truth { quiet = "[true]" }, call(city .. ', quiet="true"'), "11011101" },
  -- an accepted value of another type than the declared one stands for a variable
  { "simple", one, truth { days = '["n"]' }, call(city .. ', days="n"'), "11110110" },
  -- lists in their order, a tuple is a list, items have the declared type
  { "simple", one, truth { stops = '[["A b","c"],["d"]]' }, call(city .. ', stops=["a-b", "C"]'), "11111111" },
  { "simple", one, truth { stops = '[["A b","c"]]' }, call(city .. ', stops=["c", "a b"]'), "11111100" },
  { "simple", one, truth { stops = '[[]]' }, call(city .. ", stops=[]"), "11111111" },
  { "simple", one, truth { sizes = "[[1.5,2.0]]" }, call(city .. ", sizes=[1.5, 2.0]"), "11111111" },
  { "simple", one, truth { sizes = "[[1.5,2.0]]" }, call(city .. ', sizes=["1.5", "2.0"]'), "11011101" },
  -- maps key by key, lists of maps one by one
  { "simple", one, truth { who = '[{"name":["Ann"],"age":[3,""]}]' }, call(city .. ', who={"name": "ann"}'), "11111111" },
  { "simple", one, truth { who = '[{"name":["Ann"],"age":[3]}]' }, call(city .. ', who={"name": "ann"}'), "11111100" },
  { "simple", one, truth { legs = '[[{"to":["X"]},{"to":["Y"]}]]' }, call(city .. ', legs=[{"to": "x"}, {"to": "y"}]'), "11111111" },
  { "simple", one, truth { legs = '[[{"to":["X"]},{"to":["Y"]}]]' }, call(city .. ', legs=[{"to": "x"}]'), "11111100" },
  -- one call exactly, of the right function, by its exact name
  { "simple", one, truth(), call(city) .. "\n" .. call(city .. ", days=1"), "11111100" },
  { "multiple", two, truth(), rome, "11111000" },
  { "multiple", two, truth(), 'FUNCTION_CALL: planTrip(city="St Ives")', "11011101" },
  { "multiple", two, truth(), 'FUNCTION_CALL: plan_ship(city="St Ives")', "11110000" },
  -- several calls in any order, each once
  { "parallel", two, pair, oslo .. "\n" .. rome, "11111111" },
  { "parallel", two, pair, rome, "11111100" },
  { "parallel", two, pair, rome .. "\n" .. rome .. "\n" .. oslo, "11111100" },
  -- what is no call, and what wanted to be one
  { "simple", one, truth(), "I would stay at home.", "00000000" },
  { "simple", one, truth(), "Sure.\n" .. call(city), "11011111" },
  { "simple", one, truth(), call "city='St Ives'", "11011111" },
  { "simple", one, truth(), 'FUNCTION_CALL: plan_trip(city="St Iv', "11000000" },
  { "irrelevance", one, nil, "I would stay at home.", "10000000" },
  { "irrelevance", one, nil, call(city), "01111000" },
  { "relevance", one, nil, call(city), "11111000" },
}
