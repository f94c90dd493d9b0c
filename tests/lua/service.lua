-- SPDX-License-Identifier: MIT
-- bezel.service: the guarded call.
local t = ...
local bezel = require "bezel"

local hello = { { role = "user", content = "hi there" } }

local function open(answer, options)
  local model = assert(bezel.load(t.model("instruct", "-", answer)))
  options = options or {}
  options.max_tokens = options.max_tokens or 30
  options.temperature = 0
  return assert(bezel.service(model, options))
end

t.test("R25: an answer, its record and its stream", function()
  local m <close> = assert(bezel.monitor())
  local service <close> = open("All is well.", { monitor = m })
  local pieces = {}
  local a = assert(service:generate("ann", hello, function(text) pieces[#pieces + 1] = text end))
  t.eq(a.success, true)
  t.match(a.response, "All is well")
  t.eq(table.concat(pieces), a.response)
  t.ok(a.tokens_used > 0 and a.generation_time > 0)
  t.eq(a.error_code, nil)
  t.eq(#a.input_hash, 16)
  t.eq(m:summary().requests, 1)
  t.eq(service:rate("ann").used, 1) -- R26
  t.ok(service:ask("ann", hello))
  t.code("busy", service:ask("ann", hello))
  local status, last
  repeat status, last = service:step(1) until status == "done" or not status
  t.eq(last.success, true)
  t.raises("stop now", service.generate, service, "ann", hello, function() error "stop now" end)
  t.eq(service:generate("ann", hello).success, true)
end)

t.test("R25: every refusal has its code", function()
  local guard <close> = assert(bezel.guard { max_requests = 4, judge = function(text) return not text:find "rude", "be kind" end })
  local m <close> = assert(bezel.monitor())
  local service <close> = open("This is harmful.", { guard = guard, monitor = m })
  t.eq(service:generate("ann", {}).error_code, "VALIDATION_ERROR")
  t.eq(service:generate("ann", { { role = "user", content = "I h\u{200B}ate this" } }).error_code, "CONTENT_FILTERED")
  t.eq(service:generate("ann", { { role = "user", content = "a rude word" } }).error_code, "CONTENT_FILTERED")
  local a = service:generate("ann", hello)
  t.eq(a.error_code, "RESPONSE_FILTERED")
  t.eq(a.response, nil)
  a = service:generate("ann", hello)
  t.eq(a.error_code, "RATE_LIMIT_EXCEEDED")
  t.ok(a.retry_s > 3000)
  t.code("missing", m:summary()) -- none succeeded
  t.match(m:prometheus(), 'error_type="RESPONSE_FILTERED"} 1')
end)

t.test("options of a service are checked", function()
  local model <close> = assert(bezel.load(t.model("instruct", "-", "x")))
  t.raises("32 bytes", bezel.service, model, { hash_key = "short" })
  t.raises("guard", bezel.service, model, { guard = model })
  t.raises("unknown", bezel.service, model, { nothing = 1 })
end)
