package udpkit

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// Event is something that a Server or a Client reports while it runs. It is one of StartEvent,
// SentEvent, AckEvent, CommandEvent, MessageEvent, GapEvent, TimeoutEvent, EndEvent,
// ForgottenEvent, RefusedEvent, ErrorEvent, ServerSummary and ClientSummary, by value.
type Event interface {
	// Kind is the event's name in a journal, such as "message".
	Kind() string
}

// StartEvent is the first: the socket is open.
type StartEvent struct {
	At       time.Time        `json:"at"`
	ClientID string           `json:"client_id,omitempty"` // the client's
	Listen   netip.AddrPort   `json:"listen"`              // the local address
	Targets  []netip.AddrPort `json:"targets,omitempty"`   // the server's, at this moment
	Receiver Style            `json:"receiver,omitempty"`  // the client's
	Epoch    Epoch            `json:"epoch,omitempty"`     // the server's
	Interval time.Duration    `json:"interval_ns,omitempty"`
	Key      key.Protection   `json:"key,omitempty"`
	// ReadBuffer is the socket's receive buffer in bytes, see ReadBufferSize; 0 if the system does
	// not tell.
	ReadBuffer int `json:"read_buffer,omitempty"`
}

// SentEvent says that the server has broadcast a message.
type SentEvent struct {
	MessageID uint64    `json:"message_id"`
	State     State     `json:"state"`
	Timestamp string    `json:"timestamp"`
	Targets   int       `json:"targets"` // addresses that the system took it for
	Failed    int       `json:"failed"`  // addresses that it refused, see ErrorEvent
	At        time.Time `json:"at"`
}

// AckEvent says that a client has acknowledged a message, for the first time.
type AckEvent struct {
	ClientID  string         `json:"client_id"`
	MessageID uint64         `json:"message_id"`
	RTT       time.Duration  `json:"rtt_ns"` // from the broadcast to the arrival of the acknowledgement
	Client    netip.AddrPort `json:"client"`
	Proved    bool           `json:"proved"` // see ClientInfo.Proved
	At        time.Time      `json:"at"`
}

// CommandEvent says that a holder of the key has changed something from afar, see Control. What
// is only read, or cannot be done, is no event.
type CommandEvent struct {
	Verb     string         `json:"verb"`               // state, interval or stop
	Argument string         `json:"argument,omitempty"` // as it was sent
	From     netip.AddrPort `json:"from"`
	At       time.Time      `json:"at"`
}

// MessageEvent says that the client has received a message that it had not received before.
type MessageEvent struct {
	MessageID  uint64         `json:"message_id"`
	State      State          `json:"state"`
	Timestamp  string         `json:"timestamp"`
	Server     netip.AddrPort `json:"server"`
	ReceivedAt time.Time      `json:"received_at"`
	Epoch      Epoch          `json:"epoch,omitempty"`
	// Latency is the time under way, within Clock.Error, if Clock is known. If not, it is the time
	// of receipt by this machine's clock less the timestamp by the server's: between two machines
	// the difference of their clocks is in it. 0 if the timestamp could not be read.
	Latency time.Duration `json:"latency_ns,omitempty"`
	// Clock is the server's clock as it was known when the message came. Not known is that of a
	// server that does not tell the time, as the original documents', or has not been asked yet.
	Clock ClockOffset `json:"clock,omitzero"`
	// Late marks a message that has counted as missing since a GapEvent before.
	Late bool `json:"late,omitempty"`
	// Repaired marks a message that was missing and came before a GapEvent said so, mostly as the
	// client had asked the server for it: later ones were delivered before it.
	Repaired bool `json:"repaired,omitempty"`
	// Data is the sender's own part, see Message.Data. It may be kept.
	Data json.RawMessage `json:"data,omitempty"`
	// Datagram is what has come, byte for byte. It is the receiver's buffer, valid until OnEvent
	// returns: bytes.Clone keeps it longer. Client.History has none.
	Datagram []byte `json:"-"`
}

