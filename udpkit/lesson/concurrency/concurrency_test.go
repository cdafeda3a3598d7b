package concurrency_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/concurrency"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// results runs an experiment and returns what it has added to a file.
func results(t *testing.T, run func(context.Context, string) error) concurrency.Results {
	t.Helper()
	file := filepath.Join(t.TempDir(), "results.json")
	require.NoError(t, run(t.Context(), file))
	r, err := concurrency.Load(file)
	require.NoError(t, err)
	return r
}

// needWire skips the test where there is none.
func needWire(t *testing.T, why string) {
	t.Helper()
	if why != "" {
		testenv.Skip(t, "%s", why)
	}
}

// The experiments, as the notebook runs them.
func servers(ctx context.Context, file string) error {
	return concurrency.Servers(ctx, file, concurrency.ServersConfig{})
}

func conversation(ctx context.Context, file string) error {
	return concurrency.Conversation(ctx, file, 20*time.Millisecond)
}

func weather(ctx context.Context, file string) error {
	const delay = 20 * time.Millisecond
	return concurrency.Weather(ctx, file,
		concurrency.Conditions{Name: concurrency.Fair, Delay: delay},
		concurrency.Conditions{Name: concurrency.Loss, Delay: delay, Loss: 0.1},
		concurrency.Conditions{Name: concurrency.Damage, Delay: delay, Damage: 0.1},
		concurrency.Conditions{Name: concurrency.Detours, Delay: delay, Detour: 0.1},
		concurrency.Conditions{Name: concurrency.Echoes, Delay: delay, Twice: 0.1},
		concurrency.Conditions{Name: concurrency.Narrow, Delay: delay, Rate: 500_000, MaxWait: 30 * time.Millisecond, Messages: 1000, Size: 1000, Every: time.Millisecond})
}

func flow(ctx context.Context, file string) error {
	return concurrency.Flow(ctx, file, 32_000_000, 1000)
}

func speeds(ctx context.Context, file string) error {
	return concurrency.Speeds(ctx, file, concurrency.SpeedConfig{})
}

func TestServers(t *testing.T) {
	r := results(t, servers).Servers
	require.Len(t, r.Runs, 3)
	one, all, few := r.Runs[0], r.Runs[1], r.Runs[2]
	n := len(one.Clients)
	require.Equal(t, 20, n)

	require.Equal(t, echo.Sequential, one.Mode)
	require.Equal(t, n, one.Answered())
	require.GreaterOrEqual(t, one.Took, time.Duration(n)*r.Work, "one after the other")
	require.Zero(t, one.Dropped)

	require.Equal(t, n, all.Answered())
	require.GreaterOrEqual(t, all.Took, r.Work)
	require.Less(t, all.Took, one.Took/4, "at the same time")
	require.Zero(t, all.Dropped)

	require.Less(t, few.Answered(), n)
	require.GreaterOrEqual(t, few.Answered(), few.Queue)
	require.LessOrEqual(t, few.Answered(), few.Queue+few.Workers)
	require.EqualValues(t, n-few.Answered(), few.Dropped, "what is not answered is counted")

	for _, run := range r.Runs {
		for _, c := range run.Clients {
			if c.Answered != 0 {
				require.GreaterOrEqual(t, c.Began, time.Duration(0))
				require.GreaterOrEqual(t, c.Answered-c.Began, r.Work)
			}
		}
	}
	require.Greater(t, one.Median(), all.Median())
}

func TestConversation(t *testing.T) {
	r := results(t, conversation).Conversation
	needWire(t, r.NoWire)
	require.Len(t, r.UDP.Packets, 2, "a question and an answer")
	for _, p := range r.UDP.Packets {
		require.Equal(t, 8, p.Header, "RFC 768")
		require.Equal(t, 20, p.IP, "RFC 791")
		require.Empty(t, p.Flags)
	}
	all, data := r.UDP.Bytes()
	require.Equal(t, 2*28+data, all)

	tcp := r.TCP.Packets
	require.Greater(t, len(tcp), 6)
	for i, want := range []string{"SYN", "SYN ACK", "ACK"} {
		require.Equal(t, want, tcp[i].Flags, "the handshake")
		require.Equal(t, i == 1, tcp[i].Answer)
		require.Zero(t, tcp[i].Data)
	}
	fins, sent := 0, 0
	for _, p := range tcp {
		require.GreaterOrEqual(t, p.Header, 20, "RFC 9293")
		require.GreaterOrEqual(t, p.Arrived-p.Sent, r.Delay)
		if strings.Contains(p.Flags, "FIN") {
			fins++
		}
		sent += p.Data
	}
	require.Equal(t, 2, fins, "both say good-bye")
	require.Equal(t, data, sent, "the same data")

	require.InDelta(t, 1, r.RoundTrips(r.UDP), 0.9)
	require.GreaterOrEqual(t, r.RoundTrips(r.UDP), 1.0)
	require.GreaterOrEqual(t, r.RoundTrips(r.TCP), 2.0, "the handshake, and the question")
}

