package testenv

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Network is a packet network inside a test: it loses, doubles, delays (and so reorders) and
// damages what is sent, by chance from a seed, on a clock that testing/synctest turns as fast as it
// can. The zero value is perfect. While datagrams are carried, change it by its methods only.
type Network struct {
	Seed                     uint64
	Loss, Duplicate, Corrupt float64       // chances for each datagram
	Delay                    time.Duration // the longest
	// Burst is the chance that a loss begins a burst of 20 in a row, but of no more than a second
	// (Gilbert-Elliott): to one who asks once a second, 20 would be half a minute.
	Burst float64
	// Damage damages a datagram at an index of it, chosen by chance, if Corrupt says so.
	Damage func(b []byte, at int) []byte

	mu       sync.Mutex
	random   *rand.Rand
	bursting int       // how many are still lost
	until    time.Time // the end of the burst
	cut      map[netip.AddrPort]bool
	carried  int
}

// Carry takes a datagram to or from a host, and calls deliver for each copy of it that arrives, on
// a goroutine of its own.
func (n *Network) Carry(payload []byte, host netip.AddrPort, deliver func([]byte)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.random == nil {
		n.random = rand.New(rand.NewPCG(n.Seed, 0))
	}
	n.carried++
	if n.bursting > 0 && time.Now().Before(n.until) {
		n.bursting--
		return
	}
	if n.cut[host] || n.random.Float64() < n.Loss {
		if n.random.Float64() < n.Burst {
			n.bursting, n.until = 20, time.Now().Add(time.Second)
		}
		return
	}
	copies := 1
	if n.random.Float64() < n.Duplicate {
		copies = 2
	}
	for range copies {
		b := slices.Clone(payload)
		if n.random.Float64() < n.Corrupt {
			b = n.Damage(b, n.random.IntN(len(b)))
		}
		// Not at once: in a bubble Go 1.26 then calls on the system's stack, where now and then the
		// race detector crashes.
		time.AfterFunc(1+time.Duration(n.random.Int64N(int64(n.Delay)+1)), func() { deliver(b) })
	}
}

// Cut has everything to and from a host be lost from now on, or ends that.
func (n *Network) Cut(host netip.AddrPort, off bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut == nil {
		n.cut = make(map[netip.AddrPort]bool)
	}
	n.cut[host] = off
}

// Heal ends all cuts.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// Improve ends loss and corruption.
func (n *Network) Improve() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Loss, n.Corrupt = 0, 0
}

// Carried returns how many datagrams were given to Carry.
func (n *Network) Carried() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.carried
}
