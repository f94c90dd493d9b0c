-- SPDX-License-Identifier: MIT
-- A fake MCP server for the tests of the client: speaks either protocol, and badly where its arguments or its tools say so.
--
--     lua5.4 mcp_server.lua [WORD ...]
--
-- old (default), modern: the protocol. silent, dies, slow: what it does when it is asked "server/discover". version=V: what it
-- answers to "initialize". many, endless, loop: its list of tools. noisy: garbage, news and questions around each answer.
-- once=FILE: ends at once when FILE is not there yet, and makes it. Reads only what the client writes, so it needs no JSON
-- library: the fields stand in a known order.
local is = {}
for _, word in ipairs(arg) do
  local key, value = word:match "^(%w+)=(.*)$"
  is[key or word] = value or true
end

local function send(text)
  io.stdout:write(text, "\n")
  io.stdout:flush()
end

if is.once then
  local file = io.open(is.once)
  if not file then
    io.open(is.once, "w"):close()
    io.stderr:write "first time\n"
    os.exit(7)
  end
end
if is.talks then io.stderr:write "hello from the server\n\27[31mred\n" end

local function answer(id, result)
  if is.noisy then
    send "Starting up, please wait..."
    send '{"not": "a message"'
    send "[1, 2"
    send ""
    send '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.5}}'
    send '{"jsonrpc":"2.0","id":99999,"result":{}}'
    send '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}'
    send '{"jsonrpc":"2.0","id":"q1","method":"ping"}'
    send '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\r'
  end
  if is.modern and not is.future then result = result:gsub("^{", '{"resultType":"complete",', 1):gsub(",}$", "}") end
  send(('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, result))
end

-- `more`: further members of the error.
local function fail(id, code, message, more)
  send(('{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"%s"%s}}'):format(id, code, message, more or ""))
end

local function raw(id, result) send(('{"jsonrpc":"2.0","id":%s,"result":%s}'):format(id, result)) end

local function text(s) return ('{"content":[{"type":"text","text":"%s"}],"isError":false}'):format(s) end

-- --- Tools ----------------------------------------------------------------------------------------

local extra = ""
local cancelled, hung, asked = {}, nil, nil
local counter = 0

local tools = {}
function tools.echo(id, line) answer(id, text(line:match '"text":"(.-)"[,}]' or "")) end
function tools.args(id, line) answer(id, text((line:match '"arguments":(%b{})':gsub('"', "'")))) end
function tools.count(id)
  counter = counter + 1
  answer(id, text(counter))
end
function tools.env(id, line) answer(id, text(os.getenv(line:match '"text":"(.-)"') or "unset")) end
function tools.folder(id)
  local pipe = io.popen "pwd"
  answer(id, text(pipe:read "l"))
  pipe:close()
end
function tools.die()
  io.stderr:write "something broke\n"
  io.stderr:write "the very last words"
  os.exit(3)
end
function tools.hang(id) hung = id end
function tools.late(id)
  answer(hung, text "too late")
  answer(id, text "in time")
end
function tools.cancelled(id) answer(id, text(table.concat(cancelled, " "))) end
function tools.image(id)
  answer(id, '{"content":[{"type":"text","text":"here"},{"type":"image","data":"QUJDRA==","mimeType":"image/png"},'
    .. '{"type":"resource_link","uri":"file:///a","name":"a"},{"type":"resource","resource":{"uri":"file:///b","text":"bee"}},'
    .. '{"type":"resource","resource":{"uri":"file:///c","blob":"QUI="}},{"type":"hologram"}]}')
end
function tools.structured(id) answer(id, '{"content":[{"type":"text","text":"{}"}],"structuredContent":{"a":1,"b":[true]}}') end
function tools.wrapped(id) answer(id, '{"content":[],"structuredContent":{"result":5}}') end
function tools.empty(id) answer(id, '{"content":[]}') end
function tools.fails(id) answer(id, '{"content":[{"type":"text","text":"no such city\\nat all"}],"isError":true}') end
function tools.fails_mutely(id) answer(id, '{"content":[],"isError":true}') end
function tools.refused(id) fail(id, -32602, "Unknown tool: refused") end
function tools.input(id) raw(id, '{"resultType":"input_required","inputRequests":{}}') end
function tools.no_result(id) send(('{"jsonrpc":"2.0","id":%s}'):format(id)) end
function tools.unreadable(id) raw(id, '{"content":[nan]}') end
function tools.numbers(id) answer(id, '{"structuredContent":{"id":9007199254740993,"n":-18446744073709551616,"m":3}}') end
function tools.batch(id)
  send(('[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":%s,"result":%s}]'):format(id, text "of a batch"))
end
function tools.large(id, line) answer(id, text(("x"):rep(tonumber(line:match '"text":"(%d+)"')))) end
function tools.huge(_, line)
  local piece = ("y"):rep(65536)
  for _ = 1, tonumber(line:match '"text":"(%d+)"') do io.stdout:write(piece) end
  send ""
end
function tools.flood()
  while true do send '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}' end
end
function tools.words(id)
  for i = 1, 3000 do io.stderr:write("word ", i, " of many, and more of them\n") end
  answer(id, text "said")
end
function tools.child(id)
  local pipe = io.popen "sleep 300 >/dev/null 2>&1 & echo $!"
  local pid = pipe:read "l"
  answer(id, text(pid))
end
function tools.ask(id)
  asked = { id = id, got = {} }
  send '{"jsonrpc":"2.0","id":"s1","method":"ping"}'
  send '{"jsonrpc":"2.0","id":2,"method":"roots/list"}'
  send '{"jsonrpc":"2.0","id":3,"method":"sampling/createMessage","params":{}}'
end
function tools.change(id)
  extra = ',{"name":"grown","inputSchema":{"type":"object"}}'
  send '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
  answer(id, text "changed")
end
function tools.stubborn(id) -- stays when its input is closed, and when it is asked to end
  answer(id, text "staying")
  os.execute "trap '' TERM; sleep 300"
end

local function list()
  local names, rows = {}, {}
  for name in pairs(tools) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    rows[#rows + 1] = ('{"name":"%s","description":"Does %s","inputSchema":%s}'):format(name, name,
      '{"type":"object","properties":{"text":{"type":"string"}}}')
  end
  return table.concat(rows, ",") .. extra
end

local odd = [[{"name":"good","title":"A title","annotations":{"readOnlyHint":true},
"inputSchema":{"type":"object","properties":{"x":{"type":"string","contentEncoding":"base64"}}}},
{"name":"far","inputSchema":{"type":"object","properties":{"x":{"$ref":"https://example.org/x.json"}}}},
{"name":"","inputSchema":{}},{"inputSchema":{}},{"name":5},7,
{"name":"two words/1","description":"","annotations":{"openWorldHint":false}},
{"name":"two words.1"},{"name":"two words/1"},{"name":"no_object","inputSchema":{"type":"string"}},{"name":"two_words_1"},
{"name":"]] .. ("n"):rep(100) .. [["}]]

local function page(id, line)
  local cursor = line:match '"cursor":"(.-)"'
  if is.loop then return answer(id, '{"tools":[],"nextCursor":"again"}') end
  if is.endless then
    local rows = {}
    for i = 1, 100 do rows[i] = ('{"name":"t%s_%d"}'):format(cursor or "", i) end
    return answer(id, ('{"tools":[%s],"nextCursor":"%d"}'):format(table.concat(rows, ","), (tonumber(cursor) or 0) + 1))
  end
  if is.odd then return answer(id, ('{"tools":[%s]}'):format(odd:gsub("\n", ""), nil)) end
  if is.none then return fail(id, -32601, "Method not found") end
  if not is.many then return answer(id, ('{"tools":[%s]}'):format(list())) end
  local first, rows = tonumber(cursor and cursor:match "^from (%d+)$" or 1), {}
  for i = first, math.min(first + 59, 500) do
    rows[#rows + 1] = ('{"name":"tool_%d","inputSchema":{"type":"object","properties":{"n":{"type":"integer"}}}}'):format(i)
  end
  local more = first + 60 <= 500 and (',"nextCursor":"from %d"'):format(first + 60) or ""
  answer(id, ('{"tools":[%s]%s}'):format(table.concat(rows, ","), more))
end

-- --- Methods --------------------------------------------------------------------------------------

local methods = {}
methods["server/discover"] = function(id)
  if is.dies then os.exit(4) end
  if is.slow then os.execute "sleep 2.3" end
  if is.silent then return end
  if not is.modern then return fail(id, -32602, "Invalid request parameters") end
  if is.future then
    return fail(id, -32022, "no", (',"data":{"supported":["%s"]}'):format(is.future))
  end
  answer(id, '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},'
    .. '"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"fake","version":"2"}}}')
end
methods["subscriptions/listen"] = function(id)
  send(('{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":%s}'):format(
    ('{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}'):format(id)))
end
methods["initialize"] = function(id, line)
  if is.modern and not is.future then
    return fail(id, -32022, "no", ',"data":{"supported":["2026-07-28"]}')
  end
  local version = is.version or line:match '"protocolVersion":"(.-)"'
  answer(id, ('{"protocolVersion":"%s","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"1"}}'):format(version))
end
methods["tools/list"] = function(id, line)
  if is.modern and not is.future and not line:find('"io.modelcontextprotocol/protocolVersion":"2026-07-28"', 1, true) then
    return fail(id, -32602, "no _meta")
  end
  page(id, line)
end
methods["tools/call"] = function(id, line)
  local name = line:match '"params":{"name":"(.-)"'
  if not tools[name] then return fail(id, -32602, "Unknown tool: " .. name) end
  tools[name](id, line)
end
methods["notifications/cancelled"] = function(_, line) cancelled[#cancelled + 1] = line:match '"requestId":(%d+)' end

for line in io.stdin:lines() do
  local id, method = line:match '"id":("?%w+"?)', line:match '"method":"(.-)"'
  if method and methods[method] then
    methods[method](id, line)
  elseif method and id then
    fail(id, -32601, "Method not found")
  elseif asked and not method then
    asked.got[#asked.got + 1] = id:gsub('"', "") .. (line:find '"result":{}' and "=ok" or line:match '"code":(%-?%d+)' or "?")
    if #asked.got == 3 then answer(asked.id, text(table.concat(asked.got, " "))) end
  end
end
if is.stays then os.execute "sleep 300" end
