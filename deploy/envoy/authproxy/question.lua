-- For a gateway on another machine: signs each question (`X-Authproxy-Question`), so that nobody else on the network can ask. README.md says
-- where it goes. The key is that of `server.subrequest_key_file`: 64 hexadecimal digits, readable by Envoy and nobody else.

local KEY_FILE = "/etc/envoy/question.key"

local bit = require("bit")
local band, bnot, bxor, ror, rshift, tobit = bit.band, bit.bnot, bit.bxor, bit.ror, bit.rshift, bit.tobit

-- SHA-256 (FIPS 180-4) and HMAC (RFC 2104), because Envoy gives a script none.
local ROUNDS, BEGINNING = {}, {}
do
  local function fraction(root)
    -- The first 32 bits of the fraction of a root, exactly: a double has 53 bits, and the roots are below 18.
    return math.floor((root - math.floor(root)) * 2 ^ 32)
  end
  local candidate = 2
  while #ROUNDS < 64 do
    local is_prime = true
    for divisor = 2, math.floor(candidate ^ 0.5) do
      if candidate % divisor == 0 then is_prime = false break end
    end
    if is_prime then
      if #BEGINNING < 8 then BEGINNING[#BEGINNING + 1] = fraction(candidate ^ 0.5) end
      local cube = candidate ^ (1 / 3)
      ROUNDS[#ROUNDS + 1] = fraction(cube - (cube * cube * cube - candidate) / (3 * cube * cube))
    end
    candidate = candidate + 1
  end
end

local function four_bytes(word)
  return string.char(band(rshift(word, 24), 255), band(rshift(word, 16), 255), band(rshift(word, 8), 255), band(word, 255))
end

local function sha256(message)
  local padded = message .. "\128" .. string.rep("\0", (55 - #message) % 64) .. "\0\0\0\0" .. four_bytes(#message * 8)
  local state, words = { unpack(BEGINNING) }, {}
  for at = 1, #padded, 64 do
    for n = 1, 16 do
      local one, two, three, four = string.byte(padded, at + n * 4 - 4, at + n * 4 - 1)
      words[n] = tobit(one * 2 ^ 24 + two * 2 ^ 16 + three * 2 ^ 8 + four)
    end
    for n = 17, 64 do
      local early, late = words[n - 15], words[n - 2]
      words[n] = tobit(words[n - 16] + bxor(ror(early, 7), ror(early, 18), rshift(early, 3)) + words[n - 7]
        + bxor(ror(late, 17), ror(late, 19), rshift(late, 10)))
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for n = 1, 64 do
      local first = tobit(h + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + bxor(band(e, f), band(bnot(e), g)) + ROUNDS[n] + words[n])
      local second = tobit(bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + bxor(band(a, b), band(a, c), band(b, c)))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + first), c, b, a, tobit(first + second)
    end
    for n, word in ipairs({ a, b, c, d, e, f, g, h }) do state[n] = tobit(state[n] + word) end
  end
  local digest = ""
  for _, word in ipairs(state) do digest = digest .. four_bytes(word) end
  return digest
end

local opened = assert(io.open(KEY_FILE, "r"), "cannot read " .. KEY_FILE)
local digits = string.match(opened:read("*a"), "^%s*(%x+)%s*$")
opened:close()
assert(digits and #digits == 64, KEY_FILE .. " does not contain 64 hexadecimal digits")
local KEY = string.gsub(digits, "..", function(pair) return string.char(tonumber(pair, 16)) end) .. string.rep("\0", 32)
local function with_each_byte(mask)
  return (string.gsub(KEY, ".", function(byte) return string.char(bxor(string.byte(byte), mask)) end))
end
local INNER, OUTER = with_each_byte(0x36), with_each_byte(0x5c)

-- The values as Envoy puts them into the question: a byte that is no part of UTF-8 becomes an exclamation mark.
local function as_asked(text)
  if not string.find(text, "[\128-\255]") then return text end
  local kept, at = {}, 1
  while at <= #text do
    local one, two, three, four = string.byte(text, at, at + 3)
    local function follows(byte, from, to) return byte and byte >= (from or 0x80) and byte <= (to or 0xbf) end
    local size = 0
    if one < 0x80 then size = 1
    elseif one >= 0xc2 and one <= 0xdf and follows(two) then size = 2
    elseif one >= 0xe0 and one <= 0xef and follows(two, one == 0xe0 and 0xa0, one == 0xed and 0x9f) and follows(three) then size = 3
    elseif one >= 0xf0 and one <= 0xf4 and follows(two, one == 0xf0 and 0x90, one == 0xf4 and 0x8f) and follows(three) and follows(four) then size = 4
    end
    kept[#kept + 1] = size > 0 and string.sub(text, at, at + size - 1) or "!"
    at = at + math.max(size, 1)
  end
  return table.concat(kept)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local time = tostring(os.time())
  local signed = table.concat({
    time, "envoy", headers:get(":method"), headers:get("x-forwarded-proto") or "", headers:get(":authority") or "", headers:get(":path"),
    headers:get("x-forwarded-for") or "", as_asked(headers:get("cookie") or ""),
  }, "\n")
  local digest = string.gsub(sha256(OUTER .. sha256(INNER .. signed)), ".", function(byte) return string.format("%02x", string.byte(byte)) end)
  headers:replace("x-authproxy-question", "t=" .. time .. ";h=" .. digest)
end
