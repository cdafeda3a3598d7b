package sockets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) net.PacketConn {
	t.Helper()
	socket, err := loopback()
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	return socket
}

// TestExplain makes each error happen that the notebook makes happen.
func TestExplain(t *testing.T) {
	explained := func(err error) string {
		var b strings.Builder
		explain(&b, "try", err)
		return b.String()
	}
	require.Equal(t, "✓ try: no error\n", explained(nil))
	require.Equal(t, "✗ try: unheard of\n", explained(errors.New("unheard of")))

	socket := open(t)
	_, err := net.ListenPacket("udp4", socket.LocalAddr().String())
	require.Contains(t, explained(err), "another socket has this address")

	_, err = socket.WriteTo(make([]byte, 65508), socket.LocalAddr())
	require.Contains(t, explained(err), "longer than what is possible")

	require.NoError(t, socket.SetReadDeadline(time.Unix(1, 0)))
	_, _, err = socket.ReadFrom(make([]byte, 10))
	require.Contains(t, explained(err), "nothing came in time")

	require.NoError(t, socket.Close())
	_, err = socket.WriteTo([]byte("x"), socket.LocalAddr())
	require.Contains(t, explained(err), "by this program itself")

	connected, err := net.Dial("udp4", socket.LocalAddr().String())
	require.NoError(t, err)
	defer connected.Close()
	_, err = connected.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, connected.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = connected.Read(make([]byte, 10))
	require.Contains(t, explained(err), "no socket has this port")

	require.Contains(t, explained(io.EOF), "the other side has closed")
}

func TestSend(t *testing.T) {
	for _, payload := range []string{"hello, socket", "", "odd"} {
		a, err := Send(payload)
		require.NoError(t, err)
		h, err := ipv4.ParseHeader(a.Bytes)
		require.NoError(t, err)
		require.Equal(t, 4, h.Version)
		require.Equal(t, IPHeaderLen, h.Len)
		require.Equal(t, len(a.Bytes), h.TotalLen)
		require.Equal(t, 17, h.Protocol)
		require.Equal(t, "127.0.0.1", h.Src.String())
		require.Equal(t, payload, string(a.Bytes[IPHeaderLen+UDPHeaderLen:]))
		require.Zero(t, checksum(a.Bytes[:IPHeaderLen]), "a header with its checksum sums up to 0")
		pseudo := append(slices.Clone(a.Bytes[12:20]), 0, 17, 0, byte(UDPHeaderLen+len(payload)))
		require.Zero(t, checksum(append(pseudo, a.Bytes[IPHeaderLen:]...)))
	}
}

// TestChecksum has the example of RFC 1071, section 3.
func TestChecksum(t *testing.T) {
	require.Equal(t, ^uint16(0xddf2), checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}))
}

func TestRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.json")
	_, err := ReadTape(file)
	require.ErrorIs(t, err, exercise.ErrNothing)
	require.NoError(t, Record(t.Context(), file, func(server, client *Socket) error {
		buffer := make([]byte, 100)
		// the reply to the second question is lost, the third is never read
		for i, text := range []string{"one", "two"} {
			if _, err := client.WriteTo([]byte(text), server.LocalAddr()); err != nil {
				return err
			}
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return err
			}
			if i == 1 {
				server.LoseNext()
			}
			if _, err := server.WriteTo(buffer[:n], from); err != nil {
				return err
			}
			if err := client.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
				return err
			}
			_, _, err = client.ReadFrom(buffer)
			require.Equal(t, i == 1, errors.Is(err, os.ErrDeadlineExceeded))
		}
		_, err := client.WriteTo([]byte("three"), server.LocalAddr())
		return err
	}))
	tape, err := ReadTape(file)
	require.NoError(t, err)
	require.Len(t, tape.Datagrams, 5)
	var last time.Duration
	for i, want := range []Sent{{From: Client, Text: "one"}, {From: Server, Text: "one"}, {From: Client, Text: "two"}, {From: Server, Text: "two", Lost: true}, {From: Client, Text: "three"}} {
		got := tape.Datagrams[i]
		require.Greater(t, got.At, last)
		last = got.At
		require.Equal(t, i < 3, got.Arrived > got.At, "datagram %d", i+1)
		got.At, got.Arrived = 0, 0
		require.Equal(t, want, got)
	}
	require.Len(t, tape.Events, 3)
	require.Equal(t, Mark{Client, Timeout, tape.Events[0].At}, tape.Events[0])
	require.Equal(t, Mark{Client, Closed, tape.Events[1].At}, tape.Events[1])
	require.Equal(t, Mark{Server, Closed, tape.Events[2].At}, tape.Events[2])
}

