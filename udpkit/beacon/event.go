package beacon

import (
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// Event is something that a Beacon reports while it runs: one of StartEvent, PeerEvent,
// RefusedEvent, ErrorEvent and Stats, by value.
type Event interface {
	// Kind is the event's name in a journal, such as "appeared".
	Kind() string
}

// StartEvent is the first.
type StartEvent struct {
	At       time.Time        `json:"at"`
	Name     string           `json:"name"`
	ID       ID               `json:"id"`
	Port     uint16           `json:"port"`              // that it listens on
	Group    netip.Addr       `json:"group,omitzero"`    // the multicast group, if any
	Targets  []netip.AddrPort `json:"targets,omitempty"` // at this moment
	Interval time.Duration    `json:"interval_ns"`
	Expiry   time.Duration    `json:"expiry_ns"`
	Key      key.Protection   `json:"key,omitempty"`
	Silent   bool             `json:"silent,omitempty"` // it sends nothing
}

// Change is what has happened to a peer.
type Change string

// The changes.
const (
	Appeared Change = "appeared" // it is heard for the first time
	Renamed  Change = "renamed"  // it has another name now
	Left     Change = "left"     // it has said goodbye
	Expired  Change = "expired"  // it has not been heard for Config.Expiry
)

// PeerEvent says that the table has changed.
type PeerEvent struct {
	Change Change    `json:"-"`
	Peer             // as it is now, or was at last
	Was    string    `json:"was,omitempty"` // the name before Renamed
	At     time.Time `json:"at"`
}

// RefusedEvent says that datagrams of one host were refused for one reason. It is told at once, and
// then once a minute and in the end with the count since. Of more than 64 hosts and reasons a
// minute those of a reason are told together. Stats has the counts of all.
type RefusedEvent struct {
	From   netip.AddrPort `json:"from,omitzero"` // the last one; not valid if there are too many to be told apart
	Reason string         `json:"reason"`        // a short sentence without its end, of a fixed set
	Count  uint64         `json:"count"`         // since the last one of this host and reason
	Err    error          `json:"-"`             // the same; ErrMalformed if it is not of the wire format
	At     time.Time      `json:"at"`
}

// ErrorEvent says that something failed and the work goes on. A failure that repeats is reported
// once, until it ends, and anew if its cause is another.
type ErrorEvent struct {
	Err       error          `json:"-"`
	Text      string         `json:"error"`
	Target    netip.AddrPort `json:"target,omitzero"`     // the address it concerns; none if it is about receiving
	Interface string         `json:"interface,omitempty"` // and the interface, of a broadcast or multicast
	Ended     bool           `json:"recovered,omitempty"` // it works again; Err is the failure that is over
	At        time.Time      `json:"at"`
}

// Stats counts what a beacon has done. It is also the last event.
type Stats struct {
	Runtime       time.Duration `json:"runtime_ns"`
	Sent          uint64        `json:"sent"`           // HELLOs, one an interval however many targets it has
	SendErrors    uint64        `json:"send_errors"`    // targets that the system refused
	ReadErrors    uint64        `json:"read_errors"`    // failures to receive
	Heard         uint64        `json:"heard"`          // well-formed datagrams of others
	Own           uint64        `json:"own"`            // of this beacon itself, skipped
	Malformed     uint64        `json:"malformed"`      // datagrams that were not of the wire format
	Refused       uint64        `json:"refused"`        // HELLOs of new peers for which the table had no room
	Ignored       uint64        `json:"ignored"`        // goodbyes of nobody in the table, or from another address
	Appeared      uint64        `json:"appeared"`       // peers that came,
	Left          uint64        `json:"left"`           // said goodbye,
	Expired       uint64        `json:"expired"`        // or fell silent
	Peers         int           `json:"peers"`          // that are there now
	KernelDropped uint64        `json:"kernel_dropped"` // datagrams that the receive buffer had no room for; Linux tells
	EventsDropped uint64        `json:"events_dropped"` // since Config.OnEvent was slow
	// Untrusted counts the datagrams that were not believed since no holder of Config.Key has sent
	// them, or they came before, or too late.
	Untrusted key.Refused `json:"untrusted,omitzero"`
}

func (StartEvent) Kind() string   { return "start" }
func (e PeerEvent) Kind() string  { return string(e.Change) }
func (RefusedEvent) Kind() string { return "refused" }
func (ErrorEvent) Kind() string   { return "error" }
func (Stats) Kind() string        { return "summary" }
