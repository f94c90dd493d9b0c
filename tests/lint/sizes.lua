-- SPDX-License-Identifier: MIT
-- Lengths and complexity, measured by pmccabe: functions at most 100 lines and 25 paths (its modified count: a switch is one
-- decision, whatever its number of cases); .c at most 800 lines, private .h 400, public .h 700, tests 1000, premake5.lua 250,
-- examples 120.
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

local max_function, max_paths = 100, 25

local function limit_of(path)
  if path:match "^examples/" then return 120 end
  if path:match "^tests/" then return 1000 end
  if path:match "/include/" then return 700 end
  return path:match "%.h$" and 400 or 800
end

local places = "core tools agents store bindings examples tests"
local files = lint.files(places, "%.[ch]$")
for _, path in ipairs(lint.files("examples", "%.lua$")) do files[#files + 1] = path end
local function check_length(path, limit)
  local _, n = lint.read(path):gsub("\n", "")
  if n > limit then lint.report("file-length", path, ("%d lines, at most %d"):format(n, limit)) end
end
for _, path in ipairs(files) do check_length(path, limit_of(path)) end
check_length("premake5.lua", 250)

if not os.execute "command -v pmccabe >/dev/null" then lint.skip("sizes", "pmccabe is not installed (package pmccabe)") end
local longest, functions = 0, 0
for _, line in ipairs(lint.lines_of("find " .. places .. " -name '*.c' | LC_ALL=C sort | xargs pmccabe")) do
  local paths, _, _, start, n, file, name = line:match "^(%d+)%s+(%d+)%s+(%d+)%s+(%d+)%s+(%d+)%s+([^%(]+)%(%d+%): (.+)$"
  if paths then
    local where = file .. ":" .. start
    functions = functions + 1
    longest = math.max(longest, tonumber(n))
    if tonumber(n) > max_function then
      lint.report("function-length", where, ("%s has %s lines, at most %d"):format(name, n, max_function), name)
    end
    if tonumber(paths) > max_paths then
      lint.report("complexity", where, ("%s has %s paths, at most %d"):format(name, paths, max_paths), name)
    end
  end
end
print(("lint: %d functions, the longest has %d lines"):format(functions, longest))
lint.finish "sizes"
