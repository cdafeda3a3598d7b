package relaying

import (
	"net"
	"slices"
	"sync/atomic"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// Line is what a writer sends: the datagram "WRITE run number text". A run is one run of a
// writer's program, a word that no other has, and its lines have the numbers 1, 2, 3 ...
type Line struct {
	Run    string
	Number uint64
	Text   string
}

// Log is where a server stores lines. It is for one goroutine at a time.
type Log interface {
	// Last returns the highest number that is stored of a run, 0 if none.
	Last(run string) uint64
	// Append stores a line, and returns once it is stored. If it returns an error the line is not
	// stored.
	Append(line Line) error
}

// Lose returns a socket that is as conn, but what is written to it the n-th time, from 1, is lost
// if n is in which.
func Lose(conn net.PacketConn, which ...int64) net.PacketConn {
	return &losing{PacketConn: conn, which: which}
}

type losing struct {
	net.PacketConn
	which []int64
	count atomic.Int64
}

func (l *losing) WriteTo(datagram []byte, to net.Addr) (int, error) {
	if slices.Contains(l.which, l.count.Add(1)) {
		return len(datagram), nil // what is lost on the way looks just like that
	}
	return l.PacketConn.WriteTo(datagram, to)
}

// Source shows functions of package relay as they are written there: "Server.write".
func Source(names ...string) error {
	source, err := exercise.SourceOf(relay.NewServer)
	if err != nil {
		return err
	}
	return source.Show(names...)
}
