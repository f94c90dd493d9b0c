-- SPDX-License-Identifier: MIT
-- Look left only: core (base, format, compute, text, model, generate, train), tools, agents, store, bindings, examples. Across
-- folders only public headers, except core/base for tools, agents and store; bindings and examples see public headers only;
-- no "../", no cycle between headers. Modules (x.c with x.h) may call each other in a circle only inside one folder, and at most
-- three of them: one subject split over files.
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

local folders = { core = 1, tools = 2, agents = 3, store = 4, bindings = 5, examples = 6 }
local layers = { base = 1, format = 2, compute = 3, text = 4, model = 5, generate = 6, train = 7 }
local max_circle = 3
local reach_base = { tools = true, agents = true, store = true }

local public_home, private_home = {}, {} -- include text -> path
local files = lint.files("core tools agents store bindings examples", "%.[ch]$")
for _, path in ipairs(files) do
  local folder, public = path:match "^(%w+)/include/(bezel/.+)$"
  if public then
    public_home[public] = path
  elseif path:match "%.h$" then
    private_home[path:match "^core/(.+)$" or path:match "[^/]+$"] = path
  end
end

local function place(path)
  local folder = path:match "^%w+"
  return folder, folder == "core" and path:match "^core/(%w+)/[^/]+$"
end

local includes = {} -- path -> list of paths in the tree

local function check_public(path, where, name)
  local home = public_home[name]
  if not home then return lint.report("include", where, "<" .. name .. "> is no header of the tree") end
  if folders[place(home)] > folders[place(path)] then
    lint.report("include", where, ("<%s> is to the right (%s)"):format(name, place(home)))
  end
  return home
end

local made = { ["report_page.h"] = "store" } -- headers that premake5.lua makes, and who may have them

local function check_private(path, where, name)
  if name:find("..", 1, true) then return lint.report("include", where, "no ../ in includes: " .. name) end
  if made[name] and made[name] == (place(path)) then return end
  local folder, layer = place(path)
  local home = private_home[name]
  if not home then return lint.report("include", where, '"' .. name .. '" is no header of the tree') end
  local to_folder, to_layer = place(home)
  if path:find("/include/", 1, true) then
    lint.report("include", where, "a public header includes the private " .. name)
  elseif to_folder == folder then
    if layer and (layers[to_layer] or 9) > (layers[layer] or 0) then
      lint.report("include", where, ('"%s" is to the right of core/%s'):format(name, layer))
    end
  elseif not (to_layer == "base" and reach_base[folder]) then
    lint.report("include", where, ('"%s" is private to %s'):format(name, to_folder))
  end
  return home
end

for _, path in ipairs(files) do
  includes[path] = {}
  local line = 0
  for text in (lint.read(path) .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    local where = path .. ":" .. line
    local public = text:match "^%s*#%s*include%s*<(bezel/[^>]+)>"
    local private = text:match '^%s*#%s*include%s*"([^"]+)"'
    local home = public and check_public(path, where, public) or private and check_private(path, where, private)
    if home then includes[path][#includes[path] + 1] = home end
  end
end

-- Finds cycles in a graph name -> set of names, depth first; each is reported once.
local function check_cycles(graph, what, allowed)
  local state, stack = {}, {}
  local function visit(node)
    state[node] = "open"
    stack[#stack + 1] = node
    local targets = {}
    for target in pairs(graph[node] or {}) do targets[#targets + 1] = target end
    table.sort(targets)
    for _, target in ipairs(targets) do
      if state[target] == "open" then
        local from = #stack
        while stack[from] ~= target do from = from - 1 end
        local is_one_subject = #stack - from + 1 <= allowed
        for i = from, #stack do
          is_one_subject = is_one_subject and stack[i]:match "^(.*)/" == target:match "^(.*)/"
        end
        if not is_one_subject then lint.report("cycle", target, ("%s cycle: %s"):format(what, table.concat(stack, " -> ", from) .. " -> " .. target)) end
      elseif not state[target] then
        visit(target)
      end
    end
    stack[#stack] = nil
    state[node] = "done"
  end
  local names = {}
  for name in pairs(graph) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if not state[name] then visit(name) end
  end
end

local headers, modules = {}, {}
for path, list in pairs(includes) do
  local module = path:gsub("include/bezel/", ""):gsub("%.[ch]$", "")
  modules[module] = modules[module] or {}
  if path:match "%.h$" then headers[path] = headers[path] or {} end
  for _, home in ipairs(list) do
    if path:match "%.h$" then headers[path][home] = true end
    local other = home:gsub("%.[ch]$", "")
    if not home:find("/include/", 1, true) and other ~= module then modules[module][other] = true end
  end
end
check_cycles(headers, "header", 0)
check_cycles(modules, "module", max_circle)
lint.finish "includes"
