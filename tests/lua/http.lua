-- SPDX-License-Identifier: MIT
-- bezel.http against the test server.
local t = ...
local http = require "bezel".http
local near = { allow_private = true, timeout_ms = 5000 }

t.test("get gives status, body and address", function()
  local r = assert(http.get(t.server() .. "/hello", near))
  t.eq(r.status, 200)
  t.eq(r.body, "hello")
  t.eq(r.url, t.server() .. "/hello")
  t.eq(assert(http.get(t.server() .. "/status/404", near)).status, 404)
end)

t.test("request sends method, headers and any bytes", function()
  local r = assert(http.request(t.server() .. "/echo", {
    allow_private = true, method = "PUT", body = "a\0b", headers = { ["X-A"] = "1", ["X-N"] = 5 } }))
  t.match(r.body, "^PUT /echo ")
  t.match(r.body, "X%-A: 1\r\n")
  t.match(r.body, "X%-N: 5\r\n")
  t.match(r.body, "\r\n\r\na\0b$")
end)

t.test("failures are nil, message, code", function()
  t.code("denied", http.get(t.server() .. "/hello"))
  t.code("denied", http.get "file:///etc/passwd")
  t.code("denied", http.get("http://u@127.0.0.1/", near))
  t.code("format", http.get("no url", near))
  t.code("network", http.get("http://127.0.0.1:1/", near))
  t.code("timeout", http.get(t.server() .. "/slow", { allow_private = true, timeout_ms = 100 }))
  t.code("limit", http.get(t.server() .. "/bytes?1001", { allow_private = true, max_size = 1000 }))
  t.code("limit", http.get(t.server() .. "/loop", near))
  t.code("denied", http.get(t.server() .. "/redirect/302?file:///etc/passwd", near))
  t.code("format", http.request(t.server() .. "/echo", { allow_private = true, headers = { A = "b\r\nC: d" } }))
end)

t.test("escape is for query strings", function()
  t.eq(http.escape "São Paulo/&?=\0~", "S%C3%A3o%20Paulo%2F%26%3F%3D%00~")
  t.eq(http.escape "", "")
  t.eq(#http.escape(("\xff"):rep(5000)), 15000)
end)

t.test("misuse raises", function()
  t.raises("string expected", http.get)
  t.raises("string expected", http.get, {})
  t.raises("NUL byte", http.get, "http://127.0.0.1/\0")
  t.raises("use http.request", http.get, "http://127.0.0.1/", { body = "x" })
  t.raises("table of names and values", http.request, "http://127.0.0.1/", { headers = 5 })
  t.raises("names with string values", http.request, "http://127.0.0.1/", { headers = { "A: b" } })
  t.raises("names with string values", http.request, "http://127.0.0.1/", { headers = { A = {} } })
  t.raises("NUL byte", http.request, "http://127.0.0.1/", { headers = { A = "b\0c" } })
  local many = {}
  for i = 1, 65 do many["H" .. i] = "x" end
  t.raises("at most 64", http.request, "http://127.0.0.1/", { headers = many })
end)
