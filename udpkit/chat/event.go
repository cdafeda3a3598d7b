package chat

import (
	"net/netip"
	"time"
)

// Event is something that a Server or a Client reports while it runs. It is one of StartEvent,
// JoinEvent, NameEvent, MessageEvent, LeaveEvent, RefuseEvent, ErrorEvent, ServerSummary and
// ClientSummary, by value. The texts in it are clean, see Clean.
type Event interface {
	// Kind is the event's name in a journal, such as "message".
	Kind() string
}

// StartEvent is the first: the server listens, or the client is connected.
type StartEvent struct {
	At     time.Time      `json:"at"`
	Local  netip.AddrPort `json:"local"`
	Server netip.AddrPort `json:"server,omitzero"` // the client's
	Name   string         `json:"name,omitempty"`  // that the client has asked for
	Secure bool           `json:"secure,omitempty"`
}

// JoinEvent says that a client has connected.
type JoinEvent struct {
	Client netip.AddrPort `json:"client"`
	At     time.Time      `json:"at"`
}

// NameEvent says that a client has taken a name.
type NameEvent struct {
	Client netip.AddrPort `json:"client"`
	Name   string         `json:"name"`
	Was    string         `json:"was,omitempty"` // its name before
	At     time.Time      `json:"at"`
}

// MessageEvent is a message. To a server it says who sent it: Client is not valid for what the
// operator said. To a client it is a line of the server as it came, sender and all, or a notice.
type MessageEvent struct {
	From   string         `json:"from,omitempty"` // name, or address
	Client netip.AddrPort `json:"client,omitzero"`
	Text   string         `json:"text"`
	At     time.Time      `json:"at"`
}

// LeaveEvent says that a client is gone.
type LeaveEvent struct {
	Client netip.AddrPort `json:"client"`
	Name   string         `json:"name,omitempty"`
	Reason Reason         `json:"reason"`
	At     time.Time      `json:"at"`
}

// RefuseEvent says that a connection was refused.
type RefuseEvent struct {
	Client netip.AddrPort `json:"client"`
	Reason Reason         `json:"reason"`
	At     time.Time      `json:"at"`
}

// ErrorEvent says that something failed and the work goes on. A failure that repeats is reported
// once, until it ends, and anew if its cause is another.
type ErrorEvent struct {
	Err   error     `json:"-"`
	Text  string    `json:"error"`
	Ended bool      `json:"recovered,omitempty"` // it works again; Err is the failure that is over
	At    time.Time `json:"at"`
}

func (StartEvent) Kind() string    { return "start" }
func (JoinEvent) Kind() string     { return "join" }
func (NameEvent) Kind() string     { return "name" }
func (MessageEvent) Kind() string  { return "message" }
func (LeaveEvent) Kind() string    { return "leave" }
func (RefuseEvent) Kind() string   { return "refuse" }
func (ErrorEvent) Kind() string    { return "error" }
func (ServerSummary) Kind() string { return "summary" }
func (ClientSummary) Kind() string { return "summary" }

// Reason says why a client left or was refused.
type Reason string

// The reasons to leave, and the last ones to be refused, as ReasonLost is too.
const (
	ReasonLeft        Reason = "left"
	ReasonSlow        Reason = "did not read what was sent"
	ReasonIdle        Reason = "said nothing for too long"
	ReasonLineTooLong Reason = "sent too long a line"
	ReasonLost        Reason = "connection lost"
	ReasonServerEnded Reason = "the server ended"
	ReasonHasKey      Reason = "speaks TLS, and no key is set here: give --key-file"

	ReasonFull       Reason = "too many clients"
	ReasonSameSource Reason = "too many clients from one address"
	ReasonNoKey      Reason = "has no key"
	ReasonOtherKey   Reason = "has another key"
	ReasonNoProof    Reason = "did not show in time that it has the key"
)

// ServerSummary is a server's counters, and its last event.
type ServerSummary struct {
	Accepted uint64 `json:"accepted"`  // connections that became clients
	Messages uint64 `json:"messages"`  // of clients
	Said     uint64 `json:"said"`      // by the operator
	Lines    uint64 `json:"lines_out"` // sent to clients, notices included
	// Dropped are lines that were not sent since their client was disconnected.
	Dropped uint64 `json:"dropped"`
	// Left are the clients that left, by reason.
	Left map[Reason]uint64 `json:"left,omitempty"`
	// Refused are the connections that did not become clients, by reason.
	Refused       map[Reason]uint64 `json:"refused,omitempty"`
	AcceptErrors  uint64            `json:"accept_errors"`
	EventsDropped uint64            `json:"events_dropped"` // that OnEvent was too slow for
	Runtime       time.Duration     `json:"runtime_ns"`
}

// ClientSummary is a client's counters, and its last event.
type ClientSummary struct {
	Sent     uint64        `json:"sent"`
	Received uint64        `json:"received"` // lines, notices included
	Runtime  time.Duration `json:"runtime_ns"`
}
