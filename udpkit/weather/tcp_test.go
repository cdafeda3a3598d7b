package weather_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// streams runs a forwarder to a server of TCP, and returns a connection through it, both its ends.
func streams(t *testing.T, settings weather.Settings) (f *weather.Forwarder, client, server *net.TCPConn) {
	listener, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(loopback))
	require.NoError(t, err)
	defer listener.Close()
	f = start(t, weather.Config{To: listener.Addr().(*net.TCPAddr).AddrPort(), TCP: true, Settings: settings})
	client, err = net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(f.Addr()))
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	require.NoError(t, listener.SetDeadline(time.Now().Add(30*time.Second)))
	server, err = listener.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	for _, conn := range []*net.TCPConn{client, server} {
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	}
	return f, client, server
}

// say writes a text, and returns how long it takes to come out.
func say(t *testing.T, from, to *net.TCPConn, text string) time.Duration {
	sent := time.Now()
	_, err := from.Write([]byte(text))
	require.NoError(t, err)
	b := make([]byte, len(text))
	_, err = io.ReadFull(to, b)
	require.NoError(t, err)
	require.Equal(t, text, string(b))
	return time.Since(sent)
}

// TestStream: a stream comes through whole and in order, with its end, also if much is lost.
func TestStream(t *testing.T) {
	f, client, server := streams(t, weather.Settings{Delay: time.Millisecond, Jitter: time.Millisecond, Duplicate: 0.5, Reorder: 0.5, Loss: 0.005})
	sent := make([]byte, 300_000)
	for i := range sent {
		sent[i] = byte(i * i >> 8)
	}
	written := make(chan error, 1)
	go func() {
		_, err := client.Write(sent)
		if err == nil {
			err = client.CloseWrite()
		}
		written <- err
	}()
	got, err := io.ReadAll(server)
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.True(t, bytes.Equal(sent, got))
	say(t, server, client, "the other direction is open")
	require.NoError(t, server.Close())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.Eventually(t, func() bool { return f.Report().Sources == 0 }, 30*time.Second, time.Millisecond)
	r := f.Report()
	assert.Zero(t, r.Waiting)
	assert.Zero(t, r.WaitingBytes)
	assert.Equal(t, r.There.Received, r.There.Delivered)
}

// TestStreamWeather: what is lost comes later, and so does what is delayed or held up.
func TestStreamWeather(t *testing.T) {
	f, client, server := streams(t, weather.Settings{})
	say(t, client, server, "fair")
	require.NoError(t, f.Set(weather.Settings{Delay: 50 * time.Millisecond}))
	require.GreaterOrEqual(t, say(t, client, server, "slow"), 50*time.Millisecond)
	require.NoError(t, f.Set(weather.Settings{Rate: 1000}))
	require.GreaterOrEqual(t, say(t, server, client, string(make([]byte, 100))), 100*time.Millisecond)
	changed := time.Now()
	require.NoError(t, f.Set(weather.Settings{Partition: 300 * time.Millisecond}))
	say(t, client, server, "held up")
	require.GreaterOrEqual(t, time.Since(changed), 300*time.Millisecond)
	require.NoError(t, f.Set(weather.Settings{Loss: 0.5}))
	var took time.Duration
	for f.Report().There.Lost == 0 {
		took = say(t, client, server, "x")
	}
	require.GreaterOrEqual(t, took, weather.Retransmission)
}

// TestStreamEnds: a reset goes through, nobody is told of by one, and the end of the weather ends
// all.
func TestStreamEnds(t *testing.T) {
	f, client, server := streams(t, weather.Settings{Delay: 20 * time.Millisecond})
	say(t, client, server, "hello")
	require.NoError(t, client.SetLinger(0))
	require.NoError(t, client.Close())
	_, err := server.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	require.Eventually(t, func() bool { return f.Report().Sources == 0 }, 30*time.Second, time.Millisecond)
	late, err := net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(f.Addr())) // the listener behind is closed
	if err == nil {                                                          // else the reset came at once
		defer late.Close()
		require.NoError(t, late.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = late.Read(make([]byte, 1))
	}
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	require.Eventually(t, func() bool { return f.Report().Refused == 1 }, 30*time.Second, time.Millisecond)
}

// TestStreamBound: one who reads nothing has little of a stream on the way.
func TestStreamBound(t *testing.T) {
	f, client, server := streams(t, weather.Settings{Delay: weather.MaxDelay})
	require.NoError(t, client.SetWriteDeadline(time.Now().Add(500*time.Millisecond)))
	_, err := client.Write(make([]byte, 64<<20))
	require.Error(t, err)
	r := f.Report()
	assert.Positive(t, r.WaitingBytes)
	assert.LessOrEqual(t, r.WaitingBytes, 256<<10)
	require.NoError(t, server.Close())
}
