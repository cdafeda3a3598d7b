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

local function dissect(tvb, pinfo, root, strict)
  if tvb:len() == 0 then return 0 end
  local d = read(tvb, strict)
  if not d then return 0 end
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