func TestWeather(t *testing.T) {
	r := results(t, weather).Weather
	require.Len(t, r.Cases, 6)
	udp := func(name string) *concurrency.Transfer {
		c := r.Case(name)
		require.NotNil(t, c, name)
		if c.UDP == nil {
			require.NotEmpty(t, r.NoWire)
			needWire(t, r.NoWire)
		}
		require.Equal(t, c.UDP.Delivered, len(c.UDP.Delays()))
		require.GreaterOrEqual(t, c.UDP.Median(), c.Delay, "nothing is quicker than the network")
		return c.UDP
	}
	fair := udp(concurrency.Fair)
	require.Equal(t, len(fair.Sent), fair.Delivered)
	require.Zero(t, fair.Twice+fair.Disorder+fair.Damaged+fair.Road.Failed())
	loss := udp(concurrency.Loss)
	require.Positive(t, loss.Road.Lost)
	require.Equal(t, len(loss.Sent)-loss.Road.Lost, loss.Delivered, "what is lost is lost")
	require.Positive(t, udp(concurrency.Detours).Disorder)
	twice := udp(concurrency.Echoes)
	require.Equal(t, twice.Road.Twice, twice.Twice)
	narrow := udp(concurrency.Narrow)
	require.Equal(t, len(narrow.Sent)-narrow.Road.Dropped, narrow.Delivered)
	require.Less(t, narrow.Delivered, len(narrow.Sent)*2/3, "twice as much as can pass")

	needWire(t, r.NoWire)
	for _, c := range r.Cases {
		require.Equal(t, len(c.TCP.Sent), c.TCP.Delivered, c.Name)
		require.Zero(t, c.TCP.Twice+c.TCP.Disorder+c.TCP.Damaged, c.Name)
	}
	damage := r.Case(concurrency.Damage)
	require.Positive(t, damage.TCP.Road.Damaged)
	require.Positive(t, damage.UDP.Road.Damaged)
	require.Zero(t, damage.UDP.Damaged, "the checksum finds it")
	require.Equal(t, len(damage.UDP.Sent)-damage.UDP.Road.Damaged, damage.UDP.Delivered)
	require.Positive(t, r.Case(concurrency.Loss).TCP.Road.Lost)
	require.Greater(t, r.Case(concurrency.Loss).TCP.Worst(), r.Case(concurrency.Loss).UDP.Median()*2, "the repair takes round trips")
	slow := r.Case(concurrency.Narrow)
	require.Less(t, slow.TCP.Road.Dropped*4, slow.UDP.Road.Dropped, "TCP gives way")
	require.Greater(t, slow.TCP.Took(), slow.UDP.Took())
}

func TestFlow(t *testing.T) {
	r := results(t, flow).Flow
	require.Len(t, r.Ends, 2)
	tcp, udp := r.Ends[0], r.Ends[1]
	require.True(t, tcp.Stopped)
	require.Less(t, tcp.Accepted, r.Offered)
	require.Equal(t, tcp.Accepted, tcp.Arrived)
	require.Zero(t, tcp.Lost())
	require.Positive(t, udp.Arrived)
	require.Less(t, udp.Arrived, udp.Accepted)
	require.Equal(t, udp.Accepted-udp.Arrived, udp.Lost())
}

