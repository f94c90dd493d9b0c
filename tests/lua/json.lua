-- SPDX-License-Identifier: MIT
-- bezel.json: both ways, limits, misuse.
local t = ...
local bezel = require "bezel"
local json = bezel.json

t.test("values come back as they went", function()
  for _, text in ipairs { "1", "-7", "1.5", '"a\\u00e9\\n"', "true", "false", "[1,2,3]", '{"a":{"b":[]}}', "{}", "[]", '[[],{}]' } do
    t.eq(json.encode((json.decode(text))), (text:gsub("\\u00e9", "\u{e9}")))
  end
end)

t.test("null is bezel.null and comes back as null", function()
  t.eq(json.decode "null", bezel.null)
  t.eq(json.decode("[null]")[1], bezel.null)
  t.eq(json.decode('{"a":null}').a, bezel.null)
  t.eq(json.encode { a = bezel.null, b = bezel.list { bezel.null } }, '{"a":null,"b":[null]}')
  t.eq(json.encode(nil), "null")
end)

t.test("an empty list stays a list, an empty table is a map", function()
  t.eq(json.encode {}, "{}")
  t.eq(json.encode(bezel.list()), "[]")
  t.eq(json.encode(bezel.list {}), "[]")
  t.eq(json.encode(json.decode "[]"), "[]")
  local list = json.decode "[]"
  list[1] = 5
  t.eq(json.encode(list), "[5]")
end)

t.test("integers and floats keep their type", function()
  t.eq(math.type(json.decode "3"), "integer")
  t.eq(math.type(json.decode "3.0"), "float")
  t.eq(math.type(json.decode "9007199254740992"), "integer")
end)

t.test("keys are written in one order", function()
  t.eq(json.encode { c = 1, a = 2, b = 3 }, '{"a":2,"b":3,"c":1}')
  t.eq(json.encode({ 1 }, { indent = 2 }), "[\n  1\n]")
end)

t.test("bad texts give nil, message, code", function()
  t.code("truncated", json.decode "{")
  t.code("truncated", json.decode "")
  t.code("format", json.decode "[1] x")
  t.code("duplicate", json.decode '{"a":1,"a":2}')
  t.code("range", json.decode "9007199254740993123")
  t.code("limit", json.decode(("["):rep(100) .. ("]"):rep(100)))
  t.ok(json.decode "\xff" == nil)
end)

t.test("what is no value raises or fails", function()
  t.raises("function cannot be a value", json.encode, print)
  t.raises("thread cannot be a value", json.encode, { coroutine.create(print) })
  t.raises("userdata cannot be a value", json.encode, io.stdout)
  t.raises("neither a list", json.encode, { 1, x = 2 })
  t.raises("neither a list", json.encode, { [1] = 1, [3] = 3 })
  t.raises("neither a list", json.encode, { [true] = 1 })
  local loop = {}
  loop.loop = loop
  t.raises("nested deeper", json.encode, loop)
  t.code("numeric", json.encode(0 / 0))
  t.code("numeric", json.encode { math.huge })
  t.raises("value expected", json.encode)
  t.raises("string expected", json.decode)
  t.raises("string expected", json.decode, {})
  t.raises("unknown option", json.encode, 1, { ident = 2 })
  t.raises("integer expected", json.encode, 1, { indent = "2" })
  t.raises("outside 0", json.encode, 1, { indent = 17 })
end)

t.test("metamethods of tables are not run", function()
  local odd = setmetatable({}, { __index = function() error "no" end, __pairs = function() error "no" end, __len = error })
  t.eq(json.encode(odd), "{}")
  t.raises("metatable of its own", bezel.list, odd)
end)

t.test("large documents go both ways", function()
  local list = bezel.list()
  local n = t.stress and 500 or 20000
  for i = 1, n do list[i] = { i = i, s = ("x"):rep(i % 50) } end
  local back = assert(json.decode(assert(json.encode(list))))
  t.eq(#back, n)
  t.eq(back[n - 1].s, ("x"):rep((n - 1) % 50))
end)