// TestRecordInterrupted: who waits for ever is woken, and what there is is kept.
func TestRecordInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.json")
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, Record(ctx, file, func(server, client *Socket) error {
		cancel()
		_, _, err := client.ReadFrom(make([]byte, 10))
		require.ErrorIs(t, err, net.ErrClosed)
		return err
	}))
	tape, err := ReadTape(file)
	require.NoError(t, err)
	require.Len(t, tape.Events, 2)

	err = Record(t.Context(), filepath.Join(file, "x"), func(server, client *Socket) error { return nil })
	require.Error(t, err)
	require.NotContains(t, err.Error(), file, "no path of this machine in a notebook")
	why := errors.New("why")
	require.ErrorIs(t, Record(t.Context(), file, func(server, client *Socket) error { return why }), why)
}

// TestBounded: a tape does not grow for ever, and an unsent datagram is a lost one.
func TestBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.json")
	require.NoError(t, Record(t.Context(), file, func(server, client *Socket) error {
		_, err := client.WriteTo(make([]byte, 65508), server.LocalAddr())
		require.Error(t, err)
		for range 2 * maxRecorded {
			if _, err := client.WriteTo([]byte("x"), server.LocalAddr()); err != nil {
				return err
			}
		}
		return nil
	}))
	tape, err := ReadTape(file)
	require.NoError(t, err)
	require.Len(t, tape.Datagrams, maxRecorded)
	require.True(t, tape.Datagrams[0].Lost)
}

// TestNeighbours plays the whole scene: the timetable is what is tested.
func TestNeighbours(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seven seconds")
	}
	port := testenv.FreePort(t)
	file := filepath.Join(t.TempDir(), "seen.json")
	_, err := ReadNeighbourhood(file)
	require.ErrorIs(t, err, exercise.ErrNothing)
	chained := 0
	me := beacon.Config{
		Name: "me", Port: port, Targets: []netip.AddrPort{netip.MustParseAddrPort("127.255.255.255:0")},
		Interval: 200 * time.Millisecond, Expiry: time.Second, MaxRuntime: 7 * time.Second,
		OnEvent: func(beacon.Event) { chained++ },
	}
	require.NoError(t, Neighbours(t.Context(), file, me, runBeacon))
	require.GreaterOrEqual(t, chained, 7, "start, five changes, and the summary")
	seen, err := ReadNeighbourhood(file)
	require.NoError(t, err)
	require.GreaterOrEqual(t, seen.Length, 7*time.Second)
	require.Len(t, seen.Peers, 3)
	anna, ben, cleo := seen.Peers[0], seen.Peers[1], seen.Peers[2]
	require.Equal(t, []string{"anna", "ben", "cleo"}, []string{anna.Name, ben.Name, cleo.Name})
	require.Equal(t, []beacon.Change{"", beacon.Left, beacon.Expired}, []beacon.Change{anna.End, ben.End, cleo.End})
	require.Equal(t, seen.Length, anna.To)
	require.InDelta(t, benLeaves.Seconds(), ben.To.Seconds(), 0.5)
	require.InDelta(t, (cleoCrashes + me.Expiry).Seconds(), cleo.To.Seconds(), 0.7)
	require.InDelta(t, me.Expiry.Seconds(), (cleo.To - cleo.Heard).Seconds(), 0.3)
}