func TestSpeeds(t *testing.T) {
	r := results(t, speeds).Speed
	require.Len(t, r.Rows, 3)
	for i, row := range r.Rows {
		require.Len(t, row.Full, r.Rounds)
		require.Positive(t, row.Rate())
		require.GreaterOrEqual(t, row.Lost(), 0.0)
		require.Less(t, row.Lost(), 1.0)
		if row.Protocol == "tcp" {
			require.Zero(t, row.Lost())
		}
		if i < 2 {
			require.Positive(t, row.P50First())
			require.Positive(t, row.P50Next())
		}
	}
	require.Greater(t, r.Rows[0].P50First(), r.Rows[0].P50Next(), "the handshake is in the first")
}

// TestInterrupted: every experiment ends at once, is no failure, and keeps nothing.
func TestInterrupted(t *testing.T) {
	for name, run := range map[string]func(context.Context, string) error{
		"servers": servers, "conversation": conversation, "weather": weather,
		"flow": flow, "speeds": speeds,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "results.json")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(30*time.Millisecond, func() { cancel(errors.New("interrupt")) })
			began := time.Now()
			require.NoError(t, run(ctx, file))
			require.Less(t, time.Since(began), 3*time.Second)
			_, err := concurrency.Load(file)
			require.ErrorIs(t, err, exercise.ErrNothing)
			require.NotContains(t, err.Error(), file, "no path of this machine in a notebook")
		})
	}
}

// TestParameters: what can be changed does something, and what is out of range is refused by name.
func TestParameters(t *testing.T) {
	run := func(ctx context.Context, file string) error {
		return concurrency.Servers(ctx, file, concurrency.ServersConfig{Clients: 6, Work: 40 * time.Millisecond, Workers: 1, Waiting: 2})
	}
	few := results(t, run).Servers.Runs[2]
	require.Len(t, few.Clients, 6)
	require.LessOrEqual(t, few.Answered(), 3, "one is served, and two wait")

	both := concurrency.Conditions{Name: "mine", Loss: 0.3, Twice: 0.3, Messages: 60, Every: time.Millisecond}
	require.Equal(t, "30 % of the packets lost, 30 % arrive twice", both.Title())
	w := results(t, func(ctx context.Context, file string) error { return concurrency.Weather(ctx, file, both) }).Weather
	require.Len(t, w.Case("mine").UDP.Sent, 60)
	require.Positive(t, w.Case("mine").UDP.Twice)
	require.Less(t, w.Case("mine").UDP.Delivered, 60)

	for want, err := range map[string]error{
		"Clients is 201, and goes from 1 to 200":   concurrency.Servers(t.Context(), "", concurrency.ServersConfig{Clients: 201}),
		"one after the other is 3m20s":             concurrency.Servers(t.Context(), "", concurrency.ServersConfig{Clients: 200, Work: time.Second}),
		"delay is 0s, and goes from 1ms to 1s":     concurrency.Conversation(t.Context(), "", 0),
		"networks is 0, and goes from 1 to 10":     concurrency.Weather(t.Context(), ""),
		"mine: invalid configuration: Loss is 0.6": concurrency.Weather(t.Context(), "", concurrency.Conditions{Name: "mine", Loss: 0.6}),
		"within 15 s is 10, and goes from 1866":    concurrency.Weather(t.Context(), "", concurrency.Conditions{Rate: 10}),
		"piece is 65508, and goes from 1 to 65507": concurrency.Flow(t.Context(), "", 1, 65_508),
		"Full is 1h0m0s, and goes from 1ms to 2s":  concurrency.Speeds(t.Context(), "", concurrency.SpeedConfig{Full: time.Hour}),
		"Next is -1, and goes from 1 to 10000":     concurrency.Speeds(t.Context(), "", concurrency.SpeedConfig{Next: -1}),
	} {
		require.ErrorIs(t, err, concurrency.ErrConfig, want)
		require.ErrorContains(t, err, want)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "results.json")
	require.ErrorIs(t, concurrency.Table(file), exercise.ErrNothing)
	require.NoError(t, flow(t.Context(), ""), "an empty name keeps nothing")
	err := flow(t.Context(), filepath.Join(dir, "none", "results.json"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), dir)
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = concurrency.Load(file)
	require.ErrorContains(t, err, "cannot read the results")
	require.ErrorContains(t, flow(t.Context(), file), "cannot read the results")
}

