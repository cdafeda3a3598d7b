-- The datagrams of udpkit, for Wireshark and tshark 4.0 or later.
--
--   udpkit dissector > ~/.local/lib/wireshark/plugins/udpkit.lua
--   tshark -X lua_script:udpkit.lua -r today.pcapng
--
-- It knows the ports that the programs have unless told otherwise (preference udpkit.ports), what
-- is unmistakable on any other, and the rest by Decode As. What one capture shows of a run is told
-- as a client would tell it: gaps, duplicates, what is late, and what was sent again. Nothing is
-- verified, for which the key would be needed.

local udpkit = Proto("udpkit", "udpkit")

local maxID = 2 ^ 53 - 1
local windowSize = 1024 -- messages back, in which a duplicate is recognised
local maxGaps = 256     -- that one message can show

-- Fields ------------------------------------------------------------------------------------------

local f = {}

local function text(name, title) f[name] = ProtoField.string("udpkit." .. name, title) end
local function number(name, title) f[name] = ProtoField.uint64("udpkit." .. name, title) end
local function bool(name, title) f[name] = ProtoField.bool("udpkit." .. name, title) end
local function bytes(name, title) f[name] = ProtoField.bytes("udpkit." .. name, title) end
local function when(name, title)
  f[name] = ProtoField.absolute_time("udpkit." .. name, title, base.UTC)
end

text("kind", "Kind")
text("protection", "Protection")
text("timestamp", "Timestamp")
text("state", "State")
number("message_id", "Message ID")
text("epoch", "Epoch (run of the server)")
number("interval_ms", "Interval (ms)")
bool("repair", "Sends again if asked")
bool("clock", "Tells the time if asked")
text("data", "Data")
bool("end", "Last message of the run")
text("client_id", "Client ID")
number("from", "Misses from")
number("to", "Misses to")
text("time_id", "Question for the time")
text("received", "Received")
text("sent", "Sent")
text("text", "Text")
number("length", "Length")
text("beacon.name", "Name")
text("beacon.id", "ID (run of the beacon)")

text("key.session", "Session")
f["key.count"] = ProtoField.uint32("udpkit.key.count", "Count")
when("key.clock", "Sender's clock")
bytes("key.mac", "MAC (not verified)")
bytes("key.sealed", "Encrypted content")

f["relay.id"] = ProtoField.uint64("udpkit.relay.id", "Client's ID", base.HEX)
number("relay.try", "Try")
f["relay.role"] = ProtoField.uint8("udpkit.relay.role", "Role", base.DEC, { "reader", "writer" })
f["relay.from"] = ProtoField.uint8("udpkit.relay.from", "Begins at", base.DEC,
  { [0] = "last", "start", "now", "at" })
number("relay.at", "Place")
number("relay.log", "Log")
bytes("relay.cookie", "Cookie")
text("relay.name", "Name")
number("relay.next", "Next")
number("relay.first", "First")
number("relay.last", "Last")
number("relay.expire_ms", "Expire (ms)")
f["relay.crc"] = ProtoField.uint32("udpkit.relay.crc", "CRC-32", base.HEX)
f["relay.reason"] = ProtoField.uint8("udpkit.relay.reason", "Reason", base.DEC,
  { "the name is taken", "the server is full", "the store fails",
    "another client has the address" })
number("relay.done", "Delivered up to")
number("relay.window", "Window")
number("relay.count", "Messages")
number("relay.runs", "Runs")
number("relay.missing", "Missing ranges")
text("relay.text", "Text")
f["relay.message"] = ProtoField.none("udpkit.relay.message", "Message")
number("relay.message.number", "Number")
when("relay.message.at", "Time")
text("relay.message.name", "Name")
text("relay.message.text", "Text")
f["relay.run"] = ProtoField.none("udpkit.relay.run", "Run")
number("relay.run.number", "First number")
number("relay.run.count", "Messages")
number("relay.run.seq", "Sequence number (0: not kept any more)")
f["relay.range"] = ProtoField.none("udpkit.relay.range", "Missing")
number("relay.range.offset", "Offset after next")
number("relay.range.count", "Messages")

text("verdict", "Verdict")
f.acknowledges = ProtoField.framenum("udpkit.acknowledges", "Acknowledges", base.NONE,
  frametype.ACK)
f.rtt = ProtoField.relative_time("udpkit.rtt", "Time since it was sent")
f.asked_in = ProtoField.framenum("udpkit.asked_in", "Asked for in", base.NONE, frametype.REQUEST)
udpkit.fields = f

local e = {}
local function note(name, title, group, severity)
  e[name] = ProtoExpert.new("udpkit.expert." .. name, title, expert.group[group],
    expert.severity[severity])
end
note("gap", "messages are missing", "SEQUENCE", "WARN")
note("duplicate", "it has come before", "SEQUENCE", "NOTE")
note("late", "it comes after a later one", "SEQUENCE", "NOTE")
note("again", "it was sent again", "SEQUENCE", "NOTE")
note("run", "the sender has begun anew", "SEQUENCE", "CHAT")
note("ended", "it is the last of a run", "SEQUENCE", "CHAT")
note("lost", "messages are not kept any more", "SEQUENCE", "WARN")
note("refused", "the relay does not take the client", "RESPONSE_CODE", "WARN")
note("failed", "the relay cannot store", "RESPONSE_CODE", "ERROR")
note("parted", "the capture is from before the sender's system has parted it", "PROTOCOL", "NOTE")
note("cut", "the capture has only a part", "UNDECODED", "NOTE")
note("malformed", "it is not what it begins as", "MALFORMED", "ERROR")
udpkit.experts = e
