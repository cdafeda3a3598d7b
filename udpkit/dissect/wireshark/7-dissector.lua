-- The dissector -----------------------------------------------------------------------------------

local icmp, icmpv6 = Field.new("icmp.type"), Field.new("icmpv6.type")

local function show(tree, tvb, items)
  for _, item in ipairs(items) do
    local field, offset, length, value, inside = item[1], item[2], item[3], item[4], item[5]
    local at = tvb(offset, length)
    local node
    if type(value) == "string" then value = value:gsub("%z", "\\0") end
    if value ~= nil then
      node = tree:add(field, at, value)
    else
      node = tree:add(field, at)
    end
    if item[6] then node:append_text(item[6]) end
    if inside then show(node, tvb, inside) end
  end
end

local function seconds(s)
  local whole = math.floor(s)
  return NSTime(whole, math.floor((s - whole) * 1e9 + 0.5))
end

-- one shows a datagram. It returns the line for the list of packets, or nil if it is not known.
local function one(tvb, pinfo, root, strict)
  local d = read(tvb, strict)
  if not d then return nil end
  local cut = tvb:len() < tvb:reported_len()
  local key = pinfo.number .. " " .. tvb:offset()
  if not told[key] then
    -- What an ICMP error quotes was not sent again.
    told[key] = (cut or icmp() or icmpv6()) and {} or history(d, pinfo)
  end
  local h = told[key]

  local tree = root:add(udpkit, tvb())
  tree:append_text(", " .. d.info)
  tree:add(f.kind, d.kind):set_generated()
  if d.protection ~= "" then tree:add(f.protection, d.protection):set_generated() end
  show(tree, tvb, d.items)
  if d.token then
    local token = ByteArray.new(d.token, true):tvb("Signature")
    show(tree:add(token(), "Signature (not verified)"), token, d.signature)
  end
  if h.acknowledges then
    tree:add(f.acknowledges, h.acknowledges):set_generated()
    if h.rtt >= 0 then tree:add(f.rtt, seconds(h.rtt)):set_generated() end
  end
  if h.asked then tree:add(f.asked_in, h.asked):set_generated() end

  local said = {}
  for _, verdict in ipairs(h) do
    if verdict[2] then
      said[#said + 1] = verdict[2]
      tree:add_proto_expert_info(e[verdict[1]], verdict[2])
    else
      tree:add_proto_expert_info(e[verdict[1]])
    end
  end
  local info = d.info
  if d.protection == "signed" then info = info .. " (signed)" end
  if #said > 0 then
    local words = table.concat(said, ", ")
    tree:add(f.verdict, words):set_generated()
    info = info .. " [" .. words .. "]"
  end
  if cut then
    tree:add_proto_expert_info(e.cut)
  elseif d.fault and (d.kind == "text" or d.kind == "bytes") then
    tree:add_proto_expert_info(e.malformed, d.fault)
    info = info .. " [malformed: " .. d.fault .. "]"
  end
  return info
end

-- split returns the datagrams of a payload, mostly one: see udpkit/dissect/split.go.
local function split(tvb)
  local s = tvb:raw()
  local sealed = #s >= 38 and s:sub(1, 2) == "\245\1"
  local function isRelay(from, to)
    local part, signed = tvb(from, to - from):tvb(), to - from - 36
    return relay({}, part, s:sub(from + 1, to), to - from) or
        signed > 0 and relay({}, part, s:sub(from + 1, from + signed), signed)
  end
  local function isPart(from, to)
    if sealed then return to - from >= 38 and s:sub(from + 1, from + 10) == s:sub(1, 10) end
    return to - from >= 12 and s:sub(from + 1, from + 3) == "ur\1" and
        s:sub(from + 5, from + 12) == s:sub(5, 12) and isRelay(from, to)
  end
  if not sealed and s:sub(1, 3) ~= "ur\1" then return { tvb } end
  local mark, at = s:sub(1, sealed and 10 or 3), 12
  while true do
    at = s:find(mark, at + 1, true)
    local size = at and at - 1
    if not at or size > math.min(1200, #s - 12) then return { tvb } end
    local parts, count = {}, math.ceil(#s / size)
    while count <= 128 and #parts < count do -- no system takes more
      local from = #parts * size
      local to = math.min(from + size, #s)
      if not isPart(from, to) then break end
      parts[#parts + 1] = tvb(from, to - from):tvb()
    end
    if #parts == count then return parts end
  end
end

local function dissect(tvb, pinfo, root, strict)
  if tvb:len() == 0 then return 0 end
  local parts, infos = split(tvb), {}
  for _, part in ipairs(parts) do infos[#infos + 1] = one(part, pinfo, root, strict) end
  if #infos == 0 then return 0 end
  local info = table.concat(infos, "; ")
  if #parts > 1 then
    info = ("%d datagrams: %s"):format(#parts, info)
    root:add(udpkit, tvb(), #parts .. " datagrams in one, which the sender's system parts later")
      :add_proto_expert_info(e.parted)
  end
  pinfo.cols.protocol = "udpkit"
  pinfo.cols.info = info
  return tvb:len()
end

function udpkit.dissector(tvb, pinfo, root) return dissect(tvb, pinfo, root, false) end

udpkit:register_heuristic("udp", function(tvb, pinfo, root)
  return dissect(tvb, pinfo, root, true) > 0
end)

-- Broadcasting, the beacon, echo server and relay, and the responder.
local ports = "3400,6532,12345,37020"
udpkit.prefs.ports = Pref.range("UDP ports", ports,
  "Whatever is sent from or to these ports is shown, and what is unmistakable on others.", 65535)

local udp = DissectorTable.get("udp.port")
udp:add(ports, udpkit)
udp:add_for_decode_as(udpkit)

function udpkit.prefs_changed()
  if ports == udpkit.prefs.ports then return end
  if ports ~= "" then udp:remove(ports, udpkit) end
  ports = udpkit.prefs.ports
  if ports ~= "" then udp:add(ports, udpkit) end
end
