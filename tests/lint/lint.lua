-- SPDX-License-Identifier: MIT
-- Shared by the checks of this folder: lists files, reads them, collects findings, ends with a status.
-- A finding that allow.txt names (rule, file, and function where there is one) is let pass; it holds five lines at most.
local lint = { findings = 0 }

local max_allowed = 5
local allowed, used = {}, {}

function lint.lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines, pipe:close()
end

function lint.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- Files below the folders whose name matches the Lua pattern, sorted.
function lint.files(folders, pattern)
  local found = {}
  for _, path in ipairs(lint.lines_of("find " .. folders .. " -type f 2>/dev/null | LC_ALL=C sort")) do
    if path:match(pattern) then found[#found + 1] = path end
  end
  return found
end

-- The text with comments and the inside of strings as blanks; line breaks stay, so that lines can be counted.
function lint.code_only(text)
  local out, i, n = {}, 1, #text
  local function blank(from, to) out[#out + 1] = text:sub(from, to):gsub("[^\n]", " ") end
  while i <= n do
    local two = text:sub(i, i + 1)
    local c = two:sub(1, 1)
    if two == "/*" then
      local _, stop = text:find("*/", i + 2, true)
      blank(i, stop or n)
      i = (stop or n) + 1
    elseif two == "//" then
      local stop = text:find("\n", i, true) or n + 1
      blank(i, stop - 1)
      i = stop
    elseif c == '"' or c == "'" then
      local k = i + 1
      while k <= n and text:sub(k, k) ~= c and text:sub(k, k) ~= "\n" do
        k = k + (text:sub(k, k) == "\\" and 2 or 1)
      end
      out[#out + 1] = c
      blank(i + 1, k - 1)
      out[#out + 1] = text:sub(k, k)
      i = k + 1
    else
      local stop = text:find("[/\"']", i + 1) or n + 1
      out[#out + 1] = text:sub(i, stop - 1)
      i = stop
    end
  end
  return table.concat(out)
end

-- rule: short word of allow.txt. where: "file" or "file:line". name: function or symbol, optional.
function lint.report(rule, where, text, name)
  local file = where:match "^[^:]+"
  local key = rule .. " " .. file .. (name and " " .. name or "")
  if allowed[key] then
    used[key] = true
    return
  end
  lint.findings = lint.findings + 1
  print(("%s: %s [%s%s]"):format(where, text, rule, name and " " .. name or ""))
end

-- Ends the check: one line, status 1 when there are findings.
function lint.finish(what)
  print(("lint: %s: %s"):format(what, lint.findings == 0 and "good" or lint.findings .. " findings"))
  os.exit(lint.findings == 0 and 0 or 1)
end

-- Says that a check cannot run here; in CI that is a failure.
function lint.skip(what, why)
  print(("lint: %s: left out, %s"):format(what, why))
  os.exit(os.getenv "CI" and 1 or 0)
end

local n_allowed = 0
for line in io.lines "tests/lint/allow.txt" do
  local key, reason = line:match "^%s*([^#].-)%s+#%s*(.+)$"
  if key then
    assert(#reason >= 20, "allow.txt: a line without a reason: " .. line)
    allowed[key:gsub("%s+", " ")] = true
    n_allowed = n_allowed + 1
  end
end
assert(n_allowed <= max_allowed, "allow.txt holds more than " .. max_allowed .. " lines")

return lint
