-- SPDX-License-Identifier: MIT
-- For `luarocks make` in a checkout: builds the tree and installs the Lua module.
rockspec_format = "3.0"
package = "bezel"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Gemma inside your program: models, tools, agents and a store",
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.4, < 5.5" }
build = {
  type = "command",
  build_command = "make",
  install = { lib = { bezel = "build/bezel.so" } },
}
