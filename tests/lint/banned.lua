-- SPDX-License-Identifier: MIT
-- What library code never calls: functions that end or talk over the host, that change state of the whole process, that
-- cannot know the size of what they write, that depend on the locale or on hidden state, and the plain allocator (all memory
-- goes through base/alloc.h, so that a host and a test can replace it).
package.path = "tests/lint/?.lua;" .. package.path
local lint = require "lint"

local banned = {
  ["ends or interrupts the host"] = "exit _exit _Exit abort raise kill signal sigaction pthread_kill quick_exit atexit",
  ["prints"] = "printf fprintf vprintf vfprintf puts fputs putchar perror fwrite",
  ["changes the process"] = "setlocale setenv putenv unsetenv chdir umask fork system popen srand srandom openblas_set_num_threads",
  ["does not know its target's size"] = "strcpy strcat sprintf vsprintf gets stpcpy",
  ["has hidden state"] = "strtok rand random localtime gmtime strerror asctime ctime tmpnam gethostbyname",
  ["depends on the locale or hides overflow"] = "strtod strtof atof atoi atol atoll strtold sscanf",
  ["goes past the world's allocator"] = "malloc calloc realloc free strdup strndup alloca aligned_alloc posix_memalign",
}
-- The seams: the one file that may, and what it may. os_process.c ends the children that it started. number.c gives strtod and atoi digits and an exponent only, where no
-- locale matters.
local seams = {
  ["core/base/os_process.c"] = "kill",
  ["core/base/number.c"] = "strtod atoi",
  ["core/base/os_posix.c"] = "malloc calloc realloc free aligned_alloc posix_memalign gmtime_r localtime_r strerror",
}

local reason_of = {}
for reason, names in pairs(banned) do
  for name in names:gmatch "%S+" do reason_of[name] = reason end
end
local free_in = {}
for path, names in pairs(seams) do
  free_in[path] = {}
  for name in names:gmatch "%S+" do free_in[path][name] = true end
end

for _, path in ipairs(lint.files("core tools agents store bindings/lua", "%.[ch]$")) do
  local line = 0
  for text in (lint.code_only(lint.read(path)) .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    for before, name in text:gmatch "([%.>%w_]?)%f[%w_]([%a_][%w_]*)%s*%(" do
      local is_member = before == "." or before == ">"
      if reason_of[name] and not is_member and not (free_in[path] or {})[name] then
        lint.report("banned", path .. ":" .. line, ("%s() %s"):format(name, reason_of[name]), name)
      end
    end
    local word = text:match "%f[%w_](_Thread_local)%f[^%w_]" or text:match "%f[%w_](__thread)%f[^%w_]"
    if word then lint.report("banned", path .. ":" .. line, word .. " is state without an owner", word) end
  end
end
lint.finish "banned functions"
