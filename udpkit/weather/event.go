package weather

import (
	"net/netip"
	"time"
)

// EventKind names what an [Event] reports.
type EventKind string

const (
	// Changed: the settings are others now.
	Changed EventKind = "changed"
	// Failed: those in the file could not be taken, Err says why; the old ones stay.
	Failed EventKind = "failed"
)

// Event is something that a Forwarder reports while it runs.
type Event struct {
	Kind EventKind
	At   time.Time
	// Settings are those in effect.
	Settings Settings
	Err      error
}

// Report is what a Forwarder knows: a snapshot.
type Report struct {
	At      time.Time      `json:"at"`
	Runtime time.Duration  `json:"runtime_ns"`
	Listen  netip.AddrPort `json:"listen"`
	To      netip.AddrPort `json:"to"`
	TCP     bool           `json:"tcp"`
	Seed    uint64         `json:"seed"`
	// Settings are those in effect, and Parted says that nothing arrives just now because of them.
	Settings Settings `json:"settings"`
	Parted   bool     `json:"parted"`
	// Sources is how many are known, or connected; Seen how many there were up to now.
	Sources int    `json:"sources"`
	Seen    uint64 `json:"seen"`
	// Forgotten counts those that had been idle.
	Forgotten uint64 `json:"forgotten"`
	// Refused counts datagrams of a new source, or connections, that there was no room for, no
	// socket, or nobody to connect to; Strangers datagrams that came from elsewhere than To.
	Refused   uint64 `json:"refused"`
	Strangers uint64 `json:"strangers"`
	// Waiting and WaitingBytes are on the way.
	Waiting      int `json:"waiting"`
	WaitingBytes int `json:"waiting_bytes"`
	// There is from the sources to To, Back the other direction.
	There Counts `json:"there"`
	Back  Counts `json:"back"`
	// ReadErrors counts failures to receive.
	ReadErrors uint64 `json:"read_errors"`
	// KernelDropped counts datagrams that a socket's buffer had no room for; known on Linux only.
	// They are in nothing else.
	KernelDropped uint64 `json:"kernel_dropped"`
}

// Kind is its name as an event.
func (Report) Kind() string { return "report" }

func (r *Report) counts(d direction) *Counts {
	if d == there {
		return &r.There
	}
	return &r.Back
}

// Counts is what became of the datagrams of one direction, or over TCP of the pieces of a stream.
// Received and Twice are the sum of Lost, Parted, Full, Delivered, Failed and those on the way;
// over TCP, where what is lost comes later, Lost counts how often that was, and is in no sum.
type Counts struct {
	Received  uint64 `json:"received"`
	Lost      uint64 `json:"lost"`   // by chance
	Parted    uint64 `json:"parted"` // lost by a partition; over TCP held up by it
	Full      uint64 `json:"full"`   // dropped: too many were waiting, or for too long
	Twice     uint64 `json:"twice"`
	Overtaken uint64 `json:"overtaken"` // held back for the next to overtake
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"` // could not be sent
}