// TestRows: the table has the rows of the course, and figures only of what was measured.
func TestRows(t *testing.T) {
	rows := concurrency.Rows(concurrency.Results{})
	require.Len(t, rows, 14)
	for _, r := range rows {
		require.NotEmpty(t, r.TCP, r.Feature)
		require.NotEmpty(t, r.UDP, r.Feature)
		if r.How != concurrency.Shown {
			require.Equal(t, concurrency.Explained, r.How, r.Feature)
		}
	}
	ms := time.Millisecond
	transfer := func(protocol string, delivered int) *concurrency.Transfer {
		t := &concurrency.Transfer{Protocol: protocol, Sent: make([]time.Duration, 4), Arrived: make([]time.Duration, 4), Delivered: delivered}
		for i := range delivered {
			t.Arrived[i] = ms
		}
		return t
	}
	flow := &concurrency.FlowResult{Ends: []concurrency.FlowEnd{
		{Protocol: "tcp", Accepted: 4_000_000, Stopped: true, Arrived: 4_000_000}, {Protocol: "udp", Accepted: 32_000_000, Arrived: 90_000},
	}}
	rows = concurrency.Rows(concurrency.Results{
		Conversation: &concurrency.ConversationResult{
			Delay: 10 * ms,
			TCP:   &concurrency.Exchange{Answered: 41 * ms, Packets: []concurrency.Packet{{IP: 20, Header: 40}, {IP: 20, Header: 32, Data: 5}}},
			UDP:   &concurrency.Exchange{Answered: 21 * ms, Packets: []concurrency.Packet{{IP: 20, Header: 8, Data: 5}}},
		},
		Weather: &concurrency.WeatherResult{Cases: []concurrency.WeatherCase{
			{Conditions: concurrency.Conditions{Name: concurrency.Loss, Loss: 0.1}, TCP: transfer("tcp", 4), UDP: transfer("udp", 3)},
			{Conditions: concurrency.Conditions{Name: concurrency.Narrow}, UDP: transfer("udp", 2)},
		}},
		Flow: flow,
	})
	var text strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&text, "%s | %s | %s | %s\n", r.Feature, r.TCP, r.UDP, r.How)
	}
	for _, want := range []string{
		"answered after 2.0 round trips | none", "(RFC 9293): here 32 to 40", "117 bytes on the wire for 5 bytes of data | 33 bytes",
		"4 of 4 messages with 10 % loss | as good as the network: 3 of 4 messages | measured", "4.0 MB", "90 kB arrived | measured",
		"Congestion control | slows down when the network is full | none: that is the program's duty (RFC 8085) | explained",
	} {
		require.Contains(t, text.String(), want)
	}
}

func TestSockets(t *testing.T) {
	server, client, err := concurrency.Sockets()
	require.NoError(t, err)
	defer server.Close()
	defer client.Close()
	_, err = client.Write([]byte("hello"))
	require.NoError(t, err)
	b := make([]byte, 10)
	n, from, err := server.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "hello", string(b[:n]))
	require.Equal(t, client.LocalAddr().String(), from.String())
}

func TestPair(t *testing.T) {
	for _, protocol := range []string{"tcp", "udp"} {
		sender, receiver, err := concurrency.Pair(protocol)
		require.NoError(t, err)
		_, err = sender.Write([]byte("hello"))
		require.NoError(t, err)
		b := make([]byte, 10)
		require.NoError(t, receiver.SetReadDeadline(time.Now().Add(time.Second)))
		n, err := receiver.Read(b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b[:n]))
		require.NoError(t, sender.Close())
		require.NoError(t, receiver.Close())
	}
}

// printed returns what f prints.
func printed(t *testing.T, f func() error) string {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	err = f()
	require.NoError(t, w.Close())
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

func writeFrame(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

func readFrame(r io.Reader) ([]byte, error) {
	length := make([]byte, 2)
	if _, err := io.ReadFull(r, length); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length))
	_, err := io.ReadFull(r, message)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the stream ended behind the length
	}
	return message, err
}

// writeLine and readLine mark the end of a message by a line break, and write it in letters that
// have none.
func writeLine(w io.Writer, message []byte) error {
	_, err := fmt.Fprintf(w, "%x\n", message)
	return err
}

func readLine(r io.Reader) ([]byte, error) {
	return until(r, '\n', func(line []byte) ([]byte, error) { return hex.DecodeString(string(line)) })
}

