-- The relay ---------------------------------------------------------------------------------------

local frames = { "hello", "challenge", "welcome", "refuse", "reset", "ping", "pong", "leave", "bye",
  "write", "stored", "failed", "data", "gap", "ack" }

local xor = bit and bit.bxor or bit32 and bit32.bxor or load("local a, b = ... return a ~ b")

local function crc32(s)
  local crc = 0xFFFFFFFF
  for i = 1, #s do
    crc = xor(crc, s:byte(i)) % 2 ^ 32
    for _ = 1, 8 do
      local odd = crc % 2 == 1
      crc = math.floor(crc / 2)
      if odd then crc = xor(crc, 0xEDB88320) % 2 ^ 32 end
    end
  end
  return xor(crc, 0xFFFFFFFF) % 2 ^ 32
end

local zero, one, most = UInt64(0), UInt64(1), UInt64(0xFFFFFFFF, 0xFFFFFFFF)

-- unixTime returns a time in nanoseconds.
local function unixTime(ns)
  local billion = Int64(1000000000)
  local before = ns < Int64(0) -- 1970: rounded down, not to zero
  if before then ns = Int64(-1) - ns end
  local s, rest = (ns / billion):tonumber(), (ns % billion):tonumber()
  if before then return NSTime(-1 - s, 999999999 - rest) end
  return NSTime(s, rest)
end

