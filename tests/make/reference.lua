-- SPDX-License-Identifier: MIT
-- Writes docs/reference/*.md from the public headers: a page a header, its comments as text, its declarations as code.
--
--     lua5.4 tests/make/reference.lua           writes the pages
--     lua5.4 tests/make/reference.lua --check   fails when a page is missing or stale
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

local folder = "docs/reference"
local check_only = arg[1] == "--check"

-- Text of a comment without its frame: "/* a\n * b */" gives "a\nb".
local function comment_text(comment)
  local text = comment:gsub("^/%*+ ?", ""):gsub("%s*%*/%s*$", "")
  return (text:gsub("\n[ \t]*%*? ?", "\n"))
end

-- Doc lines ("  Owns     *out is ...") become a list, indented code a code block, the rest stays as it is.
local function comment_markdown(text)
  local out, in_code = {}, false
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local label, rest = line:match "^%s*(%u%l+)%s%s+(%S.*)$"
    local known = label and ("Shapes Units Owns Thread Errors Source Since Returns"):find(label, 1, true)
    local code = line:match "^    (.*)$"
    if known then
      if in_code then out[#out + 1], in_code = "```", false end
      out[#out + 1] = "- **" .. label .. "**: " .. rest
    elseif code and not known and (in_code or out[#out] == "" ) then
      if not in_code then out[#out + 1], in_code = "```c", true end
      out[#out + 1] = code
    else
      if in_code and line ~= "" then out[#out + 1], in_code = "```", false end
      out[#out + 1] = in_code and line or (line:gsub("^%s+", ""))
    end
  end
  if in_code then out[#out + 1] = "```" end
  return (table.concat(out, "\n"):gsub("\n+$", ""))
end

-- Next piece of the header at i: its kind, its text, where it ends.
local function next_piece(text, i)
  i = text:find("%S", i)
  if not i then return nil end
  if text:sub(i, i + 1) == "/*" then
    local _, stop = text:find("*/", i, true)
    return "comment", text:sub(i, stop), stop + 1
  end
  if text:sub(i, i) == "#" then
    local stop = i
    repeat stop = text:find("\n", stop + 1, true) or #text until text:sub(stop - 1, stop - 1) ~= "\\"
    return "directive", text:sub(i, stop - 1), stop + 1
  end
  local depth, k = 0, i
  while k <= #text do -- a declaration ends at ; outside of braces
    local c = text:sub(k, k)
    if text:sub(k, k + 1) == "/*" then
      _, k = text:find("*/", k, true)
    elseif c == "{" then
      depth = depth + 1
    elseif c == "}" then
      depth = depth - 1
    elseif c == ";" and depth == 0 then
      local line_end = text:find("\n", k, true) or #text -- with a comment on its last line
      local tail = text:sub(k + 1, line_end)
      return "declaration", text:sub(i, tail:match "^%s*/%*.*%*/%s*$" and line_end - 1 or k), math.max(k, line_end) + 1
    end
    k = k + 1
  end
  return "declaration", text:sub(i), #text + 1
end

local function page_of(path)
  local text = lint.read(path):gsub("^[^\n]*\n", "")
  text = text:gsub('#ifdef __cplusplus\nextern "C" {\n#endif\n', ""):gsub("#ifdef __cplusplus\n}\n#endif\n", "")
  local name = path:match "include/(.*)$"
  local out = { "# <" .. name .. ">", "", "Made from `" .. path .. "` by `make docs`.", "" }
  local i, code = 1, {}
  local function flush()
    if #code > 0 then
      out[#out + 1] = "```c\n" .. table.concat(code, "\n") .. "\n```\n"
      code = {}
    end
  end
  while true do
    local kind, piece, stop = next_piece(text, i)
    if not kind then break end
    if kind == "comment" then
      flush()
      local section = piece:match "^/%* %-%-%- (.-) %-%-+ ?%*/$"
      out[#out + 1] = section and ("## " .. section .. "\n") or (comment_markdown(comment_text(piece)) .. "\n")
    elseif kind == "declaration" then
      code[#code + 1] = (piece:gsub("BEZEL_API ", ""):gsub("\n%s+(%S[^\n]*[,)];?)\n?$", "\n    %1"))
    elseif piece:match "^#define" and not piece:match "^#define [%w_]+_H%s*$" then
      code[#code + 1] = piece
    end
    i = stop
  end
  flush()
  return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"):gsub("\n+$", "\n")), folder .. "/" .. name:match "([^/]+)%.h$" .. ".md"
end

local stale = 0
for _, path in ipairs(lint.files("core/include tools/include agents/include store/include", "%.h$")) do
  local page, target = page_of(path)
  local file = io.open(target, "rb")
  local old = file and file:read "a"
  if file then file:close() end
  if old ~= page then
    stale = stale + 1
    if check_only then
      print("lint: reference: " .. target .. " does not follow its header; `make docs` writes it")
    else
      file = assert(io.open(target, "wb"))
      file:write(page)
      file:close()
    end
  end
end
if check_only and stale == 0 then print "lint: reference pages: good" end
os.exit(check_only and stale > 0 and 1 or 0)
