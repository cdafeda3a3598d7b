-- Keys --------------------------------------------------------------------------------------------

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function base64(s)
  local out = {}
  for i = 1, #s, 4 do
    local n = 0
    for k = i, i + 3 do
      n = n * 64 + alphabet:find(s:sub(k, k), 1, true) - 1
    end
    out[#out + 1] = string.char(math.floor(n / 65536), math.floor(n / 256) % 256, n % 256)
  end
  return table.concat(out)
end

-- clock returns milliseconds of Unix time, or nil where no clock can be there.
local function clock(b)
  local ms = 0.0 -- an integer of Lua 5.4 would overflow
  for i = 1, 8 do ms = ms * 256 + b:byte(i) end
  return ms < 253402300800000 and ms or nil
end

-- head adds what a token or an envelope begins with, at the offset.
local function head(items, b, offset)
  local session = b:sub(1, 8):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  local ms = clock(b:sub(13, 20))
  add(items, "key.session", offset, 8, session)
  add(items, "key.count", offset + 8, 4)
  if ms then
    add(items, "key.clock", offset + 12, 8, NSTime(math.floor(ms / 1000), ms % 1000 * 1000000))
  end
end

-- signature adds the token, of which b are the bytes.
local function signature(d, b)
  d.protection, d.token, d.signature = "signed", b, {}
  head(d.signature, b, 0)
  add(d.signature, "key.mac", 20, 16)
end

-- unwrap returns the content of a datagram that is signed as text or JSON; s if it is not.
local function unwrap(d, s)
  for before, after in pairs({ [',"mac":"'] = '"}', [" mac "] = "" }) do
    local stop = #s - #after
    local cut = stop - 48 - #before
    local token = s:sub(stop - 47, stop)
    if cut >= 0 and s:sub(cut + 1, stop - 48) == before and s:sub(stop + 1) == after and
        not token:find("[^A-Za-z0-9_-]") then
      signature(d, base64(token))
      return after ~= "" and s or s:sub(1, cut)
    end
  end
  return s
end

local function sealed(d, s, strict)
  if #s < 38 or s:sub(1, 2) ~= "\245\1" then return false end
  local ms = clock(s:sub(15, 22))
  if strict and (not ms or ms < 1500000000000) then return false end -- two bytes are no proof
  d.kind, d.protection, d.items, d.info = "sealed", "sealed", {}, "sealed"
  add(d.items, "length", 0, #s, UInt64(#s))
  head(d.items, s:sub(3, 22), 2)
  if #s > 38 then add(d.items, "key.sealed", 22, #s - 38) end
  add(d.items, "key.mac", #s - 16, 16)
  return true
end

-- read says what a payload is; strict where the port says nothing.
local function read(tvb, strict)
  local s, d = tvb:raw(), { protection = "" }
  if sealed(d, s, strict) then return d end
  local content = unwrap(d, s)
  if status(d, content) or question(d, content, #s) or acknowledgement(d, content) or
      time(d, content) or hello(d, content) or relay(d, tvb, content, #content) then
    return d
  end
  local signed = #content - 36
  if signed > 0 and s:sub(1, 3) == "ur\1" then
    local other = {}
    if relay(other, tvb, content:sub(1, signed), signed) then
      signature(other, content:sub(signed + 1))
      return other
    end
  end
  if strict then return nil end
  if validUTF8(content) then
    d.kind = "text"
    d.items = d.items or {}
    add(d.items, "text", 0, #content, content)
    d.info = d.info or "text " .. quote(content)
  else
    d.kind = "bytes"
    d.items = d.items or {}
    add(d.items, "length", 0, #s, UInt64(#s))
    d.info = d.info or ("%d bytes"):format(#s)
  end
  return d
end
