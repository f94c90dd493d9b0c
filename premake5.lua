-- SPDX-License-Identifier: MIT
-- The build, read by premake 5 (`premake5 gmake`) and by premake 4 (`premake4 --file=premake5.lua gmake`). The Makefile
-- beside it is only a front: it names or installs what is missing, calls premake, then make.
--
-- Every .c is compiled once, into one archive per row of `folders`. They are joined to libbezel.a, and everything else
-- (shared library, Lua module, command, examples, tests) is linked from that file.
-- Does not: set -march=native or -ffast-math, or switch features by macro (a part is left out with its folder or file).

-- premake 4 knows the same things under older names; flags go through buildoptions because its `flags` differ.
local is_premake4 = workspace == nil
local workspace, filter, removefiles = workspace or solution, filter or configuration, removefiles or excludes

newoption { trigger = "to", value = "FOLDER", description = "where everything that is built goes (default: build)" }
local to = _OPTIONS["to"] or "build"

-- The first line that a command prints, or nil.
local function ask(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local answer = pipe:read "*l"
  pipe:close()
  return answer and answer:match "%S" and answer
end

-- The version is written once, in the public header.
local version = io.open "core/include/bezel/base.h":read "*a":match 'define BEZEL_VERSION_TEXT "(.-)"'
local soversion = version:match "^%d+"

local warnings = { "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wundef",
  "-Wvla", "-Wdouble-promotion", "-Werror" }
-- -ffp-contract=off: clang would fuse a*b+c where gcc in -std=c11 does not, and greedy text must not depend on that.
local always = { "-std=c11", "-fPIC", "-fvisibility=hidden", "-fstack-protector-strong", "-ffp-contract=off", "-g" }
local lua_include = ask "pkg-config --cflags lua5.4" or "-I/usr/include/lua5.4"
local blas = { ask "pkg-config --cflags openblas" } -- the system's cblas.h may be another BLAS's
local lua_libraries = {}
for name in (" " .. (ask "pkg-config --libs lua5.4" or "-llua5.4")):gmatch "%s%-l(%S+)" do table.insert(lua_libraries, name) end

local target = ask((os.getenv "CC" or "cc") .. " -dumpmachine") or ""
local no_x86, no_arm = not target:match "^x86_64", not target:match "^aarch64"
local avx512 = { "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mavx2", "-mfma", "-mf16c" }
local function kernels(level) return "core/compute/kernel_*" .. level .. "*.c" end
local leveled = { kernels "avx2", kernels "avx512", kernels "neon", kernels "dotprod" }

-- In dependency order: a row sees what stands above it. core is several archives because optimisation and instruction set
-- belong to an archive.
local folders = {
  { name = "core", files = { "core/**.c" }, without = { "core/compute/*.c" } },
  { name = "compute", files = { "core/compute/*.c" }, without = leveled, level = "-O3", flags = blas },
  { name = "avx2", files = { kernels "avx2" }, level = "-O3", flags = { "-mavx2", "-mfma", "-mf16c" }, skip = no_x86 },
  { name = "avx512", files = { kernels "avx512" }, level = "-O3", flags = avx512, skip = no_x86 },
  { name = "neon", files = { kernels "neon" }, level = "-O3", skip = no_arm },
  { name = "dotprod", files = { kernels "dotprod" }, level = "-O3", flags = { "-march=armv8.2-a+dotprod" }, skip = no_arm },
  { name = "tools", files = { "tools/*.c", "tools/mcp/*.c" } },
  { name = "agents", files = { "agents/*.c" } },
  { name = "store", files = { "store/*.c" }, flags = { "-I" .. path.getabsolute(to .. "/make") } },
}
local public = { "core/include", "tools/include", "agents/include", "store/include" }
local libraries = { "cjson", "sqlite3", "pcre2-8", "openblas", "curl", "sodium", "utf8proc", "m", "pthread" }
-- Configuration -> its folder below `to`; the release is what is installed.
local configs = { release = "", debug = "/debug", sanitize = "/sanitize" }

-- --- Helpers --------------------------------------------------------------------------------------
-- Calls fn(name, folder, back) for each configuration; `back` leads from the generated makefiles to the folder.
local function each_config(fn)
  for name, folder in pairs(configs) do
    filter(name)
    fn(name, to .. folder, ".." .. folder)
  end
  filter {}
end

-- A project with everything that all have in common. `level` is the optimisation of the release.
local function part(name, kind_name, level, place)
  project(name)
  kind(kind_name)
  language "C"
  location(to .. "/make")
  includedirs(public)
  defines { "_GNU_SOURCE" }
  buildoptions(always)
  buildoptions(warnings)
  if is_premake4 then flags { "Symbols" } else symbols "On" end
  each_config(function(config, folder)
    objdir(folder .. "/obj/" .. name)
    targetdir(folder .. (place or ""))
    buildoptions(config == "release" and { level or "-O2", "-D_FORTIFY_SOURCE=2" } or { "-O1" })
    if config == "sanitize" then
      buildoptions { "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer" }
      linkoptions { "-fsanitize=address,undefined" }
    end
  end)
end

-- A shared object of one whole archive that exports what the version script names.
-- nodelete: OpenBLAS, curl and the worker of an engine do not survive a dlclose.
local function export_only(soname, script, archive)
  linkoptions { "-Wl,-soname," .. soname, "-Wl,--version-script=" .. path.getabsolute(script), "-Wl,-z,nodelete",
    "-Wl,-z,relro", "-Wl,-z,now", "-Wl,--as-needed" }
  each_config(function(config, _, back)
    linkoptions { "-Wl,--whole-archive", back .. "/lib/lib" .. archive .. ".a", "-Wl,--no-whole-archive" }
    if config == "release" then linkoptions { "-Wl,-s" } end -- CONFIG=debug has the symbols
  end)
end

-- A program of one file: FOLDER/NAME.c or FOLDER/NAME_main.c becomes place/NAME.
local function program(prefix, file, place)
  local name = file:match "([%w_]+)%.c$":gsub("_main$", "")
  part(prefix .. name, "ConsoleApp", nil, "/" .. place)
  targetname(name)
  files { file }
end

-- premake 4 names objects by the file alone, and a file's name is unique in the tree anyway.
local function check_unique(paths)
  local seen = {}
  for _, path in ipairs(paths) do
    local name = path:match "[^/]+$"
    if seen[name] then error(("%s and %s have the same name; one must be renamed"):format(seen[name], path)) end
    seen[name] = path
  end
end

-- Files tests/FOLDER/test_*.c, sorted; premake 4 has no * for a folder.
local function suite_files()
  local paths = {}
  for _, folder in ipairs(os.matchdirs "tests/*") do
    if folder ~= "tests/support" then
      for _, path in ipairs(os.matchfiles(folder .. "/test_*.c")) do paths[#paths + 1] = path end
    end
  end
  table.sort(paths)
  return paths
end

-- The suites by their files: tests/core/test_gguf.c -> SUITE(core, gguf). Written only when it changes.
local function write_suites(path, paths)
  local rows = {}
  for _, file in ipairs(paths) do
    rows[#rows + 1] = ("SUITE(%s, %s)\n"):format(file:match "tests/([%w_]+)/test_([%w_]+)%.c$")
  end
  local text = "/* Made by premake5.lua from the names of the files in tests. */\n" .. table.concat(rows)
  local old = io.open(path)
  if not old or old:read "*a" ~= text then
    os.mkdir(to .. "/make")
    assert(io.open(path, "w")):write(text)
  end
end

-- The page of bezel_store_report.
os.mkdir(to .. "/make")
dofile "tests/make/embed.lua" (to .. "/make/report_page.h", os.matchfiles "store/report/report.*")

-- --- The library ----------------------------------------------------------------------------------
workspace "bezel"
configurations { "release", "debug", "sanitize" }
location(to .. "/make")
for _, folder in ipairs { "core", "bindings" } do check_unique(os.matchfiles(folder .. "/**.c")) end

local archives = {}
for _, f in ipairs(folders) do
  if not f.skip then
    part(f.name, "StaticLib", f.level, "/lib")
    files(f.files)
    removefiles(f.without or {})
    includedirs { f.files[1]:match "^%w+", "core" }
    buildoptions(f.flags or {})
    archives[#archives + 1] = f.name
  end
end

-- One archive of all; its own name in lib/, so that no -lbezel can mean the shared one by accident.
part("whole", "StaticLib", nil, "/lib")
links(archives)
each_config(function(_, _, back)
  local add = ""
  for _, name in ipairs(archives) do add = add .. "addlib " .. back .. "/lib/lib" .. name .. ".a\\n" end
  postbuildcommands {
    ("rm -f %s/lib/libwhole.a %s/libbezel.a"):format(back, back),
    ("printf 'create %s/lib/libwhole.a\\n%ssave\\nend\\n' | $(AR) -M"):format(back, add),
    ("ln %s/lib/libwhole.a %s/libbezel.a"):format(back, back),
  }
end)

part("shared", "SharedLib")
targetname "bezel"
targetextension(".so." .. version)
links { "whole", libraries }
export_only("libbezel.so." .. soversion, "core/bezel.map", "whole")
each_config(function(config, _, back)
  if config ~= "sanitize" then linkoptions { "-Wl,--no-undefined" } end
  local link = "cd %s && ln -sf libbezel.so.%s libbezel.so.%s && ln -sf libbezel.so.%s libbezel.so"
  postbuildcommands { link:format(back, version, soversion, soversion) }
end)

-- --- Bindings -------------------------------------------------------------------------------------
part("lua", "StaticLib", nil, "/lib")
targetname "lbezel"
files { "bindings/lua/*.c" }
buildoptions { lua_include }

-- The Lua module holds the library, so that it works wherever it is copied to; Lua itself comes from the host.
part("module", "SharedLib")
targetname "bezel"
targetprefix ""
targetextension ".so"
links { "lua", "whole", libraries }
export_only("bezel.so", "bindings/lua/lbezel.map", "lbezel")

part("command", "ConsoleApp")
targetname "bezel"
files { "bindings/command/*.c" }
buildoptions { lua_include }
links { "lua", "whole", libraries, "edit" }
linkoptions { "-Wl,--as-needed" }
each_config(function(config) if config == "release" then linkoptions { "-Wl,-s" } end end)
links(lua_libraries)

-- --- Examples and tests ---------------------------------------------------------------------------
for _, file in ipairs(os.matchfiles "examples/*.c") do
  program("example_", file, "examples")
  links { "shared" }
  linkoptions { "-Wl,-rpath,'$$ORIGIN/..'" }
end

local test_folders = { "tests", "core", "tools", "agents", "store", to .. "/make" }
part("support", "StaticLib", "-O1", "/lib")
files { "tests/support/*.c" }
includedirs(test_folders)

local suites = suite_files()
check_unique(suites)
write_suites(to .. "/make/suites.h", suites)
part("tests", "ConsoleApp", "-O1", "/tests")
targetname "run"
files { "tests/run.c" }
files(suites)
includedirs(test_folders)
buildoptions { "-Wno-missing-prototypes" } -- suites.h declares the suites, in the runner alone
links { "support", "whole", "check", "subunit", "rt", libraries }

-- Servers and the like, for tests that need another process.
for _, file in ipairs(os.matchfiles "tests/make/*.c") do
  program("test_", file, "tests")
  includedirs(test_folders)
  buildoptions { lua_include }
  links { "support", "lua", "whole" }
  links(libraries)
  links(lua_libraries)
end
