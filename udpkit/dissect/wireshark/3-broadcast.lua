-- Broadcasting and the beacon ---------------------------------------------------------------------

local function status(d, s)
  if not s:find("^[ \n\t\r]*{") then return false end
  local function fails(fault)
    if s:find('"message_id"', 1, true) then d.fault = "status: " .. fault end
    return false
  end
  if #s > 1024 then return fails("longer than 1,024 bytes") end
  local values, mac = json(s)
  if not values then return fails(mac) end
  local function raw(key)
    local v = values[key]
    return v and s:sub(v[1], v[2])
  end
  local function integer(key)
    local r = raw(key)
    return r and parseID((r:gsub("%.0+$", "")))
  end
  for _, key in ipairs({ "timestamp", "state" }) do
    local t = values[key] and values[key][3]
    if not t or t == "" or #t > 64 then return fails(key .. " is not a text of 1 to 64 bytes") end
  end
  local id, interval = integer("message_id"), integer("interval_ms")
  if not id then return fails("message_id is not an integer from 0 to 2^53-1") end
  if interval and (interval == 0 or interval > 365 * 86400000) then interval = nil end
  local epoch = values.epoch and values.epoch[3]
  if epoch and (not isEpoch(epoch) or epoch == none) then epoch = nil end

  local items = {}
  local function put(key, told)
    if told then add(items, key, values[key][1] - 1, values[key][2] - values[key][1] + 1, told) end
  end
  put("timestamp", values.timestamp[3])
  put("state", values.state[3])
  put("message_id", UInt64(("%.0f"):format(id)))
  put("epoch", epoch)
  put("interval_ms", interval and UInt64(("%.0f"):format(interval)))
  put("repair", raw("repair") == "true")
  put("clock", raw("clock") == "true")
  put("data", raw("data"))
  put("end", raw("end") == "true")
  d.kind, d.items = "status", items
  d.info = ("status %.0f %s"):format(id, quote(values.state[3]))
  d.message = { id = id, epoch = epoch, content = mac and s:sub(1, mac - 1) or s }
  d.ended = raw("end") == "true"
  return true
end

local function question(d, s, size)
  if size ~= 342 then return false end
  s = s:gsub(" +$", "")
  local client, rest = s:match("^Client (.+) misses messages (.*)$")
  if not client or #client > 64 or not printable(client) then return false end
  local ids, epoch = before(rest, " epoch ")
  local from, to = before(ids, " to ")
  local first, last = parseID(from), to and parseID(to)
  if not epoch or not isEpoch(epoch) or not first or not last or last < first then return false end
  d.kind, d.items = "repair request", {}
  add(d.items, "client_id", 7, #client, client)
  local at = 7 + #client + #" misses messages "
  add(d.items, "from", at, #from, UInt64(("%.0f"):format(first)))
  at = at + #from + #" to "
  add(d.items, "to", at, #to, UInt64(("%.0f"):format(last)))
  if epoch ~= none then add(d.items, "epoch", at + #to + #" epoch ", 16, epoch) end
  d.info = ("repair request of %s for %s"):format(quote(client), range(first, last))
  d.question = { from = first, to = last, epoch = epoch }
  return true
end

local function acknowledgement(d, s)
  if #s > 256 then return false end
  s = s:gsub("\n$", ""):gsub("\r$", "")
  local client, rest = s:match("^Client (.+) received message (.*)$")
  if not client then return false end
  local number, epoch = before(rest, " epoch ")
  local id, clock = parseID(number), nil
  if epoch then epoch, clock = before(epoch, " clock ") end
  if #client > 64 or not printable(client) then
    d.fault = "acknowledgement: the client id is not 1 to 64 bytes of printable text"
  elseif not id then
    d.fault = "acknowledgement: the message id is not an integer from 0 to 2^53-1"
  elseif epoch and (not isEpoch(epoch) or epoch == none) then
    d.fault = "acknowledgement: epoch is not 16 hexadecimal digits"
  elseif clock and (not isEpoch(clock) or clock == none) then
    d.fault = "acknowledgement: clock is not 16 hexadecimal digits"
  else
    d.kind, d.items = "acknowledgement", {}
    add(d.items, "client_id", 7, #client, client)
    local at = 7 + #client + #" received message "
    add(d.items, "message_id", at, #number, UInt64(("%.0f"):format(id)))
    if epoch then add(d.items, "epoch", at + #number + #" epoch ", 16, epoch) end
    if clock then add(d.items, "time_id", at + #number + #" epoch " + 16 + #" clock ", 16, clock) end
    d.info = ("acknowledgement of %.0f by %s"):format(id, quote(client))
    d.ack = { id = id, epoch = epoch, client = client }
    return true
  end
  return false
end

-- nanoseconds tells a time, given as nanoseconds of Unix time in decimal digits.
local function nanoseconds(s)
  local max = "9223372036854775807"
  if not s or not s:find("^%d+$") or #s > #max or #s == #max and s > max or #s > 1 and s:sub(1, 1) == "0" then
    return nil
  end
  s = ("0"):rep(10 - #s) .. s
  local part = s:sub(-9):gsub("0+$", "")
  return os.date("!%Y-%m-%dT%H:%M:%S", tonumber(s:sub(1, -10))) .. (part ~= "" and "." .. part or "") .. "Z"
end

local function time(d, s)
  local number, times = before(s, " ")
  if number ~= "Time" or not times then return false end
  number, times = before(times, " ")
  local received, sent = before(times or "", " ")
  local came, left = nanoseconds(received), nanoseconds(sent)
  if not isEpoch(number) or not came or not left then return false end
  d.kind, d.items, d.info = "time", {}, "time"
  add(d.items, "time_id", 5, 16, number)
  add(d.items, "received", 22, #received, came)
  add(d.items, "sent", 23 + #received, #sent, left)
  return true
end

local function hello(d, s)
  local prefix = s:match("^HELLO|") or s:match("^BYE|")
  if not prefix then return false end
  local bye = prefix == "BYE|"
  if #s > 6 + 64 + 1 + 16 + 2 then
    d.fault = "longer than a HELLO can be"
    return false
  end
  s = s:gsub("\n$", ""):gsub("\r$", "")
  local name, id = before(s:sub(#prefix + 1), "|")
  if id and (not isEpoch(id) or id == none) then
    d.fault = "the id is not 16 hexadecimal digits in lower case"
  elseif bye and not id then
    d.fault = "a goodbye needs an id"
  elseif not (name == "" and not id) and (name == "" or #name > 64 or not printable(name)) then
    d.fault = "the name is not 1 to 64 bytes of printable text"
  else
    d.kind, d.items = bye and "bye" or "hello", {}
    add(d.items, "beacon.name", #prefix, #name, name)
    if id then add(d.items, "beacon.id", #prefix + #name + 1, 16, id) end
    d.info = d.kind .. " " .. quote(name)
    d.ended = bye
    return true
  end
  return false
end