// TestNeighboursInterrupted: all of them go home, and what was seen is kept.
func TestNeighboursInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seen.json")
	ctx, cancel := context.WithCancel(t.Context())
	me := beacon.Config{
		Port: testenv.FreePort(t), Targets: []netip.AddrPort{netip.MustParseAddrPort("127.255.255.255:0")}, Interval: 100 * time.Millisecond,
		OnEvent: func(e beacon.Event) {
			if e.Kind() == string(beacon.Appeared) {
				cancel()
			}
		},
	}
	began := time.Now()
	require.NoError(t, Neighbours(ctx, file, me, runBeacon))
	require.Less(t, time.Since(began), 3*time.Second)
	seen, err := ReadNeighbourhood(file)
	require.NoError(t, err)
	require.Len(t, seen.Peers, 1)

	why := errors.New("why")
	err = Neighbours(t.Context(), file, me, func(context.Context, beacon.Config) error { return why })
	require.ErrorIs(t, err, why)
}

// runBeacon stands for beaconpanel.Show.
func runBeacon(ctx context.Context, cfg beacon.Config) error {
	b, err := beacon.New(cfg)
	if err != nil {
		return err
	}
	return errors.Join(b.Run(ctx), b.Close())
}

// TestObserver: peers without an id are told apart by name, a stay ends once, and the recording is
// bounded.
func TestObserver(t *testing.T) {
	start := time.Now()
	o := &observer{start: start}
	at := func(s int, change beacon.Change, name string, id beacon.ID) {
		when := start.Add(time.Duration(s) * time.Second)
		o.observe(beacon.PeerEvent{Change: change, Peer: beacon.Peer{Name: name, ID: id, LastSeen: when.Add(-time.Second)}, At: when})
	}
	at(1, beacon.Appeared, "a", 0)
	at(2, beacon.Appeared, "b", 0)
	at(3, beacon.Expired, "b", 0)
	at(4, beacon.Appeared, "b", 0)
	at(5, beacon.Appeared, "c", 7)
	at(6, beacon.Renamed, "d", 7)
	at(7, beacon.Left, "d", 7)
	at(8, beacon.Left, "nobody", 9)
	seen := o.end()
	require.Len(t, seen.Peers, 4)
	require.Equal(t, Presence{Name: "b", From: 2 * time.Second, Heard: 2 * time.Second, To: 3 * time.Second, End: beacon.Expired}, seen.Peers[1])
	require.Empty(t, seen.Peers[0].End)
	require.Empty(t, seen.Peers[2].End)
	require.Equal(t, Presence{Name: "d", From: 5 * time.Second, Heard: 6 * time.Second, To: 7 * time.Second, End: beacon.Left, id: 7}, seen.Peers[3])
	for range 2 * maxPresences {
		at(9, beacon.Appeared, "many", 0)
	}
	require.Len(t, o.end().Peers, maxPresences)
}

// The solutions are those of the notebook.

func solveShout(socket net.PacketConn) error {
	buffer := make([]byte, 65535)
	for {
		n, client, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := socket.WriteTo(bytes.ToUpper(buffer[:n]), client); err != nil {
			return err
		}
	}
}

