package echo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// DefaultLimit is how many answers one source gets without a pause.
	DefaultLimit = 1000
	// pause is what counts as one: longer than a round of a loop between two servers takes,
	// wherever they are.
	pause = time.Second
	// buckets is the size of the table of sources. A flood of a million forged sources a second
	// uses up DefaultLimit in none of them within 8 seconds, and then each source is refused for
	// one.
	buckets = 8192
)

// The reasons to refuse a datagram. They are made once: a flood must not cost memory.
var (
	errOwnPort = errors.New("its source has the server's own port: two servers would answer each other forever")
	errOwnText = errors.New("it is an answer itself")
	errNonstop = fmt.Errorf("its source has had its share of answers without a pause of %v", pause)
)

// guard decides who is answered, so that no two servers answer each other for ever. It is for one
// goroutine.
type guard struct {
	port  uint16 // the server's own
	limit int
	began time.Time
	seed  maphash.Seed
	table []bucket
}

// bucket counts the answers to all sources that hash to it.
type bucket struct {
	answers int
	last    time.Duration // since guard.began
}

func newGuard(port uint16, limit int) *guard {
	return &guard{port: port, limit: limit, began: time.Now(), seed: maphash.MakeSeed(), table: make([]bucket, buckets)}
}

// refuse returns why a source gets no answer now, or nil and counts one.
func (g *guard) refuse(source netip.AddrPort, now time.Time) error {
	if err := udp.CheckPeer(source); err != nil {
		return err
	}
	if source.Port() == g.port {
		return errOwnPort
	}
	var key [18]byte
	host := source.Addr().As16()
	binary.BigEndian.PutUint16(key[copy(key[:], host[:]):], source.Port())
	b := &g.table[maphash.Bytes(g.seed, key[:])%buckets]
	at := now.Sub(g.began)
	if at-b.last >= pause {
		b.answers = 0
	}
	if b.answers >= g.limit {
		return errNonstop
	}
	b.answers++
	b.last = at
	return nil
}
