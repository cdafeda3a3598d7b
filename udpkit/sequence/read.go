package sequence

import (
	"errors"
	"fmt"
	"io"
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
	name    string // of its role; "" has it be told by what it sends
	packets []record.Packet
	own     []netip.AddrPort // of its role, which may send and receive at two; none in a capture
	last    bool             // of more than maxRead packets the last ones are kept, and some before, else the first ones
	more    int              // datagrams that are left out
}

func (r *recording) owns(a netip.AddrPort) bool { return slices.Contains(r.own, a) }

// leavesOut reports whether what was received at that time is left out.
func (r *recording) leavesOut(at time.Time) bool {
	switch {
	case r.more == 0:
		return false
	case r.last:
		return r.packets[0].At.After(at)
	}
	return r.packets[len(r.packets)-1].At.Before(at)
}

// add appends a packet, of which the recording keeps the payload.
func (r *recording) add(p record.Packet) {
	if !r.last && len(r.packets) == maxRead {
		r.more++
		return
	}
	if len(r.packets) == 2*maxRead { // not each time
		r.more += maxRead
		r.packets = slices.Delete(r.packets, 0, maxRead)
	}
	r.packets = append(r.packets, p)
	own := p.To
	if p.Sent {
		own = p.From
	}
	if (p.Sent || p.Received) && !r.owns(own) && len(r.own) < maxRead {
		r.own = append(r.own, own)
	}
}

// read adds what is read of a file. What it adds is told by changing.
func (r *recording) read(file io.Reader, changing func(add func())) error {
	for p, err := range record.ReadAll(file) {
		if err != nil {
			return err
		}
		if p.TCP != nil {
			changing(func() { r.add(p) })
			continue
		}
		changing(func() {
			for _, payload := range dissect.Split(p.Payload) {
				p.Payload = payload
				r.add(p)
			}
		})
	}
	return nil
}

// open reads a file.
func open(name string) (*recording, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot open the recording: %w", err)
	}
	defer file.Close() // everything is read
	r := new(recording)
	if err := r.read(file, func(add func()) { add() }); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// errNone means that no file was named.
var errNone = errors.New("there is no recording to draw")

// openAll reads several files.
func openAll(names []string) (all []*recording, err error) {
	if len(names) == 0 {
		return nil, errNone
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