// until reads byte by byte, up to a delimiter.
func until(r io.Reader, delimiter byte, decode func([]byte) ([]byte, error)) ([]byte, error) {
	var line []byte
	for {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			if len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if b[0] == delimiter {
			return decode(line)
		}
		line = append(line, b[0])
	}
}

func TestCheckFrames(t *testing.T) {
	check := func(write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) string {
		return printed(t, func() error { return concurrency.CheckFrames(t.Context(), write, read) })
	}
	plain := func(w io.Writer, m []byte) error { _, err := w.Write(m); return err }
	bare := func(r io.Reader) ([]byte, error) {
		b := make([]byte, 1500)
		n, err := r.Read(b)
		return b[:n], err
	}
	require.Contains(t, check(plain, bare), `"first" was written, and read returned "f"`)
	require.Contains(t, check(plain, func(r io.Reader) ([]byte, error) { return io.ReadAll(r) }), `✗ Not yet: "first" was written`)
	require.Contains(t, check(writeFrame, func(io.Reader) ([]byte, error) { panic("oh") }), "panicked: oh")
	require.Contains(t, check(func(io.Writer, []byte) error { return io.ErrShortWrite }, readFrame), "write returned short write")

	// delimited ends a message with some bytes, which may also be in it.
	delimited := func(end string) func(io.Writer, []byte) error {
		return func(w io.Writer, m []byte) error { _, err := w.Write(append(m[:len(m):len(m)], end...)); return err }
	}
	undelimited := func(end string) func(io.Reader) ([]byte, error) {
		return func(r io.Reader) ([]byte, error) {
			var got []byte
			for {
				m, err := until(r, end[len(end)-1], func(m []byte) ([]byte, error) { return m, nil })
				if got = append(append(got, m...), end[len(end)-1]); err != nil {
					return nil, err
				}
				if message, ok := bytes.CutSuffix(got, []byte(end)); ok {
					return message, nil
				}
			}
		}
	}
	for _, end := range []string{"\n", "\x00", "\r\n.\r\n", "\xff--this is the end"} {
		require.Contains(t, check(delimited(end), undelimited(end)), "and read returned", end)
	}
	require.Contains(t, check(func(w io.Writer, m []byte) error {
		_, err := w.Write(append([]byte{byte(len(m))}, m...))
		return err
	}, func(r io.Reader) ([]byte, error) {
		var length [1]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return nil, err
		}
		m := make([]byte, length[0])
		_, err := io.ReadFull(r, m)
		return m, err
	}), `"long long long long " was written, and read returned`)

	// reading changes what a right read says of an error.
	reading := func(change func([]byte, error) ([]byte, error)) func(io.Reader) ([]byte, error) {
		return func(r io.Reader) ([]byte, error) { return change(readFrame(r)) }
	}
	truncated := "bytes of a message, and read returned io.EOF"
	require.Contains(t, check(writeFrame, reading(func(m []byte, err error) ([]byte, error) {
		if err != nil {
			err = io.EOF
		}
		return m, err
	})), "ended after 1 of the 8 "+truncated)
	require.Contains(t, check(writeFrame, func(r io.Reader) ([]byte, error) {
		length := make([]byte, 2)
		if _, err := io.ReadFull(r, length); err != nil {
			return nil, err
		}
		m := make([]byte, binary.BigEndian.Uint16(length))
		_, err := io.ReadFull(r, m)
		return m, err // io.EOF if there is no byte at all
	}), "ended after 2 of the 8 "+truncated)
	require.Contains(t, check(writeFrame, func(r io.Reader) ([]byte, error) {
		length := make([]byte, 2)
		if _, err := io.ReadFull(r, length); err != nil {
			return nil, err
		}
		m := make([]byte, binary.BigEndian.Uint16(length))
		n, err := io.ReadFull(r, m)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return m[:n], err
	}), "of the 8 bytes of a message")
	require.Contains(t, check(writeFrame, reading(func(m []byte, err error) ([]byte, error) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return m, err
	})), "at the end of the stream")
	// What it reads next is made up, which may be a message, too.
	require.Regexp(t, "and not the message|was written, and read returned", check(writeFrame, func(r io.Reader) ([]byte, error) { return readFrame(bufio.NewReader(r)) }),
		"it reads ahead, and forgets what it has read")
	require.Contains(t, check(writeFrame, func(r io.Reader) ([]byte, error) {
		for {
			if m, err := readFrame(r); err == nil {
				return m, nil
			}
		}
	}), "tried 1000 times to read on")
}

