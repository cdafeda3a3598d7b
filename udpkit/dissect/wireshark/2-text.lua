-- Text --------------------------------------------------------------------------------------------

local function validUTF8(s)
  local i = s:find("[\128-\255]")
  while i do
    local a, b, c, d = s:byte(i, i + 3)
    local function tail(x) return x and x >= 0x80 and x <= 0xBF end
    local n
    if a >= 0xC2 and a <= 0xDF and tail(b) then
      n = 2
    elseif a >= 0xE0 and a <= 0xEF and tail(b) and tail(c) and
        not (a == 0xE0 and b < 0xA0 or a == 0xED and b > 0x9F) then
      n = 3
    elseif a >= 0xF0 and a <= 0xF4 and tail(b) and tail(c) and tail(d) and
        not (a == 0xF0 and b < 0x90 or a == 0xF4 and b > 0x8F) then
      n = 4
    else
      return false
    end
    i = s:find("[\128-\255]", i + n)
  end
  return true
end

-- What is invisible, as far as it is common: Lua has no table of Unicode.
local invisible = { "[%z\1-\31\127]", "\194[\128-\160]", "\194\173", "\226\128[\128-\143\168-\175]",
  "\226\129[\159-\175]", "\227\128\128", "\238[\128-\191][\128-\191]", "\239[\128-\163][\128-\191]",
  "\239\187\191", "\239\191[\176-\191]" }

local function printable(s)
  for _, pattern in ipairs(invisible) do
    if s:find(pattern) then return false end
  end
  return validUTF8(s)
end

-- quote returns text from the network so that it can be shown in one line.
local function quote(s)
  local more = #s > 80 and "..." or ""
  if more ~= "" then s = s:sub(1, 80):gsub("[\192-\255]?[\128-\191]*$", "") end
  local bad = printable(s) and '["\\]' or '[%z\1-\31\127-\255"\\]'
  return '"' .. s:gsub(bad, function(c)
    return (c == '"' or c == "\\") and "\\" .. c or ("\\x%02x"):format(c:byte())
  end) .. '"' .. more
end

local function parseID(s)
  if #s > 16 or not s:find("^[0-9]+$") or s:find("^0.") then return nil end
  local n = tonumber(s)
  return n <= maxID and n or nil
end

local function isEpoch(s) return #s == 16 and not s:find("[^0-9a-f]") end

local none = ("0"):rep(16)

-- before returns what stands before and after the first separator, or s and nil.
local function before(s, separator)
  local i, j = s:find(separator, 1, true)
  if not i then return s end
  return s:sub(1, i - 1), s:sub(j + 1)
end

local function range(from, to)
  return from == to and ("%.0f"):format(from) or ("%.0f-%.0f"):format(from, to)
end

-- A datagram is read into d: d.kind, d.items, which are {field, offset, length, value or nil, items
-- inside or nil, what to add to the line or nil}, d.info, and d.fault where it is not what it
-- begins as. Only then is it shown.
local function add(items, name, offset, length, value, inside, label)
  items[#items + 1] = { f[name], offset, length, value, inside, label }
end

-- JSON --------------------------------------------------------------------------------------------

-- json reads the object that a status is as strictly as a client does (RFC 8259). It returns the
-- values by key, each {from, to, text of a string}, and where "mac" begins if it comes last; or nil
-- and what is wrong.
local function json(s)
  local at = 1
  local value

  local function space() at = s:find("[^ \n\t\r]", at) or #s + 1 end

  local function take(c)
    space()
    if s:sub(at, at) ~= c then return false end
    at = at + 1
    return true
  end

  local escapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r",
    t = "\t" }

  local function utf8(r)
    if r < 0x80 then return string.char(r) end
    local out, first = "", 0x40
    while r >= first do
      out, r, first = string.char(0x80 + r % 64) .. out, math.floor(r / 64), first / 2
      if first == 0x20 and r < 0x20 then return string.char(0xC0 + r) .. out end
      if first == 0x10 and r < 0x10 then return string.char(0xE0 + r) .. out end
      if first == 0x08 then return string.char(0xF0 + r) .. out end
    end
  end

  local function str()
    if not take('"') then return nil, "no quote where a text begins" end
    local parts = {}
    while true do
      local stop = s:find('["\\%z\1-\31]', at)
      if not stop then return nil, "a text does not end" end
      parts[#parts + 1] = s:sub(at, stop - 1)
      local c = s:sub(stop, stop)
      at = stop + 1
      if c == '"' then return table.concat(parts) end
      if c ~= "\\" then return nil, "a control character in a text" end
      c = s:sub(at, at)
      at = at + 1
      if c == "u" then
        local hex = s:match("^%x%x%x%x", at)
        local r = hex and tonumber(hex, 16)
        at = at + 4
        if r and r >= 0xD800 and r <= 0xDBFF then
          local low = s:match("^\\u(%x%x%x%x)", at)
          low = low and tonumber(low, 16)
          at = at + 6
          r = low and low >= 0xDC00 and low <= 0xDFFF and
              0x10000 + (r - 0xD800) * 1024 + low - 0xDC00 or nil
        elseif r and r >= 0xDC00 and r <= 0xDFFF then
          r = nil
        end
        if not r then return nil, "a \\u escape that names no character" end
        parts[#parts + 1] = utf8(r)
      elseif escapes[c] then
        parts[#parts + 1] = escapes[c]
      else
        return nil, "an unknown escape in a text"
      end
    end
  end

  local function object(depth, each)
    for n = 0, math.huge do
      if n == 0 and take("}") then return true end
      if n > 0 then
        if take("}") then return true end
        if not take(",") then return nil, "no comma between two fields" end
      end
      space()
      local start = at
      local key, fault = str()
      if not key then return nil, fault end
      if not take(":") then return nil, "no colon after a key" end
      space()
      local from = at
      local told
      told, fault = value(depth)
      if fault then return nil, fault end
      fault = each and each(n, key, { from, at - 1, told ~= true and told or nil }, start)
      if fault then return nil, fault end
    end
  end

  function value(depth)
    if depth > 8 then return nil, "nested deeper than 8" end
    space()
    local c = s:sub(at, at)
    if c == '"' then return str() end
    if c == "{" then
      at = at + 1
      return object(depth + 1)
    end
    if c == "[" then
      at = at + 1
      if take("]") then return true end
      repeat
        local _, fault = value(depth + 1)
        if fault then return nil, fault end
        if take("]") then return true end
      until not take(",")
      return nil, "no comma between two values"
    end
    local scalar = s:match("^[^,%]} \n\t\r]*", at)
    at = at + #scalar
    if scalar == "true" or scalar == "false" or scalar == "null" then return true end
    local whole, rest = scalar:match("^%-?([0-9]+)(.*)$")
    if whole and not whole:find("^0.") then
      rest = rest:gsub("^%.[0-9]+", "", 1)
      rest = rest:gsub("^[eE][+-]?[0-9]+", "", 1)
      if rest == "" then return true end
    end
    return nil, "a value that is not JSON"
  end

  local values, mac = {}, nil
  if not validUTF8(s) then return nil, "not valid UTF-8" end
  if not take("{") then return nil, "not a JSON object" end
  local _, fault = object(1, function(n, key, v, start)
    if n == 32 then return "more than 32 keys" end
    if values[key] then return "a key is there twice" end
    values[key] = v
    mac = key == "mac" and start or nil
  end)
  if fault then return nil, fault end
  space()
  if at <= #s then return nil, "something follows the JSON object" end
  return values, mac
end
