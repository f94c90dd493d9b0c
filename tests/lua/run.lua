-- SPDX-License-Identifier: MIT
-- Runs the tests of the Lua module with any plain Lua 5.4, from the root of the repository:
--
--     lua5.4 tests/lua/run.lua BUILD [script ...]
--
-- BUILD holds bezel.so, tests/script_model and tests/http_server. BEZEL_LUA_GC=stress runs everything under a collector
-- that works at each step, then again in generational mode. Prints one line of totals; the status tells.
local build = arg[1] or "build"
package.cpath = build .. "/?.so;" .. package.cpath

local t = { build = build, passed = 0, failed = 0, pass = 1 }
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -m 700 '" .. folder .. "'")

local function where(message) return debug.traceback(tostring(message), 2) end

function t.test(name, run)
  if t.only and not name:find(t.only, 1, true) then return end
  local ok, message = xpcall(run, where)
  if ok then
    t.passed = t.passed + 1
  else
    t.failed = t.failed + 1
    io.stderr:write("FAILED ", t.script, ": ", name, "\n", message, "\n")
  end
end

function t.eq(found, expected, what)
  if found ~= expected then
    error(("%sfound %s, expected %s"):format(what and what .. ": " or "", tostring(found), tostring(expected)), 2)
  end
end

function t.ok(value, what)
  if not value then error(what or "not true", 2) end
  return value
end

function t.match(text, pattern)
  if type(text) ~= "string" or not text:find(pattern) then
    error(("'%s' does not match '%s'"):format(tostring(text), pattern), 2)
  end
end

-- fn must raise an error whose text matches.
function t.raises(pattern, fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error("no error was raised; expected " .. pattern, 2) end
  if not tostring(message):find(pattern) then
    error(("raised '%s', expected '%s'"):format(tostring(message), pattern), 2)
  end
end

-- nil, message, code must come.
function t.code(code, value, message, found)
  if value ~= nil or type(message) ~= "string" or found ~= code then
    error(("found %s, %s, %s; expected nil, a message, %s"):format(tostring(value), tostring(message), tostring(found), code), 2)
  end
end

function t.path(name) return folder .. "/" .. t.pass .. name end

-- A path that no other test has.
local made = 0
function t.new_path(name)
  made = made + 1
  return t.path(made .. "-" .. name)
end

local function run(command)
  if not os.execute(command) then error("cannot run: " .. command, 3) end
end

-- Path of a model that writes FUNCTION_CALL: CALL, then ANSWER (tests/make/script_model_main.c).
local models = {}
function t.model(kind, call, answer)
  call, answer = call or 'probe(text="hi", count=3)', answer or "The answer is forty-two."
  local key = kind .. call .. answer
  if not models[key] then
    models[key] = t.new_path "model.gguf"
    run(("'%s/tests/script_model' '%s' %s '%s' '%s'"):format(build, models[key], kind, call, answer))
  end
  return models[key]
end

-- URL of the test server; it ends with this program.
function t.server()
  if not t.url then
    t.pipe = assert(io.popen("exec '" .. build .. "/tests/http_server'"))
    t.url = assert(t.pipe:read "l", "the test server does not start")
  end
  return t.url
end

local scripts = table.pack(table.unpack(arg, 2))
if scripts.n == 0 then
  scripts = { "json", "value", "http", "guard", "monitor", "service", "prompts", "model", "head", "tools", "chat", "pending", "policy", "mcp", "store", "examples",
    "misuse", "meta", n = 18 }
end
t.only = os.getenv "BEZEL_LUA_TEST"

local function run_all()
  for i = 1, scripts.n do
    t.script = scripts[i]
    assert(loadfile("tests/lua/" .. scripts[i] .. ".lua", "t"))(t)
  end
end

t.stress = os.getenv "BEZEL_LUA_GC" == "stress"
if t.stress then
  collectgarbage "incremental"
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", 1000)
  run_all()
  collectgarbage "generational"
  t.pass = 2
end
run_all()
print(("lua: %d passed, %d failed"):format(t.passed, t.failed))
os.execute("rm -rf '" .. folder .. "'")
if t.pipe then require "bezel".http.get(t.url .. "/quit", { allow_private = true }) end
os.exit(t.failed == 0, true)
