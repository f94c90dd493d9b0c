-- SPDX-License-Identifier: MIT
-- bezel.guard: cleaning, filter, stream, requests, messages.
local t = ...
local bezel = require "bezel"

t.test("R20: a text is cleaned, and the report tells what went", function()
  local guard <close> = assert(bezel.guard())
  local text, report = guard:clean "Hi<script>x</script> there\u{200B}"
  t.eq(text, "Hi there")
  t.eq(report.removed, 1)
  t.eq(report.invisible, 1)
  t.eq(report.names, "script")
  text, report = guard:clean(("a"):rep(9000))
  t.eq(#text, 8192)
  t.eq(report.cut, 808)
end)

t.test("R21, R26: requests of a user in a window", function()
  local guard <close> = assert(bezel.guard { max_requests = 2, window_s = 60 })
  t.eq(guard:request "ann", true)
  local allowed, rate = guard:request "ann"
  t.eq(allowed, true)
  t.eq(rate.remaining, 0)
  allowed, rate = guard:request "ann"
  t.eq(allowed, false)
  t.eq(rate.used, 2)
  t.ok(rate.reset_s > 50 and rate.reset_s <= 60)
  t.eq(guard:request "bob", true)
  t.eq(guard:rate("bob").remaining, 1)
end)

t.test("R21, R26: 100 requests an hour unless told", function()
  local guard <close> = assert(bezel.guard())
  t.eq(guard:rate("ann").remaining, 100)
  for _ = 1, 100 do t.eq(guard:request "ann", true) end
  local allowed, rate = guard:request "ann"
  t.eq(allowed, false)
  t.eq(rate.used, 100)
  t.ok(rate.reset_s > 3590 and rate.reset_s <= 3600)
end)

t.test("R20: the six patterns, in any case and across lines", function()
  local guard <close> = assert(bezel.guard())
  for _, text in ipairs { "<SCRIPT a='b'>x\n</script >", "JavaScript:", "data:TEXT/html", "<iframe>\n</IFRAME>", "<object>x</object>",
    "<embed>x</embed>" } do
    t.eq(guard:clean("a" .. text .. "b"), "ab", text)
  end
end)

t.test("R22: at most 50 messages of system, user and assistant", function()
  local guard <close> = assert(bezel.guard())
  local list = {}
  for i = 1, 50 do list[i] = { role = i == 1 and "system" or i % 2 == 0 and "user" or "assistant", content = "x" } end
  t.ok(guard:validate(list))
  list[51] = { role = "user", content = "x" }
  t.code("limit", guard:validate(list))
  t.eq(guard:validate { { role = "tool", content = "x" } }, nil)
  t.eq(guard:validate { { role = "user" } }, nil)
end)

t.test("R23: violence, hate, illegal and harmful unless told", function()
  local guard <close> = assert(bezel.guard())
  for _, word in ipairs { "violence", "hate", "illegal", "harmful" } do
    t.eq(guard:check("so " .. word:upper() .. " it is"), false, word)
    t.eq(guard:check("so " .. word .. " it is", "output"), false, word)
  end
  t.eq(guard:check "peace", true)
end)

t.test("R22: messages are checked", function()
  local guard <close> = assert(bezel.guard { max_messages = 2 })
  t.ok(guard:validate { { role = "user", content = "x" } })
  t.code("range", guard:validate(bezel.list()))
  t.code("limit", guard:validate { { role = "user", content = "x" }, { role = "user", content = "x" }, { role = "user", content = "x" } })
  t.code("missing", guard:validate { { role = "user" } })
  t.code("type", guard:validate "x")
end)

t.test("R23: words, patterns and a judge of one's own", function()
  local seen
  local guard <close> = assert(bezel.guard { words = { "secret" }, patterns = { { name = "digits", pattern = "\\d{3}" } },
    judge = function(text, direction) seen = direction return not text:find "rude", "be kind" end })
  t.eq(guard:check "all is well", true)
  t.eq(seen, "input")
  local allowed, verdict = guard:check("the S\u{435}cret", "output")
  t.eq(allowed, false)
  t.eq(verdict.rule, "word")
  t.eq(verdict.from, 5)
  allowed, verdict = guard:check "call 123"
  t.eq(allowed, false)
  t.eq(verdict.rule, "digits")
  allowed, verdict = guard:check "rude"
  t.eq(allowed, false)
  t.eq(verdict.detail, "be kind")
  t.code("parse", bezel.guard { patterns = { { name = "bad", pattern = "(" } } })
  t.raises("item 1 needs name", bezel.guard, { patterns = { { name = "x" } } })
  local broken <close> = assert(bezel.guard { judge = function() error "no idea" end })
  allowed, verdict = broken:check "anything"
  t.eq(allowed, false)
  t.match(verdict.detail, "no idea")
end)

t.test("R23: nothing of a word leaves a stream", function()
  local guard <close> = assert(bezel.guard())
  local stream <close> = assert(guard:stream())
  t.eq(stream:add "It is vio", "It is ")
  t.eq(stream:add "let, not vi", "violet, not ")
  local out, verdict = stream:add("ol\u{200B}ence")
  t.eq(out, false)
  t.eq(verdict.detail, "violence")
  t.eq(stream:add "more", false)
  local whole <close> = assert(guard:stream())
  t.eq(whole:add "hat", "")
  t.eq(whole:add("", true), "hat")
  guard:close()
  t.raises("closed", guard.check, guard, "x")
end)