// ClockOffset is how far a server's clock is ahead of this machine's, within Error: that holds as
// long as neither is set and they diverge by 50 us a second at the most. The zero value says that
// it is not known; Error is never 0 otherwise.
type ClockOffset struct {
	Ahead time.Duration `json:"ahead_ns"`
	Error time.Duration `json:"error_ns"`
}

// GapEvent says that the ids From to To of a server were left out, and have not come back if the
// server was asked for them; there can be several for one message. A message that comes after all
// is reported as a MessageEvent that is Late. A gap of more than 1,024 ids is taken back if the
// next messages go on before its end, as one with a forged id shows: its ids count as missing no
// more, and those that are lost are in a later GapEvent.
type GapEvent struct {
	Server netip.AddrPort `json:"server"`
	Epoch  Epoch          `json:"epoch,omitempty"`
	From   uint64         `json:"from"`
	To     uint64         `json:"to"`
	At     time.Time      `json:"at"`
}

// TimeoutEvent says that nothing has come of a server's run for longer than expected, see
// ClientConfig.Timeout: what it has sent after LastID, if anything, is lost so far. There is one
// for each silence. Without a server it says that none has been heard since the start.
type TimeoutEvent struct {
	Server  netip.AddrPort `json:"server,omitzero"`
	Epoch   Epoch          `json:"epoch,omitempty"`
	LastID  uint64         `json:"last_id,omitempty"` // the newest that has come
	Elapsed time.Duration  `json:"elapsed_ns"`        // since that message, or the start
	At      time.Time      `json:"at"`
}

// EndEvent says that a server's run has ended. If the server has said so itself, LastID is its last
// message, and what was lost before is in gaps. Else the run has been silent for as long as a
// TimeoutEvent takes, and its host has begun another one: what the first has sent after LastID, if
// anything, is lost.
type EndEvent struct {
	Server netip.AddrPort `json:"server"`
	Epoch  Epoch          `json:"epoch,omitempty"`
	LastID uint64         `json:"last_id"`
	Said   bool           `json:"said"`
	At     time.Time      `json:"at"`
}

// ForgottenEvent says that more servers are heard at once than a client has room for: what is lost
// of these runs is not reported, and what comes of them again is delivered again. It is told at
// once, and then once a minute and in the end with the count since.
type ForgottenEvent struct {
	Runs uint64    `json:"runs"`
	At   time.Time `json:"at"`
}

// RefusedEvent says that datagrams of one source were refused for one reason. It is told at once,
// and then once a minute and in the end with the count since. Of more than 64 sources and reasons a
// minute those of a reason are told together. The summaries have the counts of all.
type RefusedEvent struct {
	From   netip.AddrPort `json:"from,omitzero"` // not valid if there are too many to be told apart
	Reason string         `json:"reason"`        // a short sentence without its end, of a fixed set
	Count  uint64         `json:"count"`         // since the last one of this source and reason
	Err    error          `json:"-"`             // the same; ErrMalformed if it is not of the wire format
	At     time.Time      `json:"at"`
}

// ErrorEvent says that something failed and the work goes on. A failure that repeats is reported
// once, until it ends, and anew if its cause is another.
type ErrorEvent struct {
	Err       error          `json:"-"`
	Text      string         `json:"error"`
	Peer      netip.AddrPort `json:"peer,omitzero"`       // the address it concerns
	Interface string         `json:"interface,omitempty"` // and the interface, of a broadcast
	Ended     bool           `json:"recovered,omitempty"` // it works again; Err is the failure that is over
	At        time.Time      `json:"at"`
}

func (StartEvent) Kind() string     { return "start" }
func (SentEvent) Kind() string      { return "sent" }
func (AckEvent) Kind() string       { return "ack" }
func (CommandEvent) Kind() string   { return "command" }
func (MessageEvent) Kind() string   { return "message" }
func (GapEvent) Kind() string       { return "gap" }
func (TimeoutEvent) Kind() string   { return "timeout" }
func (EndEvent) Kind() string       { return "end" }
func (ForgottenEvent) Kind() string { return "forgotten" }
func (RefusedEvent) Kind() string   { return "refused" }
func (ErrorEvent) Kind() string     { return "error" }
func (ServerSummary) Kind() string  { return "summary" }
func (ClientSummary) Kind() string  { return "summary" }
