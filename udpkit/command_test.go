package udpkit

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// FuzzCommand: what is read as a command is the same when it is written and read again.
func FuzzCommand(f *testing.F) {
	for _, text := range []string{
		"", "Command ", "Command 0123456789abcdef epoch 0123456789abcdef stop", "Command 0123456789abcdef epoch 0000000000000000 status",
		"Command 0123456789abcdef epoch 0123456789abcdef state A B ", "Command 0123456789abcdef epoch 0123456789abcdef  x",
		"Command 0123456789abcdef epoch 0123456789abcdef clients 2 0123456789abcdef", "Command 0123456789ABCDEF epoch x stop",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = parsePage(string(b))
		_, _ = parseReply(b, 1)
		c, ok := parseCommand(b, questionSize)
		if !ok {
			return
		}
		again, ok := parseCommand(c.append(nil, 0), questionSize)
		require.True(t, ok)
		require.Equal(t, c, again)
	})
}

// TestNewInterval: two messages announce a new interval at once, the next ones keep it, and a
// client takes no pause of it for silence.
func TestNewInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var sent []string
		silences := 0
		cfg, err := ClientConfig{OnEvent: func(e Event) {
			switch e := e.(type) {
			case TimeoutEvent:
				silences++
			case MessageEvent:
				sent = append(sent, time.Since(began).Round(time.Millisecond).String())
				require.EqualValues(t, len(sent), e.MessageID)
			}
		}}.withDefaults()
		require.NoError(t, err)
		c := newClient(cfg)
		c.ack = func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
		server, err := ServerConfig{}.withDefaults()
		require.NoError(t, err)
		s := newServer(server, func(b []byte, _ netip.AddrPort) (int, error) {
			hear(c, b)
			return len(b), nil
		})
		s.cfg.Targets = ListTargets(hotServer)
		ctx, cancel := context.WithCancel(t.Context())
		go c.watch(ctx)
		go s.broadcast(ctx)
		at := func(after time.Duration, do func() error) {
			time.Sleep(time.Until(began.Add(after)))
			require.NoError(t, do())
		}
		at(7*time.Second, func() error { return s.SetInterval(time.Minute) })
		at(130*time.Second, func() error { return s.SetInterval(time.Second) })
		at(132*time.Second+500*time.Millisecond, func() error { return s.SetInterval(10 * time.Millisecond) })
		at(132*time.Second+525*time.Millisecond, func() error { return s.SetInterval(time.Hour) })
		at(134*time.Second, func() error { return nil })
		require.ErrorIs(t, s.SetInterval(time.Microsecond), ErrConfig)
		assert.Equal(t, strings.Fields("0s 5s 7s 7.1s 1m7.1s 2m7.1s 2m10s 2m10.1s 2m11.1s 2m12.1s 2m12.5s 2m12.51s 2m12.52s 2m12.53s 2m12.63s"), sent)
		assert.Zero(t, silences)
		cancel()
		synctest.Wait()
	})
}

// TestManyChanges: a change is remembered for as long as its command can be believed, so that none
// is done twice; for more of them there is no room.
func TestManyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer []byte
		ring := testenv.Ring(t)
		s, c := keyed(t, ring, false, func(b []byte) { answer = append(answer[:0], b...) })
		defer c.watchdog.Stop()
		opener := ring.Opener(key.OpenerConfig{Purpose: replyPurpose, Form: key.Text})
		tell := func(nonce int, verb, argument string) reply {
			t.Helper()
			c := command{Epoch(nonce), s.epoch, verb, argument}
			sender := ring.Sender(answerPurpose, key.Text, false)
			s.handleAck(Datagram{Payload: sender.Append(nil, c.append(nil, sender.Overhead())), Source: hotServer, Received: time.Now()})
			content, err := opener.Open(answer, time.Now())
			require.NoError(t, err)
			r, ok := parseReply(content, Epoch(nonce))
			require.True(t, ok)
			return r
		}
		for i := range changesKept {
			require.Empty(t, tell(i, verbState, fmt.Sprint("S", i)).Error)
		}
		assert.Equal(t, errManyChanges.Error(), tell(changesKept, verbState, "X").Error)
		assert.Equal(t, "S0", string(tell(0, verbState, "S0").Status.State), "the reply of then")
		assert.Equal(t, fmt.Sprint("S", changesKept-1), string(tell(changesKept, verbStatus, "").Status.State))
		time.Sleep(keepFor)
		assert.Empty(t, tell(changesKept, verbState, "X").Error)
		assert.Len(t, s.control.changes, changesKept)
		assert.Len(t, s.control.order, changesKept)

		// The longest reply.
		wide := strings.Repeat(`"`, MaxStateLen)
		assert.Equal(t, wide, string(tell(changesKept+1, verbState, wide).Status.State))
	})
}

// TestPages: a page has room for three clients, whatever they are called, and is no longer than a
// message.
func TestPages(t *testing.T) {
	addr := netip.AddrPortFrom(netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%abcdefghijklmno"), 65535)
	for _, char := range []string{"<", `"`, "\u2028", "x", "é"} {
		var clients []ClientInfo
		for range 100 {
			id := strings.Repeat(char, MaxClientIDLen/len(char))
			clients = append(clients, ClientInfo{ID: id, Addr: addr, Proved: true, Acks: 2, Expected: 3, LastID: MaxMessageID, RTT: 1<<63 - 1})
		}
		for _, seal := range []bool{false, true} {
			s, c := keyed(t, testenv.Ring(t), seal, func([]byte) {})
			c.watchdog.Stop()
			pages := pagesOf(clients, s.control.pageRoom())
			require.LessOrEqual(t, len(pages), 34)
			for _, page := range pages {
				answer := s.control.sender.Datagram(reply{Pages: 9999, Page: page}.append(nil, NewEpoch()))
				require.LessOrEqual(t, len(answer), MaxMessageSize)
			}
		}
	}
}
