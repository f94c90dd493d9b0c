-- SPDX-License-Identifier: MIT
-- Text files as C: embed(path, files) writes a header with `static const char NAME_EXT[]` for each; for premake5.lua, and so for
-- Lua 5.1 and later. Written only when it changes.
return function(path, files)
  local out = { "/* Made by tests/make/embed.lua from the files it names. */\n" }
  for _, file in ipairs(files) do
    local name = file:match "[^/]+$":gsub("%.", "_")
    out[#out + 1] = ("/* %s */\nstatic const char %s[] =\n"):format(file, name)
    for line in io.open(file, "rb"):read "*a":gmatch "[^\n]*\n?" do
      if line ~= "" then out[#out + 1] = '  "' .. line:gsub('[\\"?]', "\\%0"):gsub("\n", "\\n") .. '"\n' end
    end
    out[#out + 1] = "  \"\";\n"
  end
  local text = table.concat(out)
  local old = io.open(path, "rb")
  if old and old:read "*a" == text then return end
  local new = assert(io.open(path, "wb"))
  new:write(text)
  new:close()
end