func TestExerciseShout(t *testing.T) {
	check := func(shout func(net.PacketConn) error) string {
		t.Helper()
		missing, err := checkShout(t.Context(), new(exercise.Exchange), shout)
		require.NoError(t, err)
		return missing
	}
	// echo answers with what change makes of a datagram, and ends with an error.
	echo := func(size int, change func([]byte) []byte) func(net.PacketConn) error {
		return func(socket net.PacketConn) error {
			buffer := make([]byte, size)
			for {
				n, client, err := socket.ReadFrom(buffer)
				if err != nil {
					return err
				}
				_, _ = socket.WriteTo(change(buffer[:n]), client)
			}
		}
	}
	require.Contains(t, check(func(net.PacketConn) error { return nil }), "before the socket was closed")
	require.Contains(t, check(func(net.PacketConn) error { panic("oh") }), "it panicked: oh")
	require.Contains(t, check(echo(1500, func(b []byte) []byte { return b })), `and not "HELLO"`)
	require.Contains(t, check(echo(1000, bytes.ToUpper)), "only 1000 came back")
	require.Contains(t, check(echo(1500, bytes.ToUpper)), "return nil then")
	// failing returns what end makes of an error; false: it goes on.
	failing := func(end func(error) (error, bool)) func(net.PacketConn) error {
		return func(socket net.PacketConn) error {
			buffer := make([]byte, 1500)
			for {
				n, client, err := socket.ReadFrom(buffer)
				if err != nil {
					if err, ends := end(err); ends {
						return err
					}
					continue
				}
				go func(payload []byte) { _, _ = socket.WriteTo(payload, client) }(bytes.ToUpper(buffer[:n]))
			}
		}
	}
	wrong := func(name string, shout func(net.PacketConn) error, want string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, check(shout), want)
		})
	}
	wrong("every error", failing(func(error) (error, bool) { return nil, true }), "network is down), and shout returned nil")
	wrong("every error of the network", failing(func(err error) (error, bool) {
		var op *net.OpError
		return nil, errors.As(err, &op)
	}), "network is down), and shout returned nil")
	wrong("goes on", failing(func(err error) (error, bool) { return nil, errors.Is(err, net.ErrClosed) }), "tried again 1000 times")
	wrong("rests and goes on", failing(func(err error) (error, bool) {
		time.Sleep(2 * time.Millisecond)
		return nil, errors.Is(err, net.ErrClosed)
	}), "a second later shout still runs")
	wrong("panics on an error", func(socket net.PacketConn) error {
		if _, ok := socket.(*broken); ok {
			panic("oh")
		}
		return solveShout(socket)
	}, "it panicked: oh")
	require.Empty(t, check(failing(func(err error) (error, bool) {
		if errors.Is(err, net.ErrClosed) {
			return nil, true
		}
		return fmt.Errorf("cannot read: %w", err), true
	})), "another right one")
	require.NoError(t, CheckShout(t.Context(), solveShout))
}

func solveAsk(socket net.Conn, question string) (answer string, err error) {
	buffer := make([]byte, 1500)
	for range 5 {
		if err := socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return "", err
		}
		if _, err = socket.Write([]byte(question)); err != nil {
			return "", err
		}
		for {
			var n int
			if n, err = socket.Read(buffer); err != nil {
				break
			}
			if string(buffer[:n]) == question {
				return question, nil
			}
		}
	}
	return "", err
}

// solveAskApart has a socket for each time of asking, at which no old reply comes.
func solveAskApart(socket net.Conn, question string) (answer string, err error) {
	for range 5 {
		if answer, err = askOnce(socket.RemoteAddr().String(), question); err == nil {
			return answer, nil
		}
	}
	return "", err
}

func askOnce(server, question string) (string, error) {
	socket, err := net.Dial("udp4", server)
	if err != nil {
		return "", err
	}
	defer socket.Close()
	_, _ = socket.Write([]byte(question))
	_ = socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	buffer := make([]byte, 1500)
	n, err := socket.Read(buffer)
	return string(buffer[:n]), err
}

// solveAskBeside reads on a goroutine of its own.
func solveAskBeside(socket net.Conn, question string) (string, error) {
	_ = socket.SetReadDeadline(time.Time{})
	found, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 1500)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			if string(buffer[:n]) == question {
				close(found)
				return
			}
		}
	}()
	defer func() {
		_ = socket.SetReadDeadline(time.Unix(1, 0))
		<-ended
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 5 {
		_, _ = socket.Write([]byte(question))
		select {
		case <-found:
			return question, nil
		case <-tick.C:
		}
	}
	return "", errors.New("no answer")
}

// asking asks five times and waits each time until the deadline, or so long.
func asking(socket net.Conn, question string, deadline time.Time, wait time.Duration) (answer string, err error) {
	for range 5 {
		if wait > 0 {
			deadline = time.Now().Add(wait)
		}
		_ = socket.SetReadDeadline(deadline)
		_, _ = socket.Write([]byte(question))
		if answer, err = reading(socket, question); err == nil {
			return answer, nil
		}
	}
	return "", err
}

