package concurrency

import (
	"bytes"
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// checkTime is how long the reader's functions may take for all of a check.
const checkTime = 5 * time.Second

// attempt calls the reader's function and returns what is missing, or what it has left behind, see
// [exercise.Call.LeftBehind]. When the time is up, or the context ends, it calls stop, which has to
// end the function's reads and writes, and waits no longer.
func attempt(ctx context.Context, f func() (missing string), stop func()) (missing string) {
	found := ""
	call := exercise.Start(func() error {
		found = f()
		return nil
	})
	err, ended := call.Within(ctx, checkTime)
	left := ""
	if ended {
		left = call.LeftBehind()
	}
	stop()
	switch {
	case !ended:
		call.Within(context.Background(), time.Second) // it may do something else than read or write
		return fmt.Sprintf("it had not come to an end after %v; what does it wait for?", checkTime)
	case err != nil:
		return err.Error()
	case found == "":
		return left
	}
	return found
}

// CheckFrames checks the first exercise: write puts a message on a stream in a way that lets read
// find its end. A read at the end of the stream returns io.EOF, and one that finds only a part of a
// message any other error.
func CheckFrames(ctx context.Context, write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) error {
	var x exercise.Exchange
	missing, err := checkFrames(ctx, &x, write, read)
	return x.Report(ctx, missing, err)
}

func checkFrames(ctx context.Context, x *exercise.Exchange, write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) (missing string, err error) {
	messages := [][]byte{[]byte("first"), []byte("second"), {}, bytes.Repeat([]byte("long "), 60), []byte("two\nlines\x00"), noise(20_000)}
	// A stream may be delivered in any pieces.
	for _, piece := range []int{1, 1 << 20} {
		sender, receiver, err := Pair("tcp")
		if err != nil {
			return "", err
		}
		x.Clear()
		x.Call(service.AddrOf(receiver.LocalAddr()), "read")
		stream := service.RecordConn(x.Role("write"), sender.(*net.TCPConn), true)
		missing := attempt(ctx, func() string {
			return carry(stream, &pieces{Reader: receiver, most: piece}, messages, write, read)
		}, func() { _ = errors.Join(sender.Close(), receiver.Close()) })
		if missing != "" {
			return missing, nil
		}
	}
	x.Clear() // the rest does without a network
	for _, f := range []func(func(io.Writer, []byte) error, func(io.Reader) ([]byte, error)) string{cut, whole, apart} {
		if missing := attempt(ctx, func() string { return f(write, read) }, func() {}); missing != "" {
			return missing, nil
		}
	}
	return "", nil
}

// noise returns bytes that nobody can guess, or make shorter.
func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = crand.Read(b) // never fails
	return b
}

// whole looks at what write puts on the stream: all of the message, and the message stays as it is.
func whole(write func(io.Writer, []byte) error, _ func(io.Reader) ([]byte, error)) (missing string) {
	message := noise(1000)
	given, stream := bytes.Clone(message), bytes.Buffer{}
	if err := write(&stream, given); err != nil {
		return fmt.Sprintf("write returned %v", err)
	}
	switch {
	case !bytes.Equal(given, message):
		return "write has changed the message that it was given: it is the caller's"
	case stream.Len() < len(message):
		return fmt.Sprintf("write put %d bytes on the stream for a message of %d. Whoever reads may be on another machine: all of it has to be in the stream", stream.Len(), len(message))
	}
	return told(write)
}

// told sees to it that an error of the stream is told.
func told(write func(io.Writer, []byte) error) (missing string) {
	for limit := range 3 {
		if err := write(&brokenStream{limit}, []byte("lost")); err == nil {
			return fmt.Sprintf("the stream took %d bytes and returned an error, and write returned nil", limit)
		}
	}
	return ""
}

// brokenStream is one that takes so many more bytes.
type brokenStream struct{ room int }

// Write implements io.Writer.
func (f *brokenStream) Write(b []byte) (int, error) {
	n := min(f.room, len(b))
	if f.room -= n; n < len(b) {
		return n, errors.New("the connection is broken")
	}
	return n, nil
}

