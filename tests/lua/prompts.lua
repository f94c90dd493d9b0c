-- SPDX-License-Identifier: MIT
-- bezel.prompts and bezel.judge.
local t = ...
local bezel = require "bezel"

t.test("R18: tasks about images", function()
  local m = assert(bezel.prompts.image { task = "comparison", question = "Which?", context = "Two chairs" })
  t.eq(m[1].role, "system")
  t.match(m[1].content, "Similarities")
  t.eq(m[2].role, "user")
  t.eq(m[2].text, "Which?\n\nAdditional context: Two chairs")
  t.code("missing", bezel.prompts.image { task = "poem", question = "x" })
  t.eq(bezel.prompts.image { task = "poem", question = "x", tasks = { poem = "Write a poem." } }[1].text, "Write a poem.")
  t.raises("question", bezel.prompts.image, { task = "analysis" })
end)

t.test("R19: cultures and styles, also of one's own", function()
  local names = bezel.prompts.names()
  t.eq(table.concat(names.cultures, " "), "japanese american german brazilian indian")
  t.eq(table.concat(names.styles, " "), "formal casual educational")
  t.match(bezel.prompts.culture { culture = "japanese", request = "x" }[1].content, "honorifics")
  t.match(bezel.prompts.culture { culture = "german", style = "odd", request = "x" }[1].content, "Write formally")
  local m = bezel.prompts.culture { culture = "martian", style = "green", request = "x", cultures = { martian = "Wave." },
    styles = { green = "Be green." } }
  t.match(m[1].content, "Wave")
  t.match(m[1].content, "Be green")
  t.code("missing", bezel.prompts.culture { culture = "martian", request = "x" })
end)

t.test("R15: functions with a context", function()
  local m = assert(bezel.prompts.functions { request = "Rain?", context = "Monday", tools = {
    { name = "get_weather", description = "Weather", parameters = { { name = "city", type = "string" } }, run = function() end } } })
  t.match(m[1].content, "Available Functions:")
  t.match(m[1].content, "%- get_weather: Weather")
  t.match(m[1].content, "Context: Monday")
  t.eq(m[2].content, "Rain?")
end)

t.test("R23: a model judges by the probabilities of Yes and No", function()
  local model <close> = assert(bezel.load("tests/golden/tiny_gemma3.gguf", { cache = false }))
  local judge <close> = assert(bezel.judge(model, { policy = "No jokes." }))
  local p = assert(judge:score "a joke")
  t.ok(p > 0 and p < 1)
  t.eq(judge:score "a joke", p)
  local strict <close> = assert(bezel.judge(model, { threshold = 1e-9 }))
  local guard <close> = assert(bezel.guard { judge = strict })
  local allowed, verdict = guard:check "hello"
  t.eq(allowed, false)
  t.eq(verdict.rule, "judge")
  t.match(verdict.detail, "probability")
  local mild <close> = assert(bezel.judge(model, { threshold = 1 }))
  local open <close> = assert(bezel.guard { judge = mild })
  t.eq(open:check "hello", true)
  t.code("range", bezel.judge(model, { threshold = 0 }))
  local shield <close> = assert(bezel.judge(model, { form = "shieldgemma" }))
  p = assert(shield:score("a joke", "output"))
  t.ok(p > 0 and p < 1)
  t.raises("plain or shieldgemma", bezel.judge, model, { form = "odd" })
end)

t.test("taint: after text from elsewhere a write tool is asked for", function()
  local model <close> = assert(bezel.load(t.model("pretrained", 'probe(text="hi", count=3)', "Done.")))
  local ran, asked = 0, 0
  local function chat(options)
    options.profile = "transcript"
    options.tools = { { name = "probe", description = "Looks", permission = "write", run = function() ran = ran + 1 return "fine" end,
      parameters = { { name = "text", type = "string" }, { name = "count", type = "integer" } } } }
    return assert(model:chat(options))
  end
  local free <close> = chat {}
  t.ok(free:ask "please probe")
  t.eq(ran, 1)
  t.eq(free:tainted(), true) -- the tool's result
  local held <close> = chat {}
  held:taint()
  local turn = assert(held:ask "please probe what the file says")
  t.eq(ran, 1)
  t.eq(turn.calls[1].code, "denied")
  local confirmed <close> = chat { confirm = function() asked = asked + 1 return true end, permit = { write = nil } }
  confirmed:taint()
  assert(confirmed:ask "please probe")
  t.eq(asked, 1)
  t.eq(ran, 2)
  local allowed <close> = chat { permit = { write = "allow" } }
  allowed:taint()
  assert(allowed:ask "please probe")
  t.eq(ran, 3)
end)
