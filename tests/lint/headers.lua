-- SPDX-License-Identifier: MIT
-- First lines, unique names, include guards, and the share of comment in public headers (of lines that are not blank; they
-- are the manual). A line counts as comment when it holds comment and no code.
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

-- The house rule: the public header is the manual.
local min_share = 60

local seen = {}
for _, path in ipairs(lint.files("core tools agents store bindings examples tests", "%.[ch]$")) do
  local text = lint.read(path)
  if not text:match "^/%* SPDX%-License%-Identifier: MIT %*/\n" then lint.report("spdx", path, "the first line is not the SPDX line") end
  if not text:match "^[^\n]*\n/%*" then lint.report("purpose", path, "the second line does not open the comment that says what it is for") end
  local name = path:match "[^/]+$"
  if seen[name] then lint.report("name", path, "has the same name as " .. seen[name]) end
  seen[name] = path
  if path:match "%.h$" and not text:match "#ifndef ([%w_]+)\n#define %1\n" and not path:match "^tests/golden/" then
    lint.report("guard", path, "has no include guard")
  end
  if text:find "[ \t]\n" or text:find "\r" or text:find "\t" and path:match "%.[ch]$" then
    lint.report("space", path, "has tabs, carriage returns or blanks at the end of a line")
  end
end
for _, path in ipairs(lint.files("Makefile premake5.lua .ci tests/lint tests/make tests/lua examples/lua bindings/lua", "%f[%w]%w+$")) do
  local head = lint.read(path):sub(1, 200)
  if path:match "%.lua$" or path:match "%.sh$" or path:match "Makefile" then
    if not head:match "SPDX%-License%-Identifier: MIT" then lint.report("spdx", path, "has no SPDX line at its top") end
  end
end

local all_comment, all_lines, lowest, lowest_path = 0, 0, 101, ""
for _, path in ipairs(lint.files("core/include tools/include agents/include store/include", "%.h$")) do
  local text = lint.read(path)
  local comment, lines = 0, 0
  local code = lint.code_only(text)
  local next_code = (code .. "\n"):gmatch "(.-)\n"
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local code_line = next_code()
    if line:match "%S" then
      lines = lines + 1
      if not code_line:match "%S" then comment = comment + 1 end
    end
  end
  local share = 100 * comment / lines
  if share < lowest then lowest, lowest_path = share, path end
  if share < min_share then lint.report("comment", path, ("is %.1f %% comment, at least %d"):format(share, min_share)) end
  all_comment, all_lines = all_comment + comment, all_lines + lines
  if os.getenv "LINT_SHARES" then print(("%5.1f %% %s"):format(share, path)) end
end
local share = 100 * all_comment / all_lines
print(("lint: public headers are %.0f %% comment, the lowest is %s with %.0f %%"):format(share, lowest_path, lowest))
lint.finish "headers"
