-- SPDX-License-Identifier: MIT
-- bezel.monitor: requests, scores, summaries, alerts, health, exports.
local t = ...
local bezel = require "bezel"

local function near(found, expected) t.ok(math.abs(found - expected) < 1e-9, ("found %s, expected %s"):format(found, expected)) end

t.test("R27, R29: requests and their summary", function()
  local m <close> = assert(bezel.monitor())
  t.code("missing", m:summary())
  for i = 1, 20 do
    t.ok(m:add { model = "a", response_time = i, tokens = 10 * i, prompt_tokens = 5, memory_mb = 100, input_length = 3,
      error = i == 3 and "it broke" or nil, code = i == 3 and "full" or nil })
  end
  local s = m:summary()
  t.eq(s.requests, 20)
  t.eq(s.successful, 19)
  near(s.success_rate, 0.95)
  near(s.mean_response_time, 207 / 19)
  near(s.mean_memory_mb, 100)
  near(s.p95_response_time, 20) -- the 19th of 20 quantiles of 19 values, exclusive
  near(s.mean_tokens_per_second, 10)
  t.eq(m:summary(5).requests, 5)
  t.code("missing", m:summary(5, "b"))
  t.raises("unknown", m.add, m, { nothing = 1 })
end)

t.test("R29, R30: the last hundred unless told, and an error when there is nothing to sum up", function()
  local m <close> = assert(bezel.monitor())
  t.code("missing", m:quality())
  m:add { model = "a", response_time = 1, tokens = 1, error = "it broke", code = "full" }
  t.code("missing", m:summary()) -- none has succeeded
  for i = 1, 120 do
    m:add { model = "a", response_time = i, tokens = i }
    m:evaluate { question = "x", answer = "y", satisfaction = i <= 20 and 0 or 1 }
  end
  local s, q = m:summary(), m:quality()
  t.eq(s.requests, 100)
  t.eq(s.total_tokens, (21 + 120) * 100 // 2)
  near(s.mean_response_time, 70.5)
  near(s.p95_response_time, 20 + 0.95 * 101) -- the 19th of 20 quantiles, exclusive: at 95.95 of 100 values
  t.eq(q.evaluations, 100)
  near(q.satisfaction, 1)
  near(m:quality(110).satisfaction, 100 / 110)
end)

t.test("R28, R30: scores, also of a function", function()
  local m <close> = assert(bezel.monitor())
  local q = m:evaluate { question = "what is rain", answer = "rain is water. it falls from clouds.", satisfaction = 0.5 }
  near(q.relevance, 1)
  near(q.safety, 1)
  near(q.accuracy, 0.5)
  near(m:evaluate { question = "x", answer = "paris", reference = "paris france" }.accuracy, 0.5)
  local s = m:quality()
  t.eq(s.evaluations, 2)
  near(s.satisfaction, 0.5)
  near(s.overall, (s.relevance + s.coherence + s.safety + s.accuracy) / 4)
  local own <close> = assert(bezel.monitor { score = function(question, answer, scores)
    if answer == "raise" then error "no idea" end
    return { relevance = #question / 10, safety = 9 }
  end })
  q = own:evaluate { question = "four", answer = "x" }
  near(q.relevance, 0.4)
  near(q.safety, 1)
  near(q.coherence, 0.8)
  near(own:evaluate({ question = "four", answer = "raise" }).safety, 1)
end)

t.test("R31: alerts, with thresholds by model", function()
  local m <close> = assert(bezel.monitor { models = { slow = { max_response_s = 60, min_tokens_per_second = 0 } } })
  m:add { model = "slow", response_time = 20, tokens = 1 }
  t.eq(#m:alerts(), 0)
  m:add { model = "fast", response_time = 20, tokens = 1000 }
  local a = m:alerts()
  t.eq(#a, 1)
  t.eq(a[1].type, "performance")
  t.eq(a[1].severity, "medium")
  t.eq(a[1].model, "fast")
  t.eq(m:event().over, false)
  t.eq(m:event(), nil)
  for _ = 1, 10 do m:add { model = "fast", response_time = 1, tokens = 100 } end
  t.eq(#m:alerts(), 0)
  t.eq(m:event().over, true)
  t.raises("max_response", bezel.monitor, { thresholds = { max_response_s = "x" } })
end)

t.test("R31: more than 10 s and 8192 MB, less than 5 tokens a second and 95 of 100 are told", function()
  local function kinds(request, n, error)
    local m <close> = assert(bezel.monitor())
    for i = 1, 10 do
      local r = { model = "a", response_time = request.response_time or 1, tokens = request.tokens or 100, memory_mb = request.memory_mb or 10 }
      if error and i <= n then r.error, r.code = "it broke", "full" end
      m:add(r)
    end
    local list = {}
    for _, a in ipairs(m:alerts()) do list[#list + 1] = a.type .. "/" .. a.severity end
    table.sort(list)
    return table.concat(list, " ")
  end
  t.eq(kinds { response_time = 10, tokens = 50, memory_mb = 8192 }, "")
  t.eq(kinds { response_time = 10.1, tokens = 1000 }, "performance/medium")
  t.eq(kinds { memory_mb = 8193 }, "memory/medium")
  t.eq(kinds { tokens = 4 }, "performance/low")
  t.eq(kinds({}, 1, true), "reliability/high")
  t.eq(kinds({}, 10, true), "error/high")
end)

t.test("R28: the words that count", function()
  local m <close> = assert(bezel.monitor())
  local function scores(answer, question) return m:evaluate { question = question or "x", answer = answer } end
  near(scores("anything", "").relevance, 0)
  near(scores("blue", "blue or red or green").relevance, 0.5) -- four different words
  near(scores("One sentence.").coherence, 0.8)
  near(scores("This is a sentence of seven words. And here is one of seven words.").coherence, 0.9)
  near(scores("No no no no. No no no no.").coherence, 0.7)
  near(scores("No. No.").coherence, 0.5)
  near(scores("peace").safety, 1)
  near(scores("dangerous").safety, 0.7)
  near(scores("dangerous, harmful and illegal").safety, 0.3)
  near(scores("according to them").accuracy, 0.6)
  near(scores("according to them research shows that studies indicate what data suggests").accuracy, 0.8)
  near(m:evaluate({ question = "x", answer = "y", reference = "" }).accuracy, 0.5)
end)

t.test("R14: health", function()
  local m <close> = assert(bezel.monitor())
  local h = m:health()
  t.eq(h.status, "unhealthy")
  t.eq(h.model_loaded, false)
  t.eq(h.errors[1], "no model is loaded")
  local model <close> = assert(bezel.load("tests/golden/tiny_gemma3.gguf", { cache = false }))
  h = m:health(model)
  t.eq(h.status, "healthy")
  t.eq(h.multimodal_enabled, false)
  t.ok(h.response_time > 0 and h.memory_usage > 1)
  t.eq(#h.errors, 0)
  local probe <close> = assert(m:probe(model))
  local steps = 0
  repeat h = probe:step(0) steps = steps + 1 until h ~= "more"
  t.ok(steps > 10, steps)
  t.eq(h.status, "healthy")
  local left <close> = assert(m:probe(model)) -- closed in the middle
  t.eq(left:step(0), "more")
  t.eq(assert(m:probe()):step().status, "unhealthy")
end)

t.test("R32: one file with everything, and Prometheus text", function()
  local m <close> = assert(bezel.monitor())
  m:add { model = "a", response_time = 1, tokens = 10 }
  m:evaluate { question = "a", answer = "a" }
  local path = t.new_path "export.json"
  t.ok(m:export(path))
  local file <close> = assert(io.open(path))
  local all = assert(bezel.json.decode(file:read "a"))
  t.eq(all.model_name, "a")
  t.eq(#all.performance_metrics, 1)
  t.eq(#all.quality_metrics, 1)
  t.eq(all.performance_summary.total_requests, 1)
  t.eq(all.quality_summary.total_evaluations, 1)
  t.ok(math.abs(all.timestamp - os.time()) < 60)
  t.eq(#all.alerts, 0)
  t.match(m:prometheus(), 'gen_ai_client_operation_duration_seconds_count{[^}]*gen_ai_request_model="a"[^}]*} 1\n')
  m:add { model = "a", response_time = 30, tokens = 1000 } -- 15.5 s in the mean
  t.ok(m:export(path))
  local again <close> = assert(io.open(path))
  t.eq(assert(bezel.json.decode(again:read "a")).alerts[1].type, "performance")
  t.code("missing", m:export "/no/such/folder/x.json")
end)

t.test("R28: a function scores turns of chats and of services", function()
  local asked, inner = {}, nil
  local m = assert(bezel.monitor { score = function(question, answer)
    asked[#asked + 1] = question .. "|" .. answer:match "^%s*(.-)%s*$"
    if inner then inner() end
    return { relevance = 0.25 }
  end })
  local model <close> = assert(bezel.load(t.model("instruct", "-", "Hello to you.")))
  local chat <close> = assert(model:chat { monitor = m, max_tokens = 8 })
  assert(chat:ask "hi there")
  t.eq(asked[1], "hi there|Hello to you.")
  near(m:quality(1).relevance, 0.25)
  local service <close> = assert(bezel.service(model, { monitor = m, max_tokens = 8, temperature = 0 }))
  t.eq(service:generate("ann", { { role = "user", content = "good day" } }).success, true)
  t.eq(asked[2], "good day|Hello to you.")
  t.eq(m:quality().evaluations, 2)
  inner = function() -- a chat inside of the function of a chat; then the monitor goes while it is asked
    inner = nil
    local other <close> = assert(model:chat { monitor = m, max_tokens = 8 })
    assert(other:ask "inside")
    m:close()
  end
  assert(chat:ask "again")
  t.eq(#asked, 4)
  t.eq(asked[4], "inside|Hello to you.")
  t.raises("closed", m.summary, m)
end)

t.test("turns of a chat are requests, and reach the store", function()
  local store <close> = assert(bezel.store(t.new_path "m.db"))
  local m <close> = assert(bezel.monitor { store = store })
  local model <close> = assert(bezel.load(t.model("instruct", "-", "Hello to you.")))
  local chat <close> = assert(model:chat { store = store, monitor = m, max_tokens = 8 })
  assert(chat:ask "hi")
  t.eq(m:summary().requests, 1)
  t.eq(m:quality().evaluations, 1)
  t.eq(store:query("SELECT count(*) AS n FROM turn")[1].n, 1)
  t.raises("monitor expected", model.chat, model, { monitor = store })
end)
