package udpkit

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sentMessage is a message with the time since the server began.
type sentMessage struct {
	at    time.Duration
	state State
	data  string
}

// TestChangesAreSentAtOnce: a state or data that is set does not wait for the interval, which
// begins anew; however often they are set, ten messages a second say so.
func TestChangesAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []sentMessage
		begun := time.Now()
		cfg, err := ServerConfig{States: []State{"A"}, Targets: ListTargets(netip.MustParseAddrPort("127.0.0.1:9"))}.withDefaults()
		require.NoError(t, err)
		s := newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) {
			m, err := DecodeMessage(b)
			require.NoError(t, err)
			if m.End {
				return len(b), nil // one more, when the context has ended
			}
			sent = append(sent, sentMessage{time.Since(begun), m.State, string(m.Data)})
			return len(b), nil
		})
		require.NoError(t, s.SetData(json.RawMessage("{\"load\" : [1,\n2]}")), "before it runs: with the first message")
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.broadcast(ctx)
		}()
		time.Sleep(time.Second)
		require.NoError(t, s.SetState("B"))
		time.Sleep(30 * time.Millisecond)
		require.NoError(t, s.SetState("C"))
		require.NoError(t, s.SetData(nil))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		assert.Equal(t, []sentMessage{
			{0, "A", `{"load":[1,2]}`}, {time.Second, "B", `{"load":[1,2]}`}, {1100 * time.Millisecond, "C", ""}, {6100 * time.Millisecond, "C", ""},
		}, sent)

		before := len(sent)
		for range 1000 {
			require.NoError(t, s.SetState("D"))
			time.Sleep(time.Millisecond)
		}
		require.NoError(t, s.SetState("E"))
		time.Sleep(time.Second)
		end()
		<-done
		assert.InDelta(t, 11, len(sent)-before, 1)
		assert.Equal(t, State("E"), sent[len(sent)-1].state)
	})
}

// TestChangesOfAQuickServer: where the interval is short, a change goes with the next message.
func TestChangesOfAQuickServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, err := ServerConfig{Interval: 10 * time.Millisecond, Targets: ListTargets(netip.MustParseAddrPort("127.0.0.1:9"))}.withDefaults()
		require.NoError(t, err)
		sent := 0
		s := newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) {
			sent++
			return len(b), nil
		})
		sent-- // one more, when the context has ended
		ctx, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		var caller sync.WaitGroup
		caller.Go(func() {
			for ctx.Err() == nil {
				_ = s.SetState("A")
				time.Sleep(time.Millisecond)
			}
		})
		s.broadcast(ctx)
		caller.Wait()
		assert.InDelta(t, 100, sent, 1)
	})
}

func TestSetDataRefuses(t *testing.T) {
	s := hotServerOf(t, 1)
	for _, bad := range []string{" ", "{", "1 2", "NaN", `"\ud800"`, `"` + "\xff" + `"`, `"` + strings.Repeat("x", MaxDataLen-1) + `"`, strings.Repeat("[", 9) + strings.Repeat("]", 9)} {
		assert.ErrorIs(t, s.SetData(json.RawMessage(bad)), ErrConfig, bad)
	}
	data := json.RawMessage(`"` + strings.Repeat("x", MaxDataLen-2) + `"`)
	require.NoError(t, s.SetData(data))
	want := string(data)
	data[1] = '"' // it is the caller's
	assert.Equal(t, want, string(s.data))
}

// TestDataInMemory: the history has the data of each message, in room that is used again, and an
// event has the datagram as it came.
func TestDataInMemory(t *testing.T) {
	c := hotClient(t)
	c.cfg.History = 3
	m := hotMessage
	buf := make([]byte, 0, MaxMessageSize)
	next := func() {
		m.ID++
		m.Data = append(m.Data[:0], `{"n":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`...)
		m.Data[6] = byte('0' + m.ID%10)
		var err error
		buf, err = AppendMessage(buf[:0], m)
		require.NoError(t, err)
		c.handle(Datagram{Payload: buf, Source: hotServer, Received: time.Now()})
	}
	for range 10 {
		next()
	}
	assert.Zero(t, testing.AllocsPerRun(100, next))
	m.ID = 2000
	next()
	m.ID++
	m.Data = nil
	var err error
	buf, err = AppendMessage(buf[:0], m)
	require.NoError(t, err)
	var told MessageEvent
	c.cfg.OnEvent = func(e Event) {
		if e, ok := e.(MessageEvent); ok {
			told = e
			assert.Equal(t, string(buf), string(e.Datagram))
		}
	}
	c.handle(Datagram{Payload: buf, Source: hotServer, Received: time.Now()})
	assert.Nil(t, told.Data)
	next()
	assert.Equal(t, byte('0'+m.ID%10), told.Data[6])
	history := c.History()
	require.Len(t, history, 3)
	assert.Equal(t, `{"n":"1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`, string(history[0].Data))
	assert.Nil(t, history[1].Data, "the room of an older one does not show through")
	assert.Nil(t, history[2].Datagram)
	history[2].Data[6] = 'y'
	assert.NotEqual(t, byte('y'), c.History()[2].Data[6])
}
