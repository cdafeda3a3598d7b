package doctor

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnswers: an answer is as long as its question, and comes by another way than that of the
// question only to who has shown the token; only questions are answered.
func TestAnswers(t *testing.T) {
	a, err := NewAnswerer(t.Context(), Config{})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-done)
	}()
	at := a.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer conn.Close()
	send := func(h header, size int) {
		_, err := conn.WriteToUDPAddrPort(h.append(nil, nil, size), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at))
		require.NoError(t, err)
	}
	next := func() (got arrival) {
		require.NoError(t, receive(ctx, conn, 10*time.Second, func(a arrival) bool { got = a; return false }))
		return got
	}
	var token uint64
	q := header{Role: question, By: unicast, Back: unicast, Run: 1, From: 2}
	for _, size := range []int{headerSize, 500, maxSize} {
		q.Number++
		send(q, size)
		got := next()
		assert.Equal(t, size, got.size)
		assert.Equal(t, q.Number, got.Number)
		assert.Equal(t, answer, got.Role)
		token = got.Token
	}
	assert.NotZero(t, token)
	for _, silent := range []header{
		{Role: question, By: unicast, Back: unasked, Run: 1, Token: token + 1},
		{Role: question, By: unicast, Back: directed, Run: 1},
		{Role: question, By: unicast, Back: unicast, To: 77, Run: 1},
		{Role: answer, By: unicast, Back: unicast, Run: 1, Token: token},
		{Role: mark, By: unicast, Back: unicast, Run: 1, Token: token},
	} {
		send(silent, 0)
	}
	send(header{Role: question, By: unicast, Back: unasked, Run: 1, Number: 99, Token: token}, 200)
	got := next()
	assert.EqualValues(t, 99, got.Number, "nothing of the others")
	assert.Equal(t, 200, got.size)
	assert.NotEqual(t, at, got.from.Port())
}

// TestClockOffset: a clock that is ahead or behind is told from one that is not.
func TestClockOffset(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer conn.Close()
	var ahead atomic.Int64
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if err := receive(ctx, conn, time.Second, func(q arrival) bool {
				now := q.at.UnixNano() + ahead.Load()
				h := header{Role: answer, By: q.By, Back: unicast, Number: q.Number, Run: q.Run, To: q.From, From: 1, Bits: 9, Token: 1, Sent: q.Sent, Arrived: now, Left: now}
				_, _ = conn.WriteToUDPAddrPort(h.append(nil, nil, q.size), q.from)
				return true
			}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	defer func() {
		stop()
		require.NoError(t, <-done)
	}()
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	for offset, want := range map[time.Duration]bool{0: false, time.Minute: true, -time.Hour: true} {
		ahead.Store(int64(offset))
		r, err := Examine(ctx, Config{Port: at.Port(), With: at.Addr()})
		require.NoError(t, err)
		require.NotNil(t, r.With)
		assert.InDelta(t, offset.Seconds(), r.With.Offset.Seconds(), 5)
		assert.Equal(t, want, findings(r.Findings).has(ClockOffset), "%v: %v", offset, r.Findings)
	}
}