// apart reads two streams in turn, and looks at what it was given before once more.
func apart(write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) (missing string) {
	const count = 4
	var streams [2]bytes.Buffer
	var readers [2]io.Reader
	var want, got [][]byte
	for i := range 2 * count {
		m := fmt.Appendf(nil, "message %d of stream %d: %x", 1+i/2, 1+i%2, rand.Uint64())
		want = append(want, m)
		if err := write(&streams[i%2], bytes.Clone(m)); err != nil {
			return fmt.Sprintf("write returned %v", err)
		}
	}
	for i := range readers {
		readers[i] = &pieces{Reader: &streams[i], most: 1 << 20}
	}
	for i, m := range want {
		b, err := read(readers[i%2])
		if err != nil || !bytes.Equal(b, m) {
			return fmt.Sprintf("of two streams that are read in turn, read returned %.30q and the error %v, and not %.30q. What does it keep from one call to the next?", b, err, m)
		}
		got = append(got, b)
	}
	for i, m := range want {
		if !bytes.Equal(got[i], m) {
			return fmt.Sprintf("read returned %.30q, and after later calls the same slice holds %.30q. Each message needs bytes of its own", m, got[i])
		}
	}
	return ""
}

// carry sends messages, and says what is wrong with what comes out.
func carry(sender *service.RecordedConn, stream io.Reader, messages [][]byte, write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) (missing string) {
	// Whatever marks the end of a message may also be in one: here is what write makes of two of
	// them.
	var frames bytes.Buffer
	for _, m := range messages[:2] {
		if err := write(&frames, m); err != nil {
			return fmt.Sprintf("write returned %v", err)
		}
	}
	messages = append(messages[:len(messages):len(messages)], frames.Bytes())
	for _, m := range messages {
		if err := write(sender, m); err != nil {
			return fmt.Sprintf("write returned %v", err)
		}
	}
	if err := sender.CloseWrite(); err != nil {
		return err.Error()
	}
	for _, m := range messages {
		got, err := read(stream)
		if err != nil {
			return fmt.Sprintf("read returned the error %v, and not the message %.20q", err, m)
		}
		if !bytes.Equal(got, m) {
			return fmt.Sprintf("%.20q was written, and read returned %.20q", m, got)
		}
	}
	if got, err := read(stream); !errors.Is(err, io.EOF) {
		return fmt.Sprintf("all messages are there, but at the end of the stream read returned %.20q and the error %v, not io.EOF", got, err)
	}
	return ""
}

// cut ends a stream at each place inside a message.
func cut(write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) (missing string) {
	first, second := []byte("first"), []byte("second")
	var stream bytes.Buffer
	if err := write(&stream, first); err != nil {
		return fmt.Sprintf("write returned %v", err)
	}
	begin := stream.Len()
	if err := write(&stream, second); err != nil {
		return fmt.Sprintf("write returned %v", err)
	}
	size := stream.Len() - begin
	for n := 1; n < min(size, 100); n++ {
		broken := &pieces{Reader: bytes.NewReader(stream.Bytes()[:begin+n]), most: begin}
		if got, err := read(broken); err != nil || !bytes.Equal(got, first) {
			return fmt.Sprintf("%q was written, and read returned %.20q and the error %v", first, got, err)
		}
		got, err := read(broken)
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Sprintf("the stream ended after %d of the %d bytes of a message, and read returned io.EOF, as if nothing were missing. Return another error, such as io.ErrUnexpectedEOF", n, size)
		case err == nil && !bytes.Equal(got, second): // some ways to mark an end do not need the last byte
			return fmt.Sprintf("the stream ended after %d of the %d bytes of a message, and read returned %.20q without an error", n, size, got)
		}
	}
	return ""
}

// pieces returns at most this many bytes from each Read.
type pieces struct {
	io.Reader
	most  int
	ended int // reads after the end
}

// endedReads is how often a stream may be read after its end.
const endedReads = 1000

// Read implements io.Reader.
func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b[:min(p.most, len(b))])
	if err != nil {
		if p.ended++; p.ended > endedReads { // ends a reader that never stops
			panic(fmt.Sprintf("the stream has ended (%v), and read tried %d times to read on", err, endedReads))
		}
	}
	return n, err
}

// wait is how long the second exercise waits for an answer before it asks again.
const wait = 50 * time.Millisecond

