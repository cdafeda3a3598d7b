package relay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// FuzzHostileClients: whatever registered clients say, the server's books are right.
func FuzzHostileClients(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("an acknowledgement of what was never sent, and other stories"))
	for op := range 8 {
		var seed []byte
		for i := range 40 {
			seed = append(seed, byte(op), byte(i*op), byte(3*i), byte(i))
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4000 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			log := NewMemory(50)
			append := func(from, n int) {
				for i := range n {
					_, err := log.Append(t.Context(), []Record{{Run: 99, Number: uint64(from + i), Username: "eve", Text: fmt.Sprint(from + i)}})
					require.NoError(t, err)
				}
			}
			append(1, 300)
			s := newTarget(t, ServerConfig{Log: log, Cache: 1})
			defer s.stop()
			var from [2]netip.AddrPort
			for i, role := range []Role{RoleReader, RoleWriter} {
				from[i] = netip.AddrPortFrom(stranger.Addr(), uint16(5000+i))
				f := relaywire.Frame{Kind: relaywire.Hello, ID: uint64(100 + i), Role: uint8(role), Name: "ann"}
				if role == RoleReader {
					f.From = relaywire.FromStart
				}
				_, answer := s.give(f.Append(nil), from[i])
				f.Cookie = answer.Cookie
				s.give(f.Append(nil), from[i])
			}
			synctest.Wait()
			written := 300
			for len(script) >= 4 {
				op, a, b := script[0], uint64(script[1]), binary.BigEndian.Uint16(script[2:])
				script = script[4:]
				s.Server.mu.Lock()
				reader, writer := s.sessions[100], s.sessions[101]
				s.Server.mu.Unlock()
				switch op % 8 {
				case 0, 1: // an acknowledgement, near what is right
					if reader == nil {
						return
					}
					f := relaywire.Frame{Kind: relaywire.Ack, ID: 100, Next: reader.next + a, Last: reader.next + a + uint64(b%300), Window: uint32(b), Done: reader.done}
					if op%8 == 1 {
						stride := uint32(1 + b%50)
						for i := range uint32(a % 8) {
							f.Entries = relaywire.Missing{Offset: i * stride, Count: 1 + uint32(b)/64%stride}.Append(f.Entries)
							f.Count++
						}
						f.Next = reader.next
						f.Last = max(f.Last, f.Next-1+8*uint64(stride))
					}
					f.Done = min(f.Done, f.Next)
					s.give(f.Append(nil), from[0])
				case 2: // messages, near what is right
					if writer == nil {
						return
					}
					f := relaywire.Frame{Kind: relaywire.Write, ID: 101, First: max(1, writer.expected+a-10), Count: 1 + int(b%5)}
					for range f.Count {
						f.Entries = relaywire.AppendText(f.Entries, "x")
					}
					s.give(f.Append(nil), from[1])
				case 3:
					append(written+1, int(a%30))
					written += int(a % 30)
				case 4:
					time.Sleep(time.Duration(a) * time.Duration(b%64) * time.Microsecond)
				case 5: // it comes back
					f := relaywire.Frame{Kind: relaywire.Hello, ID: 100, Role: relaywire.RoleReader, Name: "ann", From: relaywire.FromAt, At: a, Log: log.ID()}
					f.Cookie = s.cookieFor(uint32(time.Since(s.begun)/cookiePeriod), &f, from[0])
					s.give(f.Append(nil), from[0])
				case 6:
					if a == 0 {
						s.give((&relaywire.Frame{Kind: relaywire.Leave, ID: uint64(100 + b%2), Done: uint64(b)}).Append(nil), from[b%2])
					}
				case 7:
					s.give((&relaywire.Frame{Kind: relaywire.Ping, ID: uint64(100 + b%2)}).Append(nil), from[b%2])
				}
				synctest.Wait()
				s.check(t)
			}
		})
	})
}

// An acknowledgement of what is far ahead, of which a log with a large gap has something under way,
// is understood.
func TestAcknowledgementFarAhead(t *testing.T) {
	now := time.Now()
	s := newReaderSession(1, now)
	far := uint64(1) << 33
	for _, i := range []stretch{{1, far, true}, {first: far, end: far + 1}, {first: far + 1, end: far + 2}} {
		s.flight = append(s.flight, flying{stretch: i, at: now})
		s.sent = i.end
		s.pipe++
	}
	s.acked(&relaywire.Frame{Kind: relaywire.Ack, Next: 1, Last: far, Count: 1, Entries: relaywire.Missing{Offset: 0, Count: 7}.Append(nil)}, now)
	assert.Equal(t, underWay, s.flight[0].state)
	assert.Equal(t, got, s.flight[1].state)
	assert.Equal(t, underWay, s.flight[2].state)
}

// check compares what a server counts with what there is.
func (s *target) check(t *testing.T) {
	t.Helper()
	s.Server.mu.Lock()
	defer s.Server.mu.Unlock()
	for _, c := range s.sessions {
		if c.role == RoleWriter {
			require.GreaterOrEqual(t, c.expected, c.stored+1)
			require.LessOrEqual(t, c.expected, c.stored+1+maxUnstored)
			continue
		}
		pipe, losses := 0, 0
		for i := range c.flight {
			f := &c.flight[i]
			switch f.state {
			case underWay:
				pipe++
			case lost:
				losses++
			}
			if i > 0 {
				require.Equal(t, c.flight[i-1].end, f.first)
			}
			require.Less(t, f.first, f.end)
			require.False(t, f.at.IsZero())
		}
		if n := len(c.flight); n > 0 {
			require.Greater(t, c.flight[0].end, c.next)
			require.Equal(t, c.sent, c.flight[n-1].end)
		} else {
			require.Equal(t, c.sent, c.next)
		}
		require.Equal(t, pipe, c.pipe)
		require.Equal(t, losses, c.losses)
		require.LessOrEqual(t, c.done, c.next)
		require.LessOrEqual(t, len(c.flight), 2*maxFlight)
		require.GreaterOrEqual(t, c.window, float64(minWindow))
	}
}
