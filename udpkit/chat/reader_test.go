package chat_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
)

// stream is a connection that has all its bytes ready, in pieces of a size.
type stream struct {
	bytes []byte
	piece int
}

func (s *stream) SetReadDeadline(time.Time) error { return nil }

func (s *stream) Read(p []byte) (int, error) {
	if len(s.bytes) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.bytes)
	s.bytes = s.bytes[n:]
	return n, nil
}

// readAll returns all messages and what the stream ended with.
func readAll(s *stream, cfg chat.ReaderConfig) (messages []string, err error) {
	r := chat.NewReader(s, cfg)
	for {
		text, err := r.Next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, text)
	}
}

func TestReaderFraming(t *testing.T) {
	long := strings.Repeat("x", 10)
	for _, test := range []struct {
		name, sent string
		messages   []string
		err        error
	}{
		{"nothing", "", nil, io.EOF},
		{"a line", "hello\n", []string{"hello"}, io.EOF},
		{"lines", "a\nb\r\nc\n", []string{"a", "b", "c"}, io.EOF},
		{"empty lines", "\n\r\n  \n\t\na\n\n", []string{"a"}, io.EOF},
		{"a rest", "a\nb", []string{"a", "b"}, io.EOF},
		{"the longest", long + "\n" + long + "\r\n" + long, []string{long, long, long}, io.EOF},
		{"too long", "a\n" + long + "x\nb\n", []string{"a"}, chat.ErrLineTooLong},
		{"too long a rest", long + "x", nil, chat.ErrLineTooLong},
		{"never ends", strings.Repeat("x", 1000), nil, chat.ErrLineTooLong},
		{"many newlines", strings.Repeat("\n", 1000), nil, io.EOF},
		{"not UTF-8", "a\xffb\n", []string{"a\ufffdb"}, io.EOF},
		{"not UTF-8 at the end of a line", "a\xff\nb\xff\r\n", []string{"a\ufffd", "b\ufffd"}, io.EOF},
		{"PuTTY's negotiation", "\xff\xfb\x1f\xff\xfb\x20\xff\xfd\x03\xff\xfb\nhello\r\x00\xff\xfc\x01again\r\n", []string{"hello", "again"}, io.EOF},
		{"PuTTY's window size", "hi\xff\xfa\x1f\x00\n\xff\xff\r\n\xff\xf0!\n", []string{"hi!"}, io.EOF},
		{"CR NUL ends a line", "a\r\x00b\r\x00", []string{"a", "b"}, io.EOF},
		{"CR does not", "a\rb\n", []string{"a\ufffdb"}, io.EOF},
		{"a break, and the byte 255", "a\xff\xf3b\xff\xffc\n", []string{"ab\ufffdc"}, io.EOF},
		{"a negotiation that does not end", "a\n\xff\xfab\nc\n", []string{"a"}, io.EOF},
	} {
		for piece := range 12 {
			messages, err := readAll(&stream{[]byte(test.sent), piece + 1}, chat.ReaderConfig{MaxLine: 10})
			assert.Equal(t, test.messages, messages, "%s, %d bytes at a time", test.name, piece+1)
			assert.ErrorIs(t, err, test.err, test.name)
		}
	}
}

// reading reads from one end of a connection in simulated time, and says when.
type reading struct {
	peer net.Conn
	got  chan received
}

type received struct {
	text string
	err  error
	at   time.Duration // since the start
}

func startReading(t *testing.T, cfg chat.ReaderConfig) *reading {
	peer, conn := net.Pipe()
	r := &reading{peer: peer, got: make(chan received, 100)}
	begun := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := chat.NewReader(conn, cfg)
		for {
			text, err := lines.Next()
			r.got <- received{text, err, time.Since(begun)}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = peer.Close()
		_ = conn.Close()
		<-done
	})
	return r
}

func (r *reading) send(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(r.peer, text)
	require.NoError(t, err)
	synctest.Wait()
}

// nothing checks that no message has come.
func (r *reading) nothing(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-r.got:
		require.Fail(t, "too early", "%+v", got)
	default:
	}
}

func TestReaderPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startReading(t, chat.ReaderConfig{Pause: 200 * time.Millisecond})
		r.send(t, "no new")
		time.Sleep(150 * time.Millisecond)
		r.nothing(t)
		r.send(t, "line")
		time.Sleep(150 * time.Millisecond) // 300 ms after the first byte, 150 after the last
		r.nothing(t)
		assert.Equal(t, received{"no newline", nil, 350 * time.Millisecond}, <-r.got)

		r.send(t, "one\ntwo is not yet")
		assert.Equal(t, received{"one", nil, 350 * time.Millisecond}, <-r.got, "a newline is not waited for")
		time.Sleep(time.Hour)
		r.nothing(t) // who sends newlines ends all messages with one
		r.send(t, " over\n")
		assert.Equal(t, "two is not yet over", (<-r.got).text)
	})
}

func TestReaderKeepPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startReading(t, chat.ReaderConfig{Pause: 200 * time.Millisecond, KeepPause: true})
		r.send(t, "one\ntwo")
		assert.Equal(t, received{"one", nil, 0}, <-r.got)
		assert.Equal(t, received{"two", nil, 200 * time.Millisecond}, <-r.got)
	})
}