// reading reads until the answer has come, or the deadline.
func reading(socket net.Conn, question string) (answer string, err error) {
	buffer := make([]byte, 1500)
	for {
		n, err := socket.Read(buffer)
		if err != nil || string(buffer[:n]) == question {
			return question, err
		}
	}
}

// askingTimes asks so many times.
func askingTimes(n int) func(net.Conn, string) (string, error) {
	return func(socket net.Conn, question string) (answer string, err error) {
		for range n {
			if answer, err = askingOnce(socket, question); err == nil {
				return answer, nil
			}
		}
		return "", err
	}
}

// askingOnce waits for the answer for 100 ms.
func askingOnce(socket net.Conn, question string) (string, error) {
	_ = socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = socket.Write([]byte(question))
	return reading(socket, question)
}

func TestExerciseAsk(t *testing.T) {
	check := func(ask func(net.Conn, string) (string, error)) string {
		t.Helper()
		missing, err := checkAsk(t.Context(), new(exercise.Exchange), ask)
		require.NoError(t, err)
		return missing
	}
	// tries asks up to n times and takes whatever comes.
	tries := func(n int) func(net.Conn, string) (string, error) {
		return func(socket net.Conn, question string) (string, error) {
			buffer := make([]byte, 1500)
			var err error
			for range n {
				_ = socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				_, _ = socket.Write([]byte(question))
				var length int
				if length, err = socket.Read(buffer); err == nil {
					return string(buffer[:length]), nil
				}
			}
			return "", err
		}
	}
	// flawed asks as it should, but for the question that nobody answers.
	flawed := func(ask func(net.Conn, string) (string, error)) func(net.Conn, string) (string, error) {
		return func(socket net.Conn, question string) (string, error) {
			if begins(question, questionNever) {
				return ask(socket, question)
			}
			return solveAsk(socket, question)
		}
	}
	require.Contains(t, check(func(net.Conn, string) (string, error) { return "", nil }), "an echo server answers with the question")
	require.Contains(t, check(func(net.Conn, string) (string, error) { panic("oh") }), "it panicked: oh")
	require.Contains(t, check(tries(1)), "Ask again!")
	require.Contains(t, check(tries(5)), "came twice")
	require.Contains(t, check(flawed(tries(2))), "2 times instead of 5")
	require.Contains(t, check(flawed(func(_ net.Conn, question string) (string, error) { return question, nil })), "without an error")
	require.Contains(t, check(func(socket net.Conn, question string) (string, error) {
		_ = socket.SetReadDeadline(time.Time{})
		_, _ = socket.Write([]byte(question))
		buffer := make([]byte, 1500)
		n, err := socket.Read(buffer)
		return string(buffer[:n]), err
	}), "Set a deadline")
	// burst asks n times, with rests, and then reads for 100 ms.
	burst := func(n int, rest time.Duration) func(net.Conn, string) (string, error) {
		return func(socket net.Conn, question string) (string, error) {
			for i := range n {
				if i > 0 {
					time.Sleep(rest)
				}
				_, _ = socket.Write([]byte(question))
			}
			_ = socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			return reading(socket, question)
		}
	}
	wrong := func(name string, ask func(net.Conn, string) (string, error), want string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Regexp(t, want, check(ask))
		})
	}
	wrong("five at once", burst(5, 0), `came 5 times within`)
	wrong("five nearly at once", burst(5, time.Millisecond), `came 5 times within`)
	wrong("five, and then it reads", burst(5, 100*time.Millisecond), "after their replies had been sent")
	wrong("one deadline for all", func(socket net.Conn, question string) (string, error) {
		return asking(socket, question, time.Now().Add(100*time.Millisecond), 0)
	}, `"And now\? \(`)
	wrong("impatient", func(socket net.Conn, question string) (string, error) {
		return asking(socket, question, time.Time{}, 5*time.Millisecond)
	}, "times within")
	wrong("does not wait for the last reply", func(socket net.Conn, question string) (answer string, err error) {
		if answer, err = askingTimes(4)(socket, question); err != nil {
			_, _ = socket.Write([]byte(question))
		}
		return answer, err
	}, "asked for the 5th time")
	wrong("gives up at once", flawed(func(net.Conn, string) (string, error) { return "", errors.New("nobody") }), "after asking 0 times")
	wrong("asks nobody", func(_ net.Conn, question string) (string, error) { return question, nil }, "heard the question not at all")
	wrong("whatever has come", func(socket net.Conn, question string) (string, error) {
		_, err := tries(5)(socket, question)
		return question, err
	}, `an answer to "Do you listen to me\? \(........\)", which the server has not sent`)
	require.NoError(t, CheckAsk(t.Context(), solveAsk))
}