// CheckAsk checks the second exercise: ask sends a question over UDP and returns the answer to it,
// on a network that loses a third of all datagrams and repeats some. The answer is the question in
// capital letters, a colon, a space, and a number that only the server knows.
func CheckAsk(ctx context.Context, ask func(conn net.Conn, question string) (string, error)) error {
	var x exercise.Exchange
	missing, err := checkAsk(ctx, &x, ask)
	return x.Report(ctx, missing, err)
}

func checkAsk(ctx context.Context, x *exercise.Exchange, ask func(net.Conn, string) (string, error)) (missing string, err error) {
	client, conn, err := exercise.Pair()
	if err != nil {
		return "", err
	}
	const questions = 12
	stranger, err := exercise.Stranger()
	if err != nil {
		return "", errors.Join(err, client.Close(), conn.Close())
	}
	defer stranger.Close()
	server := badServer{
		UDPConn: conn, stranger: stranger, answers: make(map[string]string),
		side: x.Side("server", conn.LocalAddr()), strange: x.Side("a stranger", stranger.LocalAddr()),
	}
	x.Call(service.AddrOf(client.LocalAddr()), "ask")
	for n := 1; n <= questions; n++ {
		question := fmt.Sprintf("question %d", n)
		server.answers[question] = fmt.Sprintf("%s: %d", strings.ToUpper(question), rand.Uint32())
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.serve()
	}()
	before := exercise.Connected(conn.LocalAddr())
	missing = attempt(ctx, func() string {
		for n := 1; n <= questions; n++ {
			question, began := fmt.Sprintf("question %d", n), time.Now()
			got, err := ask(client, question)
			open := exercise.LeftOpen(conn.LocalAddr(), before)
			exercise.CatchUp(conn.LocalAddr())
			if missing := server.judge(question, got, err, began); missing != "" || open != "" {
				return cmp.Or(missing, open)
			}
		}
		if missing := server.record.Slow(wait); missing != "" {
			return missing
		}
		return server.record.Needless(questions / 3)
	}, func() { _ = client.Close() })
	err = server.Close()
	<-served
	return missing, err
}

// badServer is at the end of a network that the seed makes bad.
type badServer struct {
	*net.UDPConn
	stranger net.PacketConn // at another port
	answers  map[string]string
	record   exercise.Record
	// What goes over the network. What ask reads of it is not seen.
	side, strange exercise.Side
}

func (s *badServer) serve() {
	dice := rand.New(rand.NewPCG(weatherSeed, 0))
	buf := make([]byte, 1500)
	for {
		n, from, err := s.ReadFromUDP(buf)
		if err != nil {
			return
		}
		question := string(buf[:n])
		if question == exercise.Mark {
			_, _ = s.WriteTo(buf[:n], from)
		}
		answer, known := s.answers[question]
		if !known {
			continue
		}
		times := 0
		if dice.Float64() > 1./3 { // the question was not lost
			times = 1 + dice.IntN(2)
		}
		s.record.Heard(question)
		lie := fmt.Appendf(nil, "%s: %d", strings.ToUpper(question), rand.Uint32())
		if times == 0 {
			s.side.Missed(from, buf[:n])
		} else {
			s.side.Received(from, buf[:n])
		}
		s.strange.Sent(from, lie)
		_, _ = s.stranger.WriteTo(lie, from)
		for range times {
			s.record.Replies(question)
			s.side.Sent(from, []byte(answer))
			_, _ = s.WriteTo([]byte(answer), from) // a lost answer is asked for again
		}
	}
}

// judge says what is wrong with the answer to a question that ask began to ask at a time.
func (s *badServer) judge(question, got string, err error, began time.Time) (missing string) {
	if missing := s.record.Hasty(question, began, wait); missing != "" {
		return missing
	}
	times, _ := s.record.Times(question)
	switch {
	case err != nil:
		return fmt.Sprintf("ask returned the error %v for %q, which the server has heard %s", err, question, exercise.Often(times))
	case got == s.answers[question]:
		return ""
	case strings.HasPrefix(got, strings.ToUpper(question)):
		return fmt.Sprintf("to %q ask returned %q, which is not what the server says: that has a number in it which nobody else knows. It has heard the question %s", question, got, exercise.Often(times))
	}
	return fmt.Sprintf("to %q ask returned %q: a datagram that came late, or twice?", question, got)
}
