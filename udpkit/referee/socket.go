package referee

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// socket is one of the other side's, with the network between it and the program.
type socket struct {
	t           *trial
	name        string
	conn        *net.UDPConn
	address     netip.AddrPort
	dice        sync.Mutex
	there, back *rand.Rand // guarded by dice
	closed      bool       // guarded by t.mu
	// answer is called for each datagram that arrives, in the goroutine that reads: nil for none.
	answer func(payload []byte, from netip.AddrPort)
}

// open opens a socket at an address. Its dice are its own, and so is its name.
func (t *trial) open(name string, at netip.AddrPort, answer func(s *socket, payload []byte, from netip.AddrPort)) (*socket, error) {
	conn, err := bind(at, func() (*net.UDPConn, error) { return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)) })
	if err != nil {
		return nil, err
	}
	n := uint64(len(t.sockets))
	s := &socket{t: t, name: name, conn: conn, address: conn.LocalAddr().(*net.UDPAddr).AddrPort(),
		there: rand.New(rand.NewPCG(t.seed, 2*n+1)), back: rand.New(rand.NewPCG(t.seed, 2*n+2))}
	s.answer = func(payload []byte, from netip.AddrPort) {
		if answer != nil {
			answer(s, payload, from)
		}
	}
	t.sockets = append(t.sockets, s)
	t.running.Go(s.read)
	return s, nil
}

// bind opens something at an address. A socket that was closed just now may be open for a moment
// yet, in a child process of this one that is about to run its program.
func bind[T any](at netip.AddrPort, open func() (T, error)) (T, error) {
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		opened, err := open()
		if errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end) {
			continue
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("another program uses port %d: end it, or give the program's port as {port}: %w", at.Port(), err)
		}
		return opened, err
	}
}

// loopback opens a socket at a free port.
func (t *trial) loopback(name string) (*socket, error) {
	return t.open(name, netip.MustParseAddrPort("127.0.0.1:0"), nil)
}

func (s *socket) close() error {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.conn.Close()
}

// overtaking is how much later a datagram comes that others overtake.
const overtaking = 50 * time.Millisecond

// fate throws the dice of a direction.
func (s *socket) fate(dice *rand.Rand) weather.Fate {
	s.dice.Lock()
	f := s.t.cfg.Weather.Fate(dice)
	s.dice.Unlock()
	s.t.mu.Lock()
	f.Lost = f.Lost || s.t.parted
	s.t.mu.Unlock()
	if f.Overtaken {
		for i := range f.Delays {
			f.Delays[i] += overtaking
		}
	}
	return f
}

// copies returns how many arrive of a datagram that is not lost.
func copies(f weather.Fate) int {
	if f.Twice {
		return 2
	}
	return 1
}

// read logs what comes, and has it answered as often as the network delivers it.
func (s *socket) read() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // such as ECONNREFUSED, where the system tells that
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !here(from.Addr()) {
			continue
		}
		payload := bytes.Clone(b[:n])
		d := datagram{socket: s, from: from, to: s.address, payload: payload}
		fate := s.fate(s.back)
		d.lost, d.late = fate.Lost, fate.Overtaken
		s.t.add(d)
		if d.lost {
			continue
		}
		for i := range copies(fate) {
			s.later(fate.Delays[i], func() { s.answer(payload, d.from) })
		}
	}
}

// here reports whether an address is one of this machine. What comes from others is not the
// program's, and they are not answered.
func here(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(of net.Addr) bool {
		p, err := netip.ParsePrefix(of.String())
		return err == nil && p.Addr() == a
	})
}

// later does something after a while, if the round goes on.
func (s *socket) later(after time.Duration, do func()) {
	if after <= 0 {
		do()
		return
	}
	s.t.note(func() { s.t.pending++ })
	s.t.running.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
			do()
		case <-s.t.ctx.Done():
		}
		s.t.note(func() { s.t.pending-- })
	})
}

// add appends to the log and returns the number of the datagram; 0 if there is no room.
func (t *trial) add(d datagram) (number int) {
	t.note(func() {
		if len(t.log) == maxDatagrams || t.bytes >= maxBytes {
			return
		}
		d.at, d.number = t.now(), len(t.log)+1
		number = d.number
		t.log = append(t.log, d)
		t.bytes += len(d.payload)
		if len(t.log) == maxDatagrams || t.bytes >= maxBytes {
			t.tooMuch(fmt.Sprintf("there were %d datagrams, of %d MiB", len(t.log), t.bytes>>20))
		}
	})
	return number
}

// send sends through the network, and returns what became of the datagram.
func (s *socket) send(payload []byte, to netip.AddrPort) (delivered, late bool) {
	fate := s.fate(s.there)
	if fate.Lost {
		s.t.add(datagram{socket: s, from: s.address, to: to, sent: true, lost: true, payload: payload})
		return false, false
	}
	late = fate.Overtaken || s.t.cfg.Weather.Jitter > 0
	for i := range copies(fate) {
		s.later(fate.Delays[i], func() { s.put(payload, to, late || i > 0) })
	}
	return true, late
}

// plain sends without what the network does.
func (s *socket) plain(payload []byte, to netip.AddrPort) (number int) {
	return s.put(payload, to, false)
}

func (s *socket) put(payload []byte, to netip.AddrPort, late bool) (number int) {
	number = s.t.add(datagram{socket: s, from: s.address, to: to, sent: true, late: late, payload: payload})
	_, _ = s.conn.WriteToUDPAddrPort(payload, to) // a program that is not there yet is no failure
	return number
}

// litter has a stranger send datagrams, and notes if the program ends of them.
func (t *trial) litter(to netip.AddrPort, payloads ...string) error {
	stranger, err := t.loopback("stranger")
	if err != nil {
		return err
	}
	first := 0
	for _, payload := range payloads {
		number := stranger.plain([]byte(payload), to)
		first = cmp.Or(first, number)
		if err := t.pause(10 * time.Millisecond); err != nil {
			return err
		}
		if err := t.stays(fmt.Sprintf("a stranger had sent datagrams %d to %d", first, number)); err != nil {
			return err
		}
	}
	return nil
}