func TestReaderIdle(t *testing.T) {
	t.Run("silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := startReading(t, chat.ReaderConfig{Idle: time.Minute})
			time.Sleep(50 * time.Second)
			r.send(t, "\n") // Enter is a sign of life
			got := <-r.got
			assert.ErrorIs(t, got.err, chat.ErrIdle)
			assert.Equal(t, 110*time.Second, got.at)
		})
	})
	t.Run("drip feeding", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := startReading(t, chat.ReaderConfig{Idle: time.Minute})
			r.send(t, "a line\n")
			<-r.got
			for range 59 {
				time.Sleep(time.Second)
				r.send(t, "x")
			}
			r.nothing(t)
			got := <-r.got
			assert.ErrorIs(t, got.err, chat.ErrIdle)
			assert.Equal(t, time.Minute, got.at)
		})
	})
	t.Run("drip feeding below the pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := startReading(t, chat.ReaderConfig{Idle: 10 * time.Second, Pause: time.Second})
			for range 19 {
				r.send(t, "x")
				time.Sleep(500 * time.Millisecond)
			}
			r.nothing(t)
			r.send(t, "x")
			got := <-r.got
			assert.ErrorIs(t, got.err, chat.ErrIdle)
			assert.Equal(t, 10*time.Second, got.at)
		})
	})
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":                  "plain text",
		"Grüße, 世界, здравствуй":       "Grüße, 世界, здравствуй",
		"a\tb":                        "a b",
		"\x1b[2J\x1b]0;title\x07":     "\ufffd[2J\ufffd]0;title\ufffd",
		"\u202egnp.exe":               "\ufffdgnp.exe",
		"\u2066x\u2069":               "\ufffdx\ufffd",
		"a\u009b31mb":                 "a\ufffd31mb",
		"a\u2028b\u0085c\x7f":         "a\ufffdb\ufffdc\ufffd",
		"\xff\xfe":                    "\ufffd\ufffd",
		"❤\ufe0f 👩\u200d💻":            "❤ 👩💻",
		"zero\u200bwidth\u115ffiller": "zero\ufffdwidth\ufffdfiller",
		"\r\n":                        "\ufffd\ufffd",
	} {
		assert.Equal(t, want, chat.Clean(in), "%q", in)
	}
}

// FuzzReader: whatever comes in whatever pieces, messages are clean, bounded and the same, and
// nothing but empty lines is left out.
func FuzzReader(f *testing.F) {
	f.Add([]byte("hello\nworld"), uint8(3), uint8(20))
	f.Add([]byte("a\r\n\r\n\xff\x1b[2J\n"), uint8(1), uint8(10))
	f.Add([]byte("\xff\xfb\x1fhello\r\x00\xff\xfa\n\xff\xf0\n\xffx\xff"), uint8(1), uint8(5))
	f.Add([]byte("0123456789\r\n0123456789A\n"), uint8(7), uint8(10))
	f.Fuzz(func(t *testing.T, data []byte, piece, limit uint8) {
		max := int(limit) + 1
		cfg := chat.ReaderConfig{MaxLine: max}
		messages, err := readAll(&stream{data, int(piece) + 1}, cfg)
		whole, wholeErr := readAll(&stream{data, len(data) + 1}, cfg)
		require.Equal(t, whole, messages, "the pieces make a difference")
		require.Equal(t, wholeErr, err)
		if bytes.Contains(data, []byte{0xff}) || bytes.Contains(data, []byte("\r\x00")) {
			return // of Telnet's commands TestReaderFraming knows what is left
		}

		var want []string
		var tooLong bool
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			line = bytes.TrimSuffix(line, []byte("\r"))
			if tooLong = len(line) > max; tooLong {
				break
			}
			if text := chat.Clean(string(line)); strings.TrimSpace(text) != "" {
				want = append(want, text)
			}
		}
		require.Equal(t, want, messages)
		require.Equal(t, tooLong, errors.Is(err, chat.ErrLineTooLong), err)
		for _, m := range messages {
			require.True(t, utf8.ValidString(m))
			require.Equal(t, m, chat.Clean(m), "cleaning twice changes nothing")
			require.NotContains(t, m, "\x1b")
		}
	})
}

// FuzzName: what is accepted is short and plain.
func FuzzName(f *testing.F) {
	for _, name := range []string{"ann", "Server", "5erver", "a b", "1x", "аnn", "", "a\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if err := chat.CheckName(name); err != nil {
			require.ErrorIs(t, err, chat.ErrConfig)
			require.Less(t, len(err.Error()), 300)
			return
		}
		require.Regexp(t, `^[A-Za-z][A-Za-z0-9_-]{0,23}$`, name)
		require.NotEqual(t, "server", strings.ToLower(name))
	})
}

// The end of a stream is the end, also where its connection takes no deadline any more.
func TestReaderOfClosedPipe(t *testing.T) {
	peer, conn := net.Pipe()
	require.NoError(t, peer.Close())
	_, err := chat.NewReader(conn, chat.ReaderConfig{}).Next()
	assert.Equal(t, io.EOF, err)
	require.NoError(t, conn.Close())
	_, err = chat.NewReader(conn, chat.ReaderConfig{}).Next()
	assert.ErrorIs(t, err, io.ErrClosedPipe)
}

// TestReaderOfBrokenConnection: half a line of a connection that was reset is no message; a whole
// one before it is.
func TestReaderOfBrokenConnection(t *testing.T) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer listener.Close()
	for _, half := range []string{"", "transfer 1000 to", strings.Repeat("x", chat.MaxLine)} {
		peer, err := net.DialTCP("tcp4", nil, listener.Addr().(*net.TCPAddr))
		require.NoError(t, err)
		conn, err := listener.AcceptTCP()
		require.NoError(t, err)
		lines := chat.NewReader(conn, chat.ReaderConfig{})
		_, err = io.WriteString(peer, "whole\n"+half)
		require.NoError(t, err)
		text, err := lines.Next()
		require.NoError(t, err)
		assert.Equal(t, "whole", text)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		text, err = lines.Next()
		assert.Empty(t, text, "after %d bytes", len(half))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		require.NoError(t, conn.Close())
	}
}
