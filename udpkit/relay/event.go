package relay

import (
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// Event is something that a Server, a Reader or a Writer reports while it runs. It is one of the
// types below, by value. Names are checked; the texts of messages are as they were written: UTF-8,
// and whatever else one can put into a line.
type Event interface {
	// Kind is the event's name in a journal, such as "message".
	Kind() string
}

// StartEvent is the first: the socket is open.
type StartEvent struct {
	At       time.Time      `json:"at"`
	Local    netip.AddrPort `json:"local,omitzero"`     // not valid yet for a client that looks for a server
	Server   string         `json:"server,omitempty"`   // a client's: HOST:PORT, or several, separated by commas
	Role     Role           `json:"role,omitempty"`     // a client's
	Username string         `json:"username,omitempty"` // a client's
}

// LinkEvent says whether a server serves the client. There is one whenever that changes, or the
// reason why not.
type LinkEvent struct {
	Up bool `json:"up"`
	// Server is the one that serves, if there are several or it has a name.
	Server netip.AddrPort `json:"server,omitzero"`
	// Text says why not, and what happens next.
	Text string    `json:"text,omitempty"`
	Next uint64    `json:"next,omitempty"` // a reader's: the message that comes next
	At   time.Time `json:"at"`
}

// MessageEvent is a message for a reader.
type MessageEvent struct {
	Message
	// Last says that no other has come yet, or that it is the last of a batch, see
	// ReaderConfig.Delay and Flush.
	Last bool `json:"-"`
}

// GapEvent tells a reader that messages From to To, both included, are not kept any more and will
// not come.
type GapEvent struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Messages returns how many messages are missing.
func (e GapEvent) Messages() uint64 { return e.To - e.From + 1 }

// LogEvent tells a client that the server has another log than before. To a reader its sequence
// numbers begin anew, and what was not read of the old one is lost. What a writer was told is
// stored is in the old one only, and what was on its way may be in both.
type LogEvent struct {
	Role Role      `json:"role"`           // of the client
	Next uint64    `json:"next,omitempty"` // a reader's: the message that comes next
	At   time.Time `json:"at"`
}

// StoredEvent tells a writer that a message is stored, in the order of writing.
type StoredEvent struct {
	Number uint64        `json:"number"`        // of the message within the writer's run
	Seq    uint64        `json:"seq,omitempty"` // in the log; 0 if it is not kept any more
	Text   string        `json:"text"`
	Took   time.Duration `json:"took_ns"` // since it was given to Send
}

// JoinEvent says that a client has registered with a server.
type JoinEvent struct {
	Role     Role           `json:"role"`
	Username string         `json:"username"`
	Client   netip.AddrPort `json:"client"`
	At       time.Time      `json:"at"`
	Next     uint64         `json:"next,omitempty"` // a reader's: where it goes on
	// Moved says that it was registered already and has another address now.
	Moved bool `json:"moved,omitempty"`
}

// LeaveEvent says that a client is gone.
type LeaveEvent struct {
	Role     Role           `json:"role"`
	Username string         `json:"username"`
	Client   netip.AddrPort `json:"client"`
	Reason   Reason         `json:"reason"`
	At       time.Time      `json:"at"`
}

// RefusedEvent says that datagrams of one source were refused for one reason. It is told at once,
// and then once a minute and in the end with the count since. Of more than 64 sources and reasons a
// minute those of a reason are told together. The Malformed and the Untrusted of the Stats count
// all.
type RefusedEvent struct {
	From   netip.AddrPort `json:"from,omitzero"` // a client's server; not valid if there are too many to be told apart
	Reason string         `json:"reason"`        // a short sentence without its end, of a fixed set
	Count  uint64         `json:"count"`         // since the last one of this source and reason
	Err    error          `json:"-"`             // the same
	At     time.Time      `json:"at"`
}

// ErrorEvent says that something failed and the work goes on. A failure that repeats is reported
// once, until it ends, and anew if its cause is another.
type ErrorEvent struct {
	Err   error     `json:"-"`
	Text  string    `json:"error"`
	What  string    `json:"what"`                // what fails, the same from the beginning to the end
	Ended bool      `json:"recovered,omitempty"` // it works again; Err is the failure that is over
	At    time.Time `json:"at"`
}

func (StartEvent) Kind() string    { return "start" }
func (LinkEvent) Kind() string     { return "link" }
func (MessageEvent) Kind() string  { return "message" }
func (GapEvent) Kind() string      { return "gap" }
func (LogEvent) Kind() string      { return "log" }
func (StoredEvent) Kind() string   { return "stored" }
func (JoinEvent) Kind() string     { return "join" }
func (LeaveEvent) Kind() string    { return "leave" }
func (RefusedEvent) Kind() string  { return "refused" }
func (ErrorEvent) Kind() string    { return "error" }
func (ServerSummary) Kind() string { return "summary" }
func (ReaderSummary) Kind() string { return "summary" }
func (WriterSummary) Kind() string { return "summary" }

// Reason says why a client left or was refused.
type Reason string

// The reasons: two to leave, the others to be refused.
const (
	ReasonLeft    Reason = "left"
	ReasonExpired Reason = "expired" // not heard for ServerConfig.Expire

	ReasonNameTaken  Reason = "name taken"
	ReasonFull       Reason = "too many clients"
	ReasonStore      Reason = "the store fails"
	ReasonSameSource Reason = "too many clients from one address" // ServerConfig.MaxPerAddress
)

// reasons are those of a refuse datagram.
var reasons = [...]Reason{
	relaywire.NameTaken: ReasonNameTaken, relaywire.Full: ReasonFull, relaywire.StoreFails: ReasonStore, relaywire.SameAddress: ReasonSameSource,
}

// ServerStats are a server's counters.
type ServerStats struct {
	Challenged    uint64            `json:"challenged"`         // registrations from an address that was not proved yet
	Registered    uint64            `json:"registered"`         // clients, and clients that came back
	Left          map[Reason]uint64 `json:"left,omitempty"`     // clients
	Refused       map[Reason]uint64 `json:"refused,omitempty"`  // registrations
	Busy          uint64            `json:"busy"`               // registrations dropped since too many were under way; they are tried again
	Malformed     uint64            `json:"malformed"`          // datagrams that are none of the protocol's, or from an address that no host has
	Untrusted     key.Refused       `json:"untrusted,omitzero"` // datagrams that the key has refused
	Unknown       uint64            `json:"unknown"`            // datagrams of clients that are not registered
	Stored        uint64            `json:"stored"`             // messages of writers, once stored
	Duplicates    uint64            `json:"duplicates"`         // messages that came again
	OutOfOrder    uint64            `json:"out_of_order"`       // messages that came too early, or when too many waited; they come again
	NotStored     uint64            `json:"not_stored"`         // messages that the store failed to take; they come again
	Delivered     uint64            `json:"delivered"`          // messages that a reader has, summed over readers
	Gone          uint64            `json:"gone"`               // messages reported in a gap, summed over readers
	Sent          uint64            `json:"sent"`               // datagrams with messages
	Resent        uint64            `json:"resent"`             // such of them as were sent before
	SendErrors    uint64            `json:"send_errors"`        // datagrams that the system did not take
	FetchErrors   uint64            `json:"fetch_errors"`       // readers' fetches from the log that failed and are tried again
	KernelDropped uint64            `json:"kernel_dropped"`     // datagrams that the socket's buffer had no room for; Linux tells
	EventsDropped uint64            `json:"events_dropped"`     // that OnEvent was too slow for
	First         uint64            `json:"first"`              // sequence number of the oldest message that is kept
	Last          uint64            `json:"last"`               // and of the newest
	Readers       int               `json:"readers"`            // registered now
	Writers       int               `json:"writers"`            // registered now
	Cached        int               `json:"cached_bytes"`       // of the newest messages, in memory
	Waiting       int               `json:"waiting_bytes"`      // in memory for readers: older messages, which they share, and lists of what is under way
}

// ServerSummary is a server's last event.
type ServerSummary struct {
	ServerStats
	Runtime time.Duration `json:"runtime_ns"`
}

// ClientInfo describes a registered client.
type ClientInfo struct {
	Role     Role           `json:"role"`
	Username string         `json:"username"`
	Addr     netip.AddrPort `json:"addr"`
	Since    time.Time      `json:"since"`
	Heard    time.Time      `json:"heard"`
	// Messages are those delivered to a reader, or stored of a writer, since it is registered here.
	Messages uint64 `json:"messages"`
	// Lag is how many messages of the log a reader has not acknowledged.
	Lag    uint64        `json:"lag,omitempty"`
	Resent uint64        `json:"resent,omitempty"` // datagrams sent to it again
	RTT    time.Duration `json:"rtt_ns,omitempty"` // to it and back, smoothed
	Window int           `json:"window,omitempty"` // datagrams that may be under way to it
}

// ReaderStats are a reader's counters.
type ReaderStats struct {
	Next          uint64      `json:"next"`               // the message to be delivered next
	Last          uint64      `json:"last"`               // the newest that the server is known to have
	Delivered     uint64      `json:"delivered"`          // messages
	Gaps          uint64      `json:"gaps"`               // GapEvents
	Missing       uint64      `json:"missing"`            // messages in them
	Datagrams     uint64      `json:"datagrams"`          // with messages
	Duplicates    uint64      `json:"duplicates"`         // datagrams that brought nothing new
	Early         uint64      `json:"early"`              // datagrams that came before their turn, and were kept
	Refused       uint64      `json:"refused"`            // datagrams there was no room for, which come again
	Malformed     uint64      `json:"malformed"`          // datagrams that are none of the protocol's
	Untrusted     key.Refused `json:"untrusted,omitzero"` // datagrams that the key has refused
	Registered    uint64      `json:"registered"`         // times that a server took it
	KernelDropped uint64      `json:"kernel_dropped"`     // datagrams that the socket's buffer had no room for; Linux tells
}

// ReaderSummary is a reader's last event.
type ReaderSummary struct {
	ReaderStats
	Runtime time.Duration `json:"runtime_ns"`
}

// WriterStats are a writer's counters.
type WriterStats struct {
	Written    uint64      `json:"written"`            // messages given to Send
	Stored     uint64      `json:"stored"`             // of them
	Pending    uint64      `json:"pending"`            // of them, not known to be stored
	Datagrams  uint64      `json:"datagrams"`          // with messages
	Resent     uint64      `json:"resent"`             // messages sent again
	Malformed  uint64      `json:"malformed"`          // datagrams that are none of the protocol's
	Untrusted  key.Refused `json:"untrusted,omitzero"` // datagrams that the key has refused
	Registered uint64      `json:"registered"`         // times that a server took it
}

// WriterSummary is a writer's last event.
type WriterSummary struct {
	WriterStats
	Runtime time.Duration `json:"runtime_ns"`
}
