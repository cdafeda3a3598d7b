package sequence

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// maxRead is how many datagrams of a file are put together with those of the others.
const maxRead = 500

// recording is what one role has recorded, or another program captured.
type recording struct {
	packets []record.Packet  // the first ones
	own     []netip.AddrPort // of its role, which may send and receive at two; none in a capture
	more    int              // datagrams that are left out
}

func (r recording) owns(a netip.AddrPort) bool { return slices.Contains(r.own, a) }

// endsBefore reports whether what was received at that time is left out.
func (r recording) endsBefore(at time.Time) bool {
	return r.more > 0 && r.packets[len(r.packets)-1].At.Before(at)
}

// open reads a file.
func open(name string) (r recording, err error) {
	file, err := os.Open(name)
	if err != nil {
		return recording{}, fmt.Errorf("cannot open the recording: %w", err)
	}
	defer file.Close() // everything is read
	for p, err := range record.Read(file) {
		if err != nil {
			return recording{}, fmt.Errorf("%s: %w", name, err)
		}
		for _, payload := range dissect.Split(p.Payload) {
			if len(r.packets) == maxRead {
				r.more++
				continue
			}
			p.Payload = payload
			r.packets = append(r.packets, p)
			if own := p.To; p.Sent || p.Received {
				if p.Sent {
					own = p.From
				}
				if !r.owns(own) {
					r.own = append(r.own, own)
				}
			}
		}
	}
	return r, nil
}

// openAll reads several files.
func openAll(names []string) (all []recording, err error) {
	if len(names) == 0 {
		return nil, errors.New("there is no recording to draw")
	}
	for _, name := range names {
		r, err := open(name)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
