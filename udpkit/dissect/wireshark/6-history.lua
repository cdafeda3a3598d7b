-- What a capture shows of a run -------------------------------------------------------------------

local runs, newest, asked, sent, acked, streams, told, current

function udpkit.init() -- when a file is opened
  runs, newest, asked, sent, acked, streams, told, current = {}, {}, {}, {}, {}, {}, {}, {}
end

-- leftOut returns the ids from from up to, and without, stop, less those that have come.
local function leftOut(w, from, stop)
  local come, gaps = {}, {}
  if from >= stop then return gaps end
  for _, slot in pairs(w.seen) do
    if slot.id >= from and slot.id < stop then come[#come + 1] = slot.id end
  end
  table.sort(come)
  for _, id in ipairs(come) do
    if #gaps == maxGaps - 1 then break end
    if id > from then gaps[#gaps + 1] = range(from, id - 1) end
    from = id + 1
  end
  if from < stop then gaps[#gaps + 1] = range(from, stop - 1) end
  return gaps
end

-- observe is the window of a client: see udpkit/window.go for the reasons.
local function observe(w, id, content)
  local place = id % windowSize
  local slot = w.seen[place]
  local known = slot and slot.id == id
  if known and slot.content == content then return "duplicate", {} end
  local reported = w.next and id >= w.first and id < w.told and not known and
      (not slot or slot.id < id)
  local late, gaps = false, {}
  local function goOn() w.next, w.told, w.probe = id + 1, id + 1, nil end

  if not w.next then
    w.first = id
    goOn()
  elseif id >= w.told and (w.epoch or id - w.told <= windowSize) then
    gaps = leftOut(w, w.told, id)
    if id - w.told <= windowSize then goOn() else w.told = id + 1 end
  elseif id >= w.next and id < w.told then
    late = not known
    if id - w.next <= math.min(windowSize, w.told - id) then goOn() end
  elseif id < w.next and w.next - id <= windowSize and (w.epoch or not known) then
    late = reported
  elseif w.probe and w.epoch and id >= w.probe and id - w.probe <= windowSize then
    late = reported
    gaps = leftOut(w, w.probe, math.min(id, w.first))
    w.first = math.min(w.first, w.probe - 1)
    goOn()
  elseif w.probe and not w.epoch and id == w.probe then
    if id - 1 > w.next then gaps = leftOut(w, w.next, id - 1) else w.first = id - 1 end
    goOn()
  else
    late = reported and w.epoch
    w.probe = id + 1
  end
  w.seen[place] = { id = id, content = content }
  return late and "late" or nil, gaps
end

-- history says what became of a datagram, the first time that it is looked at: a list of verdicts,
-- each {name of the expert information, text}, and the frames that it belongs to.
local function history(d, pinfo)
  local h = {}
  local function say(what, words) h[#h + 1] = { what, words } end
  local from = tostring(pinfo.src) .. " " .. pinfo.src_port
  local to = tostring(pinfo.dst) .. " " .. pinfo.dst_port

  if d.message then
    local m = d.message
    local server = from .. " " .. (m.epoch or "")
    local stream = server .. " " .. to
    local w = runs[stream]
    local question
    for i = #(asked[server] or {}), 1, -1 do
      local q = asked[server][i]
      if m.id >= q.from and m.id <= q.to then
        question = q
        break
      end
    end
    local message = ("%s %.0f"):format(server, m.id)
    newest[server] = math.max(newest[server] or 0, m.id)
    sent[message] = sent[message] or { frame = pinfo.number, at = pinfo.rel_ts }
    if not w and not question then
      w = { epoch = m.epoch ~= nil, seen = {} }
      runs[stream] = w
      local address = from .. " " .. to
      if current[address] and current[address] ~= server then say("run", "a new run") end
      current[address] = server
    end
    local verdict, gaps
    if w then verdict, gaps = observe(w, m.id, m.content) end
    if question then
      say("again", "sent again")
      h.asked = question.frame
    end
    if verdict == "duplicate" or verdict == "late" and not question then say(verdict, verdict) end
    for _, gap in ipairs(gaps or {}) do say("gap", "gap " .. gap) end
  elseif d.question then
    local server = to .. " " .. d.question.epoch
    local q = d.question
    q.frame = pinfo.number
    -- Who asks for what is still to come, or more than a server keeps, does not hide what is lost.
    q.to = math.min(q.to, q.from + windowSize - 1, newest[server] or maxID)
    asked[server] = asked[server] or {}
    if #asked[server] == windowSize then table.remove(asked[server], 1) end
    table.insert(asked[server], q)
  elseif d.ack then
    local m = sent[("%s %s %.0f"):format(to, d.ack.epoch or "", d.ack.id)]
    if m then
      h.acknowledges = m.frame
      h.rtt = pinfo.rel_ts - m.at
    end
    local key = ("%s %s %s %.0f %s"):format(from, to, d.ack.epoch or "", d.ack.id, d.ack.client)
    if acked[key] then say("duplicate", "duplicate") end
    acked[key] = true
  elseif d.relay then
    local key = from .. " " .. to .. " " .. d.relay
    local function small(n) return n:higher() < 2 ^ 20 and n:tonumber() or nil end
    if d.welcome then
      streams[key] = { next = small(d.welcome), seen = {} }
    elseif d.lost and streams[key] then
      local last = small(d.lost)
      if last and streams[key].next then
        streams[key].next = math.max(streams[key].next, last + 1)
      end
    elseif d.messages then
      local first = small(d.messages.first)
      local s = streams[key] or { seen = {} }
      streams[key] = s
      if first then
        local again, late = false, false
        local next = s.next or first
        for n = first, first + d.messages.count - 1 do
          if s.seen[n % windowSize] == n then again = true elseif n < next then late = true end
          s.seen[n % windowSize] = n
        end
        if again then say("again", "sent again") elseif late then say("late", "late") end
        if first > next then say("gap", "gap " .. range(next, first - 1)) end
        s.next = math.max(next, first + d.messages.count)
      end
    end
  end
  for _, what in ipairs({ "lost", "refused", "failed", "ended" }) do
    if d[what] then say(what) end
  end
  return h
end
