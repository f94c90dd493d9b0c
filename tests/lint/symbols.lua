-- SPDX-License-Identifier: MIT
-- What libbezel.so exports is what the public headers declare with BEZEL_API, no more and no less; the Lua module exports
-- its entry only; every name of the archive that other programs link is bezel_ or bz_.
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

local out = arg[1] or "build"
if not io.open(out .. "/libbezel.so") then lint.skip("symbols", out .. "/libbezel.so is not built") end

local declared, home = {}, {}
for _, path in ipairs(lint.files("core/include tools/include agents/include store/include", "%.h$")) do
  local code = lint.code_only(lint.read(path)):gsub("#[^\n]*", "")
  for declaration in code:gmatch "BEZEL_API([^;]+);" do
    local name = declaration:match "%f[%w_](bezel_[%w_]+)%s*%("
    if name then
      declared[name] = true
      home[name] = path
    else
      lint.report("symbol", path, "a BEZEL_API declaration without a name: " .. declaration:sub(1, 60))
    end
  end
  -- A function that is declared without the mark would be hidden in the shared library.
  for declaration in (";" .. code):gmatch "[;}]%s*([%w_][%w_%s%*]*%f[%w_]bezel_[%w_]+%s*%b())%s*;" do
    if not declaration:find "BEZEL_API" and not declaration:find "typedef" then
      lint.report("symbol", path, "declared without BEZEL_API: " .. declaration:gsub("%s+", " "):sub(1, 70))
    end
  end
end

local exported, n = {}, 0
for _, line in ipairs(lint.lines_of("nm -D --defined-only " .. out .. "/libbezel.so")) do
  local kind, name = line:match "^%x+ (%a) ([^@%s]+)"
  if kind and kind ~= "A" then
    exported[name] = true
    n = n + 1
    if not declared[name] then lint.report("symbol", out .. "/libbezel.so", name .. " is exported but in no public header", name) end
  end
end
for name in pairs(declared) do
  if not exported[name] then lint.report("symbol", home[name], name .. " is declared but not exported", name) end
end
for _, line in ipairs(lint.lines_of("nm -D --defined-only " .. out .. "/bezel.so")) do
  local kind, name = line:match "^%x+ (%a) ([^@%s]+)"
  if kind and kind ~= "A" and name ~= "luaopen_bezel" then lint.report("symbol", out .. "/bezel.so", name .. " is exported", name) end
end
for _, line in ipairs(lint.lines_of("nm -g --defined-only " .. out .. "/libbezel.a 2>/dev/null")) do
  local name = line:match "^%x+ %a (%S+)$"
  if name and not name:match "^bezel_" and not name:match "^bz_" and not name:match "^__" then
    lint.report("symbol", out .. "/libbezel.a", name .. " is global, but neither bezel_ nor bz_", name)
  end
end
print(("lint: %d exported functions"):format(n))
lint.finish "symbols"