-- relay reads the first size bytes as a frame, field by field as far as they go, and checks what
-- the relay checks.
local function relay(d, tvb, s, size)
  if size < 4 or s:sub(1, 3) ~= "ur\1" then return false end
  local name = frames[s:byte(4)]
  local items, at, fault, info = {}, 0, nil, ""

  local function fail(why) fault = fault or why end

  -- take returns the place of the next n bytes.
  local function take(n)
    if at + n > size then
      fail("it is too short")
      at = size
      return nil
    end
    at = at + n
    return at - n
  end

  local function num(list, field, n)
    local place = take(n)
    if not place then return n == 8 and zero or 0 end
    local value = n == 8 and tvb(place, n):uint64() or tvb(place, n):uint()
    if field then add(list, field, place, n, n > 4 and value or nil) end
    return value
  end

  local function str(list, field, n, limit)
    local place = take(n)
    if not place then return "" end
    local value = s:sub(place + 1, place + n)
    add(list, field, place, n, value)
    if n > limit or not validUTF8(value) then fail("a text that is too long or not UTF-8") end
    return value
  end

  local function participant(list, field)
    local value = str(list, field, num(list, nil, 1), 24)
    if not value:find("^[A-Za-z][A-Za-z0-9_-]*$") then fail("a name that nobody can have") end
    return value
  end

  local function zeros()
    if s:sub(at + 1, size):find("[^%z]") then fail("something follows it") end
    at = size
  end

  -- group adds an item with items inside, which each reads, and returns what to add to its line.
  local function group(field, each)
    local inside, begun = {}, at
    local label = each(inside)
    add(items, field, begun, at - begun, nil, inside, label)
  end

  at = 4
  local id = num(items, "relay.id", 8)
  if not name then fail("there is no such kind") end
  if size > 1200 then fail("it is too long") end
  if id == zero then fail("the ID is missing") end

  local function place(first, last) -- of a log
    if last == most or first > last + one then fail("the log ends before it begins") end
  end

  if name == "hello" then
    if size ~= 96 then fail("a hello has 96 bytes") end
    num(items, "relay.try", 4)
    local role, from = num(items, "relay.role", 1), num(items, "relay.from", 1)
    local where, log = num(items, "relay.at", 8), num(items, "relay.log", 8)
    local cookie = take(20)
    if cookie then add(items, "relay.cookie", cookie, 20) end
    local proved = cookie and s:sub(cookie + 1, cookie + 20):find("[^%z]")
    local who = participant(items, "relay.name")
    if from == 3 and where == zero or role ~= 1 and role ~= 2 or from > 3 or
        from ~= 3 and role == 1 and (where ~= zero or log ~= zero) or
        role == 2 and (from ~= 0 or log ~= zero) then
      fail("a hello that contradicts itself")
    end
    zeros()
    info = quote(who) .. (role == 2 and " as writer" or " as reader")
    if proved then info = info .. " with cookie" end
  elseif name == "challenge" then
    local cookie = take(20)
    if cookie then add(items, "relay.cookie", cookie, 20) end
  elseif name == "welcome" then
    num(items, "relay.try", 4)
    local next = num(items, "relay.next", 8)
    local first, last = num(items, "relay.first", 8), num(items, "relay.last", 8)
    num(items, "relay.log", 8)
    num(items, "relay.expire_ms", 4)
    local before = at
    local crc = num(items, "relay.crc", 4)
    place(first, last)
    if next == zero then fail("there is no message 0") end
    if not fault and crc ~= crc32(s:sub(1, before)) then fail("its checksum is wrong") end
    local all = first > last and "an empty log" or tostring(first) .. "-" .. tostring(last)
    info = ("next %s of %s"):format(tostring(next), all)
    d.welcome = next
  elseif name == "refuse" then
    local reason = num(items, "relay.reason", 1)
    num(items, "relay.expire_ms", 4)
    if reason == 0 or reason > 4 then fail("a reason that is none") end
    d.refused = true
  elseif name == "pong" or name == "gap" then
    local first, last = num(items, "relay.first", 8), num(items, "relay.last", 8)
    if name == "pong" then
      place(first, last)
    else
      if first == zero or last < first or last == most then fail("no gap") end
      d.lost = last
    end
    info = tostring(first) .. "-" .. tostring(last)
  elseif name == "leave" then
    info = "at " .. tostring(num(items, "relay.done", 8))
  elseif name == "write" or name == "data" then
    local data = name == "data"
    local first, count = num(items, "relay.first", 8), num(items, "relay.count", data and 2 or 1)
    for i = 0, count - 1 do
      if fault then break end
      group("relay.message", function(list)
        local number, label = first + UInt64(i), ""
        add(list, "relay.message.number", at, 0, number)
        if data then
          local begun = take(8)
          if begun then
            add(list, "relay.message.at", begun, 8, unixTime(tvb(begun, 8):int64()))
          end
          label = " " .. quote(participant(list, "relay.message.name"))
        end
        local words = str(list, "relay.message.text", num(list, nil, 2), 1000)
        return (" %s%s: %s"):format(tostring(number), label, quote(words))
      end)
    end
    if first == zero or count == 0 or first + UInt64(count) < first then fail("no messages") end
    if data then zeros() end
    d.messages = { first = first, count = count }
    info = count == 1 and tostring(first) or
        tostring(first) .. "-" .. tostring(first + UInt64(math.max(count, 1) - 1))
  elseif name == "stored" then
    local last, count = num(items, "relay.last", 8), num(items, "relay.runs", 1)
    if count > 64 then fail("too many runs") end
    local stop = one
    for _ = 1, count do
      if fault then break end
      group("relay.run", function(list)
        local number = num(list, "relay.run.number", 8)
        local messages = num(list, "relay.run.count", 2)
        local n, seq = UInt64(messages), num(list, "relay.run.seq", 8)
        if number < stop or messages == 0 or number + n < number or seq + n < seq then
          fail("runs that contradict each other")
        end
        stop = number + n
        return (": %d from %s on are %s on"):format(messages, tostring(number), tostring(seq))
      end)
    end
    if count > 0 and last ~= stop - one then fail("runs that do not end at the last") end
    info = "to " .. tostring(last)
  elseif name == "failed" then
    local first = num(items, "relay.first", 8)
    local why = str(items, "relay.text", num(items, nil, 1), 255)
    if first == zero then fail("there is no message 0") end
    info = tostring(first) .. " " .. quote(why)
    d.failed = true
  elseif name == "ack" then
    local next, done = num(items, "relay.next", 8), num(items, "relay.done", 8)
    local last, window = num(items, "relay.last", 8), num(items, "relay.window", 4)
    local count = num(items, "relay.missing", 1)
    if count > 128 or window > 2 ^ 20 or done > next or next == zero or next - one > last then
      fail("an acknowledgement that contradicts itself")
    end
    local stop = 0
    for _ = 1, count do
      if fault then break end
      group("relay.range", function(list)
        local offset = num(list, "relay.range.offset", 4)
        local missing = num(list, "relay.range.count", 4)
        if offset < stop or missing == 0 or
            UInt64(offset) + UInt64(missing) > last - (next - one) then
          fail("missing ranges that contradict each other")
        end
        stop = offset + missing
        return (": %d from %s on"):format(missing, tostring(next + UInt64(offset)))
      end)
    end
    info = ("next %s window %d"):format(tostring(next), window)
    if count > 0 then info = info .. (" missing %d"):format(count) end
  end
  if at < size then fail("something follows it") end

  name = "relay " .. (name or "frame")
  d.items, d.info = items, name .. (info ~= "" and " " .. info or "")
  d.relay = tostring(id)
  if fault then
    d.fault = name .. ": " .. fault
    return false
  end
  d.kind, d.fault = name, nil
  return true
end