func TestCheckAsk(t *testing.T) {
	check := func(ask func(net.Conn, string) (string, error)) string {
		return printed(t, func() error { return concurrency.CheckAsk(t.Context(), ask) })
	}
	// burst asks n times, with rests, and then reads.
	burst := func(n int, rest time.Duration) func(net.Conn, string) (string, error) {
		return func(conn net.Conn, question string) (string, error) {
			b := make([]byte, 1500)
			for {
				for i := range n {
					if i > 0 {
						time.Sleep(rest)
					}
					_, _ = conn.Write([]byte(question))
				}
				_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				for {
					n, err := conn.Read(b)
					if err != nil {
						break
					}
					if answer := string(b[:n]); good(question, answer) {
						return answer, nil
					}
				}
			}
		}
	}
	require.Contains(t, check(burst(20, 0)), `"question 1" came 20 times within`)
	require.Contains(t, check(burst(20, time.Millisecond)), `"question 1" came 20 times within`)
	require.Contains(t, check(burst(2, 0)), `"question 1" came 2 times within`)
	require.Contains(t, check(burst(2, 50*time.Millisecond)), "after their replies had been sent")
	require.Contains(t, check(func(_ net.Conn, question string) (string, error) { return strings.ToUpper(question), nil }), "heard the question not at all")
	require.Contains(t, check(func(_ net.Conn, question string) (string, error) { return strings.ToUpper(question) + ": 42", nil }), "heard the question not at all")
	require.Contains(t, check(func(conn net.Conn, question string) (string, error) {
		_, err := asking(wait, 20, good, same)(conn, question)
		return strings.ToUpper(question), err
	}), "a number in it which nobody else knows")
	require.Contains(t, check(func(conn net.Conn, question string) (string, error) {
		b := make([]byte, 1500)
		_, _ = conn.Write([]byte(question))
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := conn.Read(b)
		return string(b[:n]), err
	}), "which the server has heard once")
	require.Contains(t, check(asking(wait, 20, func(_, _ string) bool { return true }, same)), "came late, or twice")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.Contains(t, printed(t, func() error {
		return concurrency.CheckAsk(ctx, func(conn net.Conn, q string) (string, error) {
			_, _ = conn.Write([]byte(q))
			_, err := io.ReadFull(conn, make([]byte, 1e6)) // waits for what never comes
			return "", err
		})
	}), "what does it wait for?")
}

// askApart has a socket for each time of asking, at which no old answer comes.
func askApart(conn net.Conn, question string) (string, error) {
	once := func() (string, error) {
		own, err := net.Dial("udp4", conn.RemoteAddr().String())
		if err != nil {
			return "", err
		}
		defer own.Close()
		_, _ = own.Write([]byte(question))
		_ = own.SetReadDeadline(time.Now().Add(60 * time.Millisecond))
		b := make([]byte, 1500)
		n, err := own.Read(b)
		return string(b[:n]), err
	}
	for {
		if answer, err := once(); err == nil {
			return answer, nil
		}
	}
}

func ExampleRows() {
	for _, row := range concurrency.Rows(concurrency.Results{})[:2] {
		fmt.Printf("%s: %s | %s (%s)\n", row.Feature, row.TCP, row.UDP, row.How)
	}
	// Output:
	// Connection: first a connection, which both ends remember and close | none: each datagram stands for itself (explained)
	// Connection setup: a handshake (SYN, SYN ACK, ACK): one round trip before the question | none: the question is the first packet (explained)
}

// TestTimeline: outside of a notebook there is a line for each datagram, of all clients.
func TestTimeline(t *testing.T) {
	text := printed(t, func() error { return concurrency.Timeline(t.Context(), echo.Sequential, 2) })
	for _, want := range []string{"client 1 → server: text Hello from client 1", "client 2 → server: text Hello from client 2", "server → client 1: text Message received", "server → client 2: text Message received"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "lost")
	for _, clients := range []int{0, 8} {
		require.ErrorContains(t, concurrency.Timeline(t.Context(), echo.Sequential, clients), "1 to 7 clients")
	}
}
