package service

import (
	"net/netip"
	"time"
)

// Recorded is one datagram as a role has seen it.
type Recorded struct {
	// At is when it was received or sent.
	At time.Time
	// From and To are its addresses. The role's own may be unspecified, with its port.
	From, To netip.AddrPort
	// Sent says that the role has sent it, else it has received it.
	Sent bool
	// Payload is as it was on the wire: what was sealed stays sealed. It is the caller's again when
	// the call returns.
	Payload []byte
	// Verdict is what the role made of it, in a few words; "" where there is nothing to say.
	Verdict string
}

// Recorder is told each datagram that a role receives and sends. Its method may be called by
// several goroutines, and must not wait: datagrams would be lost meanwhile.
type Recorder interface{ Record(Recorded) }
