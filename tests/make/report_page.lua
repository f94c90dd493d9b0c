-- SPDX-License-Identifier: MIT
-- The page of `bezel report` in a real Chromium without a window, for a store of 100,000 requests:
--
--     lua5.4 tests/make/report_page.lua BUILD FOLDER     FOLDER is scratch; prints a line
--
-- It must be drawn within 2 s of the browser's own clock, show what is in the store, hold texts that try to break out as texts,
-- ask the network for nothing, and fit a phone. Exit status 3 when there is no Chromium.
local build, folder = arg[1], arg[2]
package.cpath = build .. "/?.so;" .. package.cpath
local json = require "bezel".json

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  return text, (pipe:close())
end
local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local browser
for _, name in ipairs { "chromium-headless-shell", "chromium", "google-chrome" } do
  if not browser and output("command -v " .. name) ~= "" then browser = name end
end
if not browser then
  io.stderr:write "no Chromium: install the package chromium-headless-shell (98 MB to fetch, 306 MB on the disk)\n"
  os.exit(3)
end

local function fail(format, ...) error(format:format(...), 0) end
local function dump(path, width)
  local text = output(("timeout 60 %s --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir=%s"
    .. " --window-size=%d,900 --dump-dom %s 2>%s"):format(browser, quote(folder .. "/chromium"), width, quote("file://" .. path), quote(folder .. "/chromium.log")))
  if not text:find("data-drawn-ms", 1, true) then fail("the page was not drawn: %s", text:sub(-300)) end
  return text
end

local db, page = folder .. "/report.db", folder .. "/report.html"
local wanted = json.decode(assert(output(("%s/tests/fill_store %s 100000 1764000000000"):format(build, quote(db)))))
local begun = os.time()
assert(os.execute(("%s/bezel report --quiet --store %s --html %s"):format(build, quote(db), quote(page))), "bezel report failed")
local made = os.time() - begun
local source = assert(io.open(page, "rb")):read "a"
if #source > 400000 then fail("%d bytes for 100,000 requests", #source) end
if source:find "https?://%w" and source:find('<[^>]+ src=') then fail "the page names something to fetch" end
local _, scripts = source:gsub("</[sS][cC][rR][iI][pP][tT]", "")
if scripts ~= 2 then fail("%d ends of scripts, 2 are the page's own", scripts) end
if source:find "\u{2028}" then fail "a line separator stands in the data" end

local dom = dump(page, 1240)
local drawn = tonumber(dom:match 'data%-drawn%-ms="(%d+)"')
if drawn > 2000 then fail("drawn after %d ms, at most 2000", drawn) end
local function commas(n) return (tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")) end
local function shows(what, text)
  if not dom:find(text, 1, true) then fail("the page does not show %s, %s", what, text) end
end
shows("the failed requests", commas(wanted.failed) .. " failed")
shows("the share that was answered", ("<b>%.1f %%</b>"):format(100 * (wanted.turns - wanted.failed) / wanted.turns))
shows("the calls of a tool", "get_weather")
shows("the alert", "the success rate is 72 %")
shows("a conversation", "Umbrella for Tokyo?")
shows("the hostile text as text", "&lt;img src=x onerror=")
if dom:find("<img", 1, true) or not dom:find("<title>Bezel report", 1, true) then fail "a text of the store became markup" end
-- what the table beside a chart says must add up to what is in the store
local function column_sum(title, column)
  local body = dom:match('aria%-label="' .. title .. '"><table>.-<tbody>(.-)</tbody>')
  local sum, rows = 0, 0
  for row in body:gmatch "<tr>(.-)</tr>" do
    local i = 0
    for cell in row:gmatch "<td[^>]*>(.-)</td>" do
      i = i + 1
      if i == column then sum, rows = sum + tonumber((cell:gsub(",", ""))), rows + 1 end
    end
  end
  return sum, rows
end
for what, place in pairs { turns = { "Requests", 2 }, failed = { "Requests", 3 }, generated_tokens = { "Tokens", 4 },
  calls = { "Calls", 2 }, failed_calls = { "Calls", 3 } } do
  local sum, rows = column_sum(place[1], place[2])
  if sum ~= wanted[what] then fail("%s: %d in %d rows of the page, %d in the store", what, sum, rows, wanted[what]) end
end
local _, charts = dom:gsub('<svg[^>]+role="img"[^>]+aria%-label="[^"]+%.[^"]+"', "")
if charts < 10 then fail("%d charts with a description, 10 are there", charts) end
local _, tables = dom:gsub("<summary>Table</summary>", "")
if tables ~= charts then fail("%d charts, %d tables", charts, tables) end
local phone = dump(page, 390)
if phone:match 'data%-wide="(%d+)"' ~= "0" then fail "the page is wider than a phone" end
print(("report: %d bytes made in %d s from 100,004 requests, drawn by Chromium in %d ms"):format(#source, made, drawn))
