-- Asks authproxy about each request, for `http-request lua.authproxy`. HAProxy 2.6 or newer, with Lua. In `global`:
--
--     setenv AUTHPROXY_GATEWAY unix@/run/authproxy/edge.sock
--     setenv AUTHPROXY_PAGES /etc/haproxy/authproxy/pages.lua
--     lua-load-per-thread /etc/haproxy/authproxy/authproxy.lua
--
-- For a gateway on another machine it is `ipv4@10.0.0.11:8080`; if `AUTHPROXY_QUESTION_KEY_FILE` names a file with the key of
-- `server.subrequest_key_file` (64 hexadecimal digits), each question is signed with it.
--
-- The script writes `allowed` into `txn.authproxy` if the gateway allows the request. A refusal goes to the client as the gateway wrote it. If
-- the gateway does not answer, the client gets a 503: people a page in the look of the settings (`authproxy proxy-pages haproxy`), scripts
-- problem+json.

local GATEWAY = assert(os.getenv("AUTHPROXY_GATEWAY"), "AUTHPROXY_GATEWAY is not set")
local PAGES = dofile(assert(os.getenv("AUTHPROXY_PAGES"), "AUTHPROXY_PAGES is not set"))
local KEY_FILE = os.getenv("AUTHPROXY_QUESTION_KEY_FILE")
local WAIT = 3  -- seconds
local LONGEST = 65536

