package echo

import (
	"net/netip"
	"time"
)

// Kind names what an [Event] reports.
type Kind string

const (
	// Received: the work on a datagram begins.
	Received Kind = "received"
	// Answered: its answer was sent.
	Answered Kind = "answered"
	// Refused: it is not answered, since that could make a loop; Err says why. It is told at once,
	// and then once a minute and in the end with the Count since.
	Refused Kind = "refused"
	// Dropped: the queue is full, or the server is ending.
	Dropped Kind = "dropped"
	// Failed: an answer could not be sent, or nothing could be received; Err says why. Receiving
	// goes on; a failure to receive is reported once, until it ends.
	Failed Kind = "failed"
	// Recovered: datagrams are received again; Err is the failure that is over.
	Recovered Kind = "recovered"
)

// Event is something that a [Server] or a [Responder] reports while it runs.
type Event struct {
	Kind Kind      `json:"event"`
	At   time.Time `json:"at"`
	// Peer is where the datagram came from.
	Peer netip.AddrPort `json:"peer,omitzero"`
	// Payload is what it carried, nil for Refused. It is not escaped: display it through
	// panel.Printable. It may be kept.
	Payload []byte `json:"-"`
	// Took is the time from the receipt to the answer, for Answered.
	Took time.Duration `json:"took_ns,omitempty"`
	// Count is for Refused how many datagrams of Peer were, for this reason, since the last event
	// that said so. Of more than 64 peers and reasons a minute those of a reason are told together,
	// with no Peer.
	Count uint64 `json:"count,omitempty"`
	// Err is the reason, for Refused, Failed and Recovered.
	Err error `json:"-"`
}

// ServerStats is what a [Server] or a [Responder] has counted. When Run has ended, Received is the
// sum of Answered, Refused, Dropped and SendErrors.
type ServerStats struct {
	Received uint64 `json:"received"`
	Answered uint64 `json:"answered"`
	// Refused counts datagrams that are not answered, see the package's documentation.
	Refused uint64 `json:"refused"`
	// Dropped counts those that the queue had no room for, or that were not answered yet when Run
	// ended.
	Dropped uint64 `json:"dropped"`
	// SendErrors counts answers that could not be sent.
	SendErrors uint64 `json:"send_errors"`
	// ReadErrors counts failures to receive.
	ReadErrors uint64 `json:"read_errors"`
	// KernelDropped counts datagrams that the socket's buffer had no room for; known on Linux only,
	// and not in Received.
	KernelDropped uint64 `json:"kernel_dropped"`
}
