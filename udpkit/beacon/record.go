package beacon

import (
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Recorder is told each datagram that a beacon receives and sends. A record.File is one.
type Recorder = service.Recorder

// sendTo sends a datagram, and records it.
func (n *network) sendTo(path udp.Path, b []byte) error {
	at := time.Now()
	err := udp.Send(n.send, b, path)
	if err == nil && n.cfg.Record != nil {
		from := service.At(service.AddrOf(n.send.LocalAddr()), path.From)
		n.cfg.Record.Record(service.Recorded{At: at, From: from, To: path.To, Sent: true, Payload: b})
	}
	return err
}

// heard records what the beacon has received, and what it has made of it.
func (b *Beacon) heard(d *udp.Datagram, said string, refused error) {
	if b.cfg.Record == nil {
		return
	}
	if refused != nil {
		said = service.Verdict(refused)
	}
	local := service.At(netip.AddrPortFrom(netip.IPv4Unspecified(), b.cfg.Port), d.To)
	b.cfg.Record.Record(service.Recorded{At: d.Received, From: d.Source, To: local, Payload: d.Payload, Verdict: said})
}