func solveWatch(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func(peers []string)) error {
	return watchWith(ctx, socket, expiry, changed, func(text string) (string, bool) {
		name, ok := strings.CutPrefix(text, "HELLO|")
		return name, ok && name != ""
	})
}

func watchWith(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func(peers []string), decode func(string) (string, bool)) error {
	last := make(map[string]time.Time)
	buffer := make([]byte, 1500)
	for ctx.Err() == nil {
		_ = socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, _, err := socket.ReadFrom(buffer)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		news := false
		if name, ok := decode(string(buffer[:n])); ok {
			_, known := last[name]
			last[name], news = time.Now(), !known
		}
		for name, at := range last {
			if time.Since(at) > expiry {
				delete(last, name)
				news = true
			}
		}
		if news {
			changed(slices.Sorted(maps.Keys(last)))
		}
	}
	return ctx.Err()
}

func TestExerciseWatch(t *testing.T) {
	type watch = func(context.Context, net.PacketConn, time.Duration, func([]string)) error
	check := func(w watch) string {
		t.Helper()
		missing, err := checkWatch(t.Context(), new(exercise.Exchange), w)
		require.NoError(t, err)
		return missing
	}
	require.Contains(t, check(func(context.Context, net.PacketConn, time.Duration, func([]string)) error { return nil }), "before the context ended")
	require.Contains(t, check(func(context.Context, net.PacketConn, time.Duration, func([]string)) error { panic("oh") }), "it panicked: oh")
	require.Contains(t, check(func(ctx context.Context, _ net.PacketConn, _ time.Duration, _ func([]string)) error {
		<-ctx.Done()
		return ctx.Err()
	}), "changed was not called")
	require.Contains(t, check(func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
		return solveWatch(ctx, socket, time.Hour, changed)
	}), "still in the table")
	require.Contains(t, check(func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
		return solveWatch(ctx, socket, expiry*3/4, changed)
	}), "a peer was forgotten after")
	require.Contains(t, check(func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
		return watchWith(ctx, socket, expiry, changed, func(text string) (string, bool) { return strings.CutPrefix(text, "HELLO|") })
	}), `"HELLO|" changes nothing`)
	require.Contains(t, check(func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
		return solveWatch(ctx, socket, expiry, func(peers []string) {
			slices.Reverse(peers)
			changed(peers)
		})
	}), "sort them")
	require.Contains(t, check(func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func([]string)) error {
		_ = solveWatch(ctx, socket, expiry, changed)
		return nil
	}), "return ctx.Err()")
	require.NoError(t, CheckWatch(t.Context(), solveWatch))
}

// TestChecksInterrupted: an interrupt ends every check, whatever the reader wrote.
func TestChecksInterrupted(t *testing.T) {
	for name, check := range map[string]func(context.Context) error{
		"shout": func(ctx context.Context) error {
			return CheckShout(ctx, func(socket net.PacketConn) error {
				_, _, err := socket.ReadFrom(make([]byte, 10))
				return err
			})
		},
		"ask": func(ctx context.Context) error {
			return CheckAsk(ctx, func(socket net.Conn, _ string) (string, error) {
				_, err := socket.Read(make([]byte, 10))
				return "", err
			})
		},
		"watch": func(ctx context.Context) error {
			return CheckWatch(ctx, func(_ context.Context, socket net.PacketConn, _ time.Duration, _ func([]string)) error {
				_, _, err := socket.ReadFrom(make([]byte, 10))
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			began := time.Now()
			_ = check(ctx)
			require.Less(t, time.Since(began), 3*time.Second)
		})
	}
}
