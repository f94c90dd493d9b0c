-- SPDX-License-Identifier: MIT
-- Options of the output layer and of the cache folder: checked, and without effect on the answer.
local t = ...
local bezel = require "bezel"

local function answer(cache, head, cache_mb, raw)
  local options = { cache = cache, cache_mb = cache_mb, raw_weights = raw }
  local model = assert(bezel.load("tests/golden/tiny_gemma3.gguf", options))
  return assert(model:complete("hello", { max_tokens = 24, temperature = 0, head = head })).text
end

t.test("an answer does not depend on head and cache, and a folder that is none is no error", function()
  local full = answer(false, "full")
  for _, head in ipairs { "auto", "screened", "full" } do
    t.eq(answer(false, head), full)
    t.eq(answer("/no/such/folder", head), full)
  end
end)

t.test("head and cache are checked", function()
  t.raises("half", answer, false, "half")
  t.raises("cache", answer, 3)
  t.raises("cache_mb", answer, false, "full", -1)
  t.eq(answer(false, "full", 0), answer(false, "full", 64))
  t.raises("cache", answer, true)
  t.raises("raw_weights", answer, false, "full", 0, 3)
  t.eq(answer(false, "full", 0, true), answer(false, "full", 0, false))
end)
