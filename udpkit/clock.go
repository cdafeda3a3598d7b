package udpkit

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// askClock is how often a client asks a run for the time at the most.
	askClock = time.Second
	// toldPerSecond is how often a server tells the time in a second at the most.
	toldPerSecond = 1000
	// longestOffset bounds what is believed of a clock.
	longestOffset = 100 * 365 * 24 * time.Hour

	timePrefix = "Time "
	// timeSize is the longest answer: its number, two times, and two spaces. The shortest
	// acknowledgement that asks for it is longer: it has 73 bytes.
	timeSize = len(timePrefix) + 16 + 2*(1+19)
)

var errNotAsked = errors.New("it tells a time that was not asked for, or comes again or late")

// Time is what a server answers an acknowledgement that asks for the time by its clock.
type Time struct {
	// Clock is the number that the acknowledgement has.
	Clock Epoch
	// Received is when that came, Sent when this was sent, to the nanosecond.
	Received, Sent time.Time
}

// rawTime is a Time in nanoseconds of Unix time.
type rawTime struct {
	clock          Epoch
	received, sent int64
}

// append appends the wire form: "Time <number> <received> <sent>".
func (t rawTime) append(dst []byte) []byte {
	dst = t.clock.append(append(dst, timePrefix...))
	dst = strconv.AppendInt(append(dst, ' '), t.received, 10)
	return strconv.AppendInt(append(dst, ' '), t.sent, 10)
}

func parseTime(b []byte) (t rawTime, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(timePrefix))
	if !ok {
		return t, false
	}
	number, times, _ := bytes.Cut(rest, []byte(" "))
	if t.clock, ok = parseEpoch(number); !ok {
		return t, false
	}
	received, sent, _ := bytes.Cut(times, []byte(" "))
	if t.received, ok = parseNanoseconds(received); !ok {
		return t, false
	}
	t.sent, ok = parseNanoseconds(sent)
	return t, ok
}

// parseNanoseconds reads a decimal integer, not negative, without sign and leading zeros.
func parseNanoseconds(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// DecodeTime reads a server's answer, of which b is what is left of the datagram without the token
// of a key; ok is false for anything else.
func DecodeTime(b []byte) (t Time, ok bool) {
	raw, ok := parseTime(b)
	return Time{raw.clock, time.Unix(0, raw.received).UTC(), time.Unix(0, raw.sent).UTC()}, ok
}

// teller tells the time by the server's clock.
type teller struct {
	asked  quota // guarded by Server.mu
	sender *key.Sender
	buf    []byte
	to     []udp.Target
	done   func(udp.Target, error)
}

func newTeller(s *Server, sender *key.Sender) teller {
	return teller{
		asked: quota{by: make(map[netip.Addr]int)}, sender: sender, to: make([]udp.Target, 1),
		done: func(_ udp.Target, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				s.summary.SendErrors++
			}
		},
	}
}

// tells reports whether somebody who asks for the time is told it, with mu held.
func (s *Server) tells(d Datagram) bool {
	none := d.Received.UnixNano() < 0 // its clock is from before 1970
	longer := timeSize+s.teller.sender.Overhead() > len(d.Payload)
	if none || longer || udp.CheckPeer(d.Source) != nil || !s.teller.asked.take(d.Source.Addr(), d.Received, toldPerSecond) {
		s.summary.NotTold++
		return false
	}
	s.summary.Times++
	return true
}

// tellTime answers an acknowledgement.
func (s *Server) tellTime(clock Epoch, d Datagram) {
	s.sending.Lock()
	defer s.sending.Unlock()
	t := &s.teller
	t.to[0] = udp.Target{Path: udp.Path{To: d.Source}}
	received := d.Received.UnixNano()
	sent := received + int64(s.now().Sub(d.Received))
	t.buf = rawTime{clock, received, sent}.append(t.buf[:0])
	s.write(t.sender.Datagram(t.buf), t.to, t.done)
}

// clock is what a client knows of the clock of a server.
type clock struct {
	known measure.Clock
	asked time.Time // when, last
}

// askedClock is an acknowledgement that asks for the time.
type askedClock struct {
	number Epoch
	run    *run
	at     time.Time
}

// clockQuestions are those that may still be answered: the number of each ends in its place.
type clockQuestions struct {
	asked [256]askedClock
	n     uint64
}

// ask returns the number for an acknowledgement that is sent now, 0 if it is not time to ask.
func (q *clockQuestions) ask(r *run, now time.Time) Epoch {
	if !r.clock.asked.IsZero() && now.Sub(r.clock.asked) < askClock {
		return 0
	}
	r.clock.asked = now
	const places = uint64(len(q.asked))
	q.n++
	number := rand.Uint64()&^(places-1) | q.n%places
	q.asked[q.n%places] = askedClock{Epoch(number), r, time.Now()}
	return Epoch(number)
}

// take takes an answer. It reports whether it is one.
func (q *clockQuestions) take(t rawTime, now time.Time) bool {
	asked := &q.asked[uint64(t.clock)%uint64(len(q.asked))]
	if asked.run == nil || asked.number != t.clock {
		return false
	}
	clock, sent := &asked.run.clock, asked.at.UnixNano()
	// The time under way is not changed by who sets this clock meanwhile.
	o, ok := measure.FourTimes(sent, t.received, t.sent, sent+int64(now.Sub(asked.at)))
	*asked = askedClock{}
	if ok = ok && o.Ahead.Abs() <= longestOffset; ok {
		clock.known.Add(o, now)
	}
	return ok
}

// latency returns how long a message was under way. The clock is not known if it cannot have been
// right when the message was sent.
func (c *clock) latency(received, sent time.Time) (time.Duration, ClockOffset) {
	latency := received.Sub(sent)
	ahead, within, ok := c.known.At(received)
	if !ok || latency.Abs() > longestOffset || latency+ahead < -within {
		return latency, ClockOffset{}
	}
	return max(0, latency+ahead), ClockOffset{Ahead: ahead, Error: within}
}

// openTime returns the time that a datagram tells.
func (c *Client) openTime(d Datagram) (t rawTime, ok bool) {
	sealed := c.times != nil && len(d.Payload) > 0 && d.Payload[0] != timePrefix[0]
	if !sealed && !bytes.HasPrefix(d.Payload, []byte(timePrefix)) {
		return t, false
	}
	content, err := c.times.Open(d.Payload, d.Received)
	if err != nil {
		return t, false // which the opener of messages counts
	}
	return parseTime(content)
}

// takeTime takes the answer to an acknowledgement, with mu held.
func (c *Client) takeTime(t rawTime, d Datagram, r *taken) {
	if c.asked.take(t, d.Received) {
		c.heard(d, "")
		return
	}
	c.summary.Malformed++
	r.refused = c.refused.Note(d.Source, errNotAsked, d.Received)
	c.heardRefused(d, errNotAsked)
}
