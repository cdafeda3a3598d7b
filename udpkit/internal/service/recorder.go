package service

import (
	"net/netip"
	"time"
)

// Recorded is one datagram, or one segment of a connection, as a role has seen it.
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
	// TCP has Payload be a segment of a connection, see [RecordConn]; nil for a datagram.
	TCP *Segment
	// Verdict is what the role made of it, in a few words; "" where there is nothing to say.
	Verdict string
}

// Verdict returns what is said of a datagram that was refused; "" for nil.
func Verdict(refused error) string {
	if refused == nil {
		return ""
	}
	return "refused: " + refused.Error()
}

// At returns an address with another IP address, if that is known.
func At(local netip.AddrPort, known netip.Addr) netip.AddrPort {
	if known.IsValid() {
		return netip.AddrPortFrom(known, local.Port())
	}
	return local
}

// Recorder is told each datagram that a role receives and sends. Its method may be called by
// several goroutines, and must not wait: datagrams would be lost meanwhile.
type Recorder interface{ Record(Recorded) }
