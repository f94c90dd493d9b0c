-- SPDX-License-Identifier: MIT
-- The tools of an MCP server in a conversation: starts the server, shows what it offers, asks a question, and shows the calls.
--
--     bezel run examples/lua/mcp.lua "question" COMMAND [ARGUMENT ...]
--     bezel run examples/lua/mcp.lua "What time is it in Tokyo?" uvx mcp-server-time
--
-- Small models choose well among few tools: BEZEL_MCP_ONLY="convert_time get_current_time" takes just these.
local bezel = require "bezel"

local question = arg and arg[1]
local command = { table.unpack(arg or {}, 2) }
if #command == 0 then
  io.stderr:write 'usage: bezel run examples/lua/mcp.lua "question" COMMAND [ARGUMENT ...]\n'
  os.exit(2)
end

local only
for name in (os.getenv "BEZEL_MCP_ONLY" or ""):gmatch "%S+" do
  only = only or {}
  only[#only + 1] = name
end

-- The one line. Its tools are of the class "network" unless `permission` says something else; the server gets HOME, PATH and
-- the like of our environment, and what `environment = { KEY = "..." }` adds.
local server, message = bezel.mcp { command = command, only = only }
if not server then
  io.stderr:write("the server does not start: " .. message .. "\n")
  os.exit(1)
end

local info = server:info()
print(("%s %s, protocol %s, offers:"):format(info.name, info.version, info.protocol))
for _, tool in ipairs(server:tools()) do
  print(("  %-20s %s"):format(tool.name, ((tool.description or ""):gsub("%s+", " "):sub(1, 90))))
end

local model = assert(bezel.load())
local chat = assert(model:chat { tools = { server }, max_tokens = 120 })
for _, warning in ipairs(server:warnings()) do io.stderr:write("note: " .. warning .. "\n") end

print("\nQuestion: " .. question)
local turn, problem = chat:ask(question, function(event)
  if event.type == "call" then
    print("  call:   " .. event.name .. bezel.json.encode(event.arguments))
  elseif event.type == "result" then
    print("  result: " .. (event.text or bezel.json.encode(event.result)))
  end
end)
if not turn then
  io.stderr:write("the turn failed: " .. problem .. "\n")
  os.exit(1)
end
print("Answer: " .. turn.text:match "^%s*(.-)%s*$")

chat:close()
server:close()
model:close()
