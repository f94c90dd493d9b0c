-- SPDX-License-Identifier: MIT
-- model:batch and model:each: equal to each alone, failures of items, progress, loops that are left.
local t = ...
local bezel = require "bezel"

local texts = { "Hello", "The capital of France is", "", "one two three one two three one", "Hello" }

t.test("a batch gives what complete gives, in order, with its times", function()
  local model = assert(bezel.load "tests/golden/tiny_gemma3.gguf")
  for _, options in ipairs { { temperature = 0, max_tokens = 12 }, { seed = 7, max_tokens = 9 },
                             { temperature = 0, max_tokens = 30, lookup = true, stop = { "e" } } } do
    local answer = model:batch(texts, options)
    t.eq(#answer.responses, #texts)
    for i, text in ipairs(texts) do
      local alone = assert(model:complete(text, options))
      t.eq(answer.responses[i], alone.text)
      t.eq(answer.results[i].text, alone.text)
      t.eq(answer.results[i].stop_reason, alone.stop_reason)
      t.eq(answer.results[i].tokens_generated, alone.tokens_generated)
    end
    t.ok(answer.batch_generation_time > 0)
    t.ok(math.abs(answer.average_time_per_item * #texts - answer.batch_generation_time) < 1e-9)
  end
  t.eq(#model:batch({}).responses, 0)
  t.eq(model:batch({}).average_time_per_item, 0)
  model:close()
end)

t.test("conversations are shown in the model's template and end where it says", function()
  local model = assert(bezel.load(t.model "pretrained"))
  local answer = model:batch({ { { role = "user", text = "hello" } }, "Result: probe = 1\nAssistant:" }, { temperature = 0 })
  t.eq(answer.responses[2], " The answer is forty-two.")
  t.eq(answer.results[1].error, nil)
  model:close()
end)

t.test("an item that fails tells why and the others are answered", function()
  local model = assert(bezel.load "tests/golden/tiny_gemma3.gguf")
  local seen = {}
  local answer = model:batch({ "Hello", ("word "):rep(200), {}, "Hello" }, {
    temperature = 0, max_tokens = 5, n_ctx = 40,
    progress = function(done, total) seen[#seen + 1] = done .. "/" .. total end,
  })
  t.eq(answer.results[2].code, "full")
  t.eq(answer.responses[2], "")
  t.eq(answer.results[3].code, "argument")
  t.eq(answer.responses[1], answer.responses[4])
  t.eq(table.concat(seen, " "), "1/4 2/4 3/4 4/4")
  t.raises("stop here", model.batch, model, texts, { progress = function() error "stop here" end })
  t.raises("item 2 is a number", model.batch, model, { "a", 5 })
  t.raises("message 1 needs a role", model.batch, model, { { { role = "king", text = "x" } } })
  t.raises("option progress", model.batch, model, texts, { progress = 1 })
  t.raises("option", model.batch, model, texts, { colour = 1 })
  model:close()
end)

t.test("each gives items as they end, and a loop may be left", function()
  local model = assert(bezel.load "tests/golden/tiny_gemma3.gguf")
  local answer = model:batch(texts, { temperature = 0, max_tokens = 6 })
  local n, last = 0, 0
  for i, result, done in model:each(texts, { temperature = 0, max_tokens = 6 }) do
    t.eq(result.text, answer.responses[i])
    t.ok(done > last)
    n, last = n + 1, done
  end
  t.eq(n, #texts)
  t.eq(last, 1)
  for _ in model:each(texts, { max_tokens = 50 }) do break end
  local step = model:each(texts, { max_tokens = 3 })
  step()
  model:close() -- held by the iterator until it is collected
  while step() do end
  t.eq(step(), nil)
end)