-- What the gateway decides by. Nothing else of the client is part of the question.
local ASKED = {
    "accept", "accept-language", "authorization", "origin", "referer", "x-requested-with", "purpose", "sec-purpose", "sec-fetch-mode",
    "sec-fetch-dest", "sec-fetch-site", "sec-fetch-user", "access-control-request-method", "destination", "depth",
}
-- All lines of a question, always in this order: the gateway knows like questions again.
local LINES = {
    "x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-for", "x-request-id", "cookie",
    "x-authproxy-question", table.unpack(ASKED),
}
-- What of an answer is for HAProxy. Everything else in an answer that allows is for the portal: the identity, under the names of the settings.
local NOT_FOR_THE_PORTAL = {
    ["cache-control"] = true, ["connection"] = true, ["content-length"] = true, ["content-type"] = true, ["cookie"] = true, ["date"] = true,
    ["host"] = true, ["keep-alive"] = true, ["server"] = true, ["set-cookie"] = true, ["transfer-encoding"] = true, ["vary"] = true,
    ["x-authproxy-cookie"] = true, ["x-authproxy-cookie-mark"] = true, ["x-authproxy-used"] = true, ["x-content-type-options"] = true,
    ["x-request-id"] = true,
}
-- HAProxy frames the answer itself.
local NOT_FOR_THE_CLIENT = { ["connection"] = true, ["content-length"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true }

local function key_in(file)
    local opened = assert(io.open(file, "r"), "cannot read " .. file)
    local digits = opened:read("a"):match("^%s*(%x+)%s*$")
    opened:close()
    assert(digits and #digits == 64, file .. " does not contain 64 hexadecimal digits")
    return (digits:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local KEY = KEY_FILE and key_in(KEY_FILE)

-- In small hexadecimal digits, by HAProxy's own converters.
local function hmac(txn, message)
    return txn.c:hex(txn.c:hmac(message, "sha256", txn.c:base64(KEY))):lower()
end

-- All values of a field, in their order. HAProxy counts them from 0.
local function values_of(fields, name)
    local found, values = fields[name], {}
    if found then
        for n = 0, #found do values[#values + 1] = found[n] end
    end
    return values
end

-- One question on a connection of its own. HAProxy gives a script no connections that it could keep; over a Unix socket a new one is cheap.
-- Nil if the answer is not complete.
local function answer_to(asked)
    local lines = { "GET /.authproxy/auth/haproxy HTTP/1.1", "Host: authproxy", "Connection: close" }
    for _, name in ipairs(LINES) do
        for _, value in ipairs(asked[name] or {}) do
            if value:find("[\r\n%z]") then return nil end
            lines[#lines + 1] = name .. ": " .. value
        end
    end
    local socket = core.tcp()
    socket:settimeout(WAIT)
    if not socket:connect(GATEWAY) then return nil end
    if not socket:send(table.concat(lines, "\r\n") .. "\r\n\r\n") then return nil end
    local status, reason = (socket:receive("*l") or ""):match("^HTTP/1%.1 (%d%d%d) ?([^\r]*)")
    if not status then return nil end
    local headers, size = {}, 0
    while true do
        local line = socket:receive("*l")
        if not line then return nil end
        line = line:gsub("\r$", "")
        if line == "" then break end
        local name, value = line:match("^([^:%s]+):[ \t]*(.-)[ \t]*$")
        size = size + #line
        if not name or size > LONGEST then return nil end
        name = name:lower()
        headers[name] = headers[name] or {}
        table.insert(headers[name], value)
    end
    -- The gateway gives the length of what it writes itself. A body without one could have been cut off.
    local length = tonumber(headers["content-length"] and headers["content-length"][1] or nil)
    if not length or length > LONGEST or headers["transfer-encoding"] then return nil end
    local body = ""
    if length > 0 then body = socket:receive(length) end
    socket:close()
    if not body or #body ~= length then return nil end
    return { status = tonumber(status), reason = reason, headers = headers, body = body }
end

local function question(txn, fields)
    local cookies = values_of(fields, "cookie")
    local asked = {
        ["x-forwarded-method"] = { txn.sf:method() },
        ["x-forwarded-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" },
        ["x-forwarded-host"] = values_of(fields, "host"),
        ["x-forwarded-uri"] = { txn.sf:pathq() },
        ["x-forwarded-for"] = { txn.sf:src() },
        ["x-request-id"] = values_of(fields, "x-request-id"),
        ["cookie"] = #cookies > 0 and { table.concat(cookies, "; ") } or nil,
    }
    for _, name in ipairs(ASKED) do
        local values = values_of(fields, name)
        if #values > 0 then asked[name] = values end
    end
    if KEY then
        local time = tostring(os.time())
        local signed = table.concat({
            time, "haproxy", asked["x-forwarded-method"][1], asked["x-forwarded-proto"][1], asked["x-forwarded-host"][1] or "",
            asked["x-forwarded-uri"][1], asked["x-forwarded-for"][1], asked["cookie"] and asked["cookie"][1] or "",
        }, "\n")
        asked["x-authproxy-question"] = { ("t=%s;h=%s"):format(time, hmac(txn, signed)) }
    end
    return asked
end

-- The cookies that the portal gets: not the gateway's own, and where the settings name cookies of one person, those that the gateway has judged.
local function portal_cookies(cookies, judged)
    local kept = {}
    for cookie in (judged or cookies):gmatch("[^;]+") do
        cookie = cookie:gsub("^%s+", "")
        if cookie ~= "-" and not cookie:lower():find("__host-authproxy", 1, true) then kept[#kept + 1] = cookie end
    end
    return table.concat(kept, "; ")
end

local function allow(txn, fields, answer)
    for name, values in pairs(answer.headers) do
        if not NOT_FOR_THE_PORTAL[name] then
            txn.http:req_del_header(name)
            for _, value in ipairs(values) do txn.http:req_add_header(name, value) end
        end
    end
    -- For the portal's answer: README.md, Cookies of one person.
    local mark = (answer.headers["x-authproxy-cookie-mark"] or {})[1]
    if mark then txn:set_var("txn.authproxy_cookie_mark", mark) end
    -- The token or key of a program was for the gateway.
    if (answer.headers["x-authproxy-used"] or {})[1] == "authorization" then txn.http:req_del_header("authorization") end
    local kept = portal_cookies(table.concat(values_of(fields, "cookie"), "; "), (answer.headers["x-authproxy-cookie"] or {})[1])
    txn.http:req_del_header("cookie")
    if kept ~= "" then txn.http:req_add_header("cookie", kept) end
    -- Where `tune.bufsize` has no room left, HAProxy adds nothing, and does not say so.
    local written = txn.http:req_get_headers()
    for name, values in pairs(answer.headers) do
        if not NOT_FOR_THE_PORTAL[name] and #values_of(written, name) ~= #values then
            txn:done(txn:reply({ status = 431, reason = "Request Header Fields Too Large", headers = { ["cache-control"] = { "no-store" } } }))
        end
    end
    txn:set_var("txn.authproxy", "allowed")
end

local function refuse(txn, answer)
    local headers = {}
    for name, values in pairs(answer.headers) do
        if not NOT_FOR_THE_CLIENT[name] then headers[name] = values end
    end
    txn:done(txn:reply({ status = answer.status, reason = answer.reason, headers = headers, body = answer.body }))
end

-- For the operator: without it a wrong path or group of the socket would leave no trace. Every ten seconds in each thread, because everybody
-- can make HAProxy ask.
local silent_until = {}
local function complain(address)
    local now = core.now().sec
    if now < (silent_until[address] or 0) then return end
    silent_until[address] = now + 10
    core.log(core.err, "authproxy does not answer at " .. address .. ": is it running, and may HAProxy's user open its socket?")
end

local function unavailable(txn, fields, address)
    complain(address)
    local id = values_of(fields, "x-request-id")[1] or ""
    local headers = { ["cache-control"] = { "no-store" }, ["retry-after"] = { "5" }, ["x-content-type-options"] = { "nosniff" } }
    local body
    local mode = values_of(fields, "sec-fetch-mode")[1]
    local accepts_page = table.concat(values_of(fields, "accept"), ","):lower():find("text/html", 1, true)
    if mode == "navigate" or (not mode and accepts_page) then
        local host = (values_of(fields, "host")[1] or ""):lower():gsub(":%d+$", "")
        local language = (values_of(fields, "accept-language")[1] or ""):lower():find("^en") and "en" or "sl"
        local page = PAGES[host .. " " .. language] or PAGES[" " .. language]
        headers["content-type"], headers["content-security-policy"] = { "text/html; charset=utf-8" }, { page.policy }
        body = page.body:gsub("$request_id", id)
    else
        headers["content-type"] = { "application/problem+json; charset=utf-8" }
        body = ('{"type": "about:blank", "title": "Temporarily unavailable", "status": 503, "reason": "unexpected", "request_id": "%s"}\n'):format(id)
    end
    txn:done(txn:reply({ status = 503, headers = headers, body = body }))
end

core.register_action("authproxy", { "http-req" }, function(txn)
    local fields = txn.http:req_get_headers()
    local answer = answer_to(question(txn, fields))
    if not answer or answer.status < 200 then
        unavailable(txn, fields, GATEWAY)
    elseif answer.status == 200 then
        allow(txn, fields, answer)
    else
        refuse(txn, answer)
    end
end, 0)

-- For requests that go to the gateway itself, at this address: ends them with the same page while it is away.
core.register_action("authproxy_is_there", { "http-req" }, function(txn, address)
    local socket = core.tcp()
    socket:settimeout(WAIT)
    local is_there = socket:connect(address)
    socket:close()
    if not is_there then unavailable(txn, txn.http:req_get_headers(), address) end
end, 1)
