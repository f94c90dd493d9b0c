-- SPDX-License-Identifier: MIT
-- No mutable globals in the library: data and bss symbols of its objects. Const tables that hold pointers are in
-- .data.rel.ro (written once by the loader) and are no state.
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

local out = arg[1] or "build"
local archive = out .. "/libbezel.a"
if not io.open(archive) then lint.skip("globals", archive .. " is not built") end
local n = 0
local function check(path)
  local object = path
  for _, line in ipairs(lint.lines_of("nm --format=sysv " .. path .. " 2>/dev/null")) do
    object = line:match "^(%S+%.o):$" or line:match "%[(%S+%.o)%]:$" or line:match "from [^%[]*%[([^%]]+)%]" or object
    local name, class, section = line:match "^(%S+)%s*|[^|]*|%s*(%a)%s*|[^|]*|[^|]*|[^|]*|%s*(%S*)"
    if name then n = n + 1 end
    if class and class:match "^[bBdDCgGsS]$" and not section:match "^%.data%.rel%.ro" then
      lint.report("global", object, ("%s is a mutable global (%s)"):format(name, section), name)
    end
  end
end
check(archive)
check(out .. "/lib/liblbezel.a")
assert(n > 500, "nm gave too little to judge by")
lint.finish "globals"
