package bench

import (
	"context"
	"encoding/json"
	"io"
	"runtime"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// count is what a subject has measured: how many datagrams, how long they took, and how much of the
// processor's time. The references use the same names.
type count struct {
	Datagrams   int64 `json:"datagrams"`
	Elapsed     int64 `json:"elapsed_ns"`
	CPU         int64 `json:"cpu_ns"`
	Allocations int64 `json:"allocations"`
	// Total counts datagrams since the start, a sender's.
	Total int64 `json:"total,omitempty"`
}

// since returns what has been added to c since before.
func (c count) since(before count) count {
	return count{
		c.Datagrams - before.Datagrams, c.Elapsed - before.Elapsed, c.CPU - before.CPU, c.Allocations - before.Allocations,
		c.Datagrams,
	}
}

// now returns the running totals of this process.
func now(datagrams int64) count {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	used, _ := measure.CPU()
	return count{Datagrams: datagrams, Elapsed: int64(time.Since(born)), CPU: int64(used), Allocations: int64(memory.Mallocs)}
}

var born = time.Now()

// meter counts datagrams. It starts to measure warmUp after the first one, and after duration it
// writes the result and calls done.
type meter struct {
	warmUp, duration time.Duration
	out              io.Writer
	done             context.CancelFunc
	rests            bool // see rest

	datagrams int64
	looked    int64 // datagrams at the last look, see addAll
	first     time.Time
	before    *count
}

// add counts a datagram. Looking at the clock costs as much as a cheap receiver does, so it looks
// for one datagram in 256.
func (m *meter) add() {
	if m.datagrams++; m.datagrams%256 == 1 && m.duration > 0 {
		m.look(time.Now())
	}
}

// addAll counts datagrams.
func (m *meter) addAll(n int64) {
	if m.datagrams += n; m.datagrams-m.looked >= 256 && m.duration > 0 {
		m.looked = m.datagrams
		m.look(time.Now())
	}
}

// rest is how long a receiver rests after 65,536 datagrams that shall always find the next ones
// waiting: long enough for a sender at full speed to fill the socket's buffer.
const rest = 10 * time.Millisecond

func (m *meter) look(at time.Time) {
	if m.rests && m.datagrams%65536 == 1 {
		time.Sleep(rest)
	}
	switch {
	case m.first.IsZero():
		m.first = at
	case m.before == nil:
		if at.Sub(m.first) >= m.warmUp {
			before := now(m.datagrams)
			m.before = &before
		}
	case at.Sub(m.first) >= m.warmUp+m.duration:
		_ = json.NewEncoder(m.out).Encode(now(m.datagrams).since(*m.before)) // the parent notices
		m.duration = 0
		m.done()
	}
}
