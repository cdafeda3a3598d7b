package concurrency_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/concurrency"
)

type (
	writing = func(io.Writer, []byte) error
	reading = func(io.Reader) ([]byte, error)
)

func TestWrongFrames(t *testing.T) {
	check := func(write writing, read reading) string {
		return printed(t, func() error { return concurrency.CheckFrames(t.Context(), write, read) })
	}
	var shelf [][]byte // what never was on the stream
	var ahead *bufio.Reader
	var one [1 << 16]byte
	var left bytes.Buffer
	for name, wrong := range map[string]struct {
		write writing
		read  reading
	}{
		"a number on the stream, and the message beside it": {func(w io.Writer, m []byte) error {
			shelf = append(shelf, bytes.Clone(m))
			return binary.Write(w, binary.BigEndian, uint32(len(shelf)-1))
		}, func(r io.Reader) ([]byte, error) {
			var n [4]byte
			if _, err := io.ReadFull(r, n[:]); err != nil {
				return nil, err
			}
			return shelf[binary.BigEndian.Uint32(n[:])], nil
		}},
		"no stream at all": {func(_ io.Writer, m []byte) error { shelf = append(shelf, bytes.Clone(m)); return nil }, func(io.Reader) ([]byte, error) {
			if len(shelf) == 0 {
				return nil, io.EOF
			}
			m := shelf[0]
			shelf = shelf[1:]
			return m, nil
		}},
		"one buffer for all messages": {writeFrame, func(r io.Reader) ([]byte, error) {
			m, err := readFrame(r)
			return one[:copy(one[:], m)], err
		}},
		"one bufio.Reader for all streams": {writeFrame, func(r io.Reader) ([]byte, error) {
			if ahead == nil {
				ahead = bufio.NewReader(r)
			}
			return readFrame(ahead)
		}},
		"what is left over, for all streams": {writeFrame, func(r io.Reader) ([]byte, error) {
			b := make([]byte, 1<<17)
			for {
				if m := left.Bytes(); len(m) >= 2 && len(m) >= 2+int(binary.BigEndian.Uint16(m)) {
					return bytes.Clone(left.Next(2 + int(binary.BigEndian.Uint16(m)))[2:]), nil
				}
				n, err := r.Read(b)
				left.Write(b[:n])
				if n == 0 && err != nil {
					if left.Len() > 0 {
						left.Reset()
						return nil, io.ErrUnexpectedEOF
					}
					return nil, err
				}
			}
		}},
		"one Read for the message": {writeFrame, func(r io.Reader) ([]byte, error) {
			length := make([]byte, 2)
			if _, err := io.ReadFull(r, length); err != nil {
				return nil, err
			}
			m := make([]byte, binary.BigEndian.Uint16(length))
			n, err := r.Read(m)
			return m[:n], err
		}},
		"at most 1500 bytes": {writeFrame, func(r io.Reader) ([]byte, error) {
			m, err := readFrame(r)
			return m[:min(len(m), 1500)], err
		}},
		"padded to 1024 bytes": {func(w io.Writer, m []byte) error {
			b := make([]byte, 1024)
			copy(b, m)
			_, err := w.Write(b)
			return err
		}, func(r io.Reader) ([]byte, error) {
			b := make([]byte, 1024)
			_, err := io.ReadFull(r, b)
			return bytes.TrimRight(b, "\x00"), err
		}},
		"turns the message round where it lies": {func(w io.Writer, m []byte) error {
			for i := range m {
				m[i] ^= 0xff
			}
			return writeFrame(w, m)
		}, func(r io.Reader) ([]byte, error) {
			m, err := readFrame(r)
			for i := range m {
				m[i] ^= 0xff
			}
			return m, err
		}},
		"says nothing of a write that failed": {func(w io.Writer, m []byte) error { _ = writeFrame(w, m); return nil }, readFrame},
		"says nothing of the second write": {func(w io.Writer, m []byte) error {
			_, err := w.Write(binary.BigEndian.AppendUint16(nil, uint16(len(m))))
			_, _ = w.Write(m)
			return err
		}, readFrame},
		"as text": {func(w io.Writer, m []byte) error { _, err := fmt.Fprintln(w, string(m)); return err }, func(r io.Reader) ([]byte, error) {
			return until(r, '\n', func(m []byte) ([]byte, error) { return m, nil })
		}},
		"JSON, read ahead": {func(w io.Writer, m []byte) error { return json.NewEncoder(w).Encode(m) }, func(r io.Reader) (m []byte, err error) {
			err = json.NewDecoder(r).Decode(&m)
			return m, err
		}},
		"an empty message is not sent": {func(w io.Writer, m []byte) error {
			if len(m) == 0 {
				return nil
			}
			return writeFrame(w, m)
		}, readFrame},
		"base64 cut at a word": {func(w io.Writer, m []byte) error {
			_, err := fmt.Fprintf(w, "%s ", base64.StdEncoding.EncodeToString(m))
			return err
		}, func(r io.Reader) ([]byte, error) {
			var word string
			if _, err := fmt.Fscan(r, &word); err != nil {
				return nil, err
			}
			return base64.StdEncoding.DecodeString(word)
		}},
		"leaves a goroutine that reads on": {writeFrame, func(r io.Reader) ([]byte, error) {
			m, err := readFrame(r)
			if err != nil {
				go func() { <-t.Context().Done() }()
			}
			return m, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			shelf = nil
			require.Contains(t, check(wrong.write, wrong.read), "✗ Not yet")
		})
	}
}

// asking has a socket, and asks with a pause until an answer is good.
func asking(pause time.Duration, times int, good func(question, answer string) bool, dial func(net.Conn) (net.Conn, error)) func(net.Conn, string) (string, error) {
	return func(conn net.Conn, question string) (string, error) {
		conn, err := dial(conn)
		if err != nil {
			return "", err
		}
		b := make([]byte, 1500)
		for range times {
			_, _ = conn.Write([]byte(question))
			_ = conn.SetReadDeadline(time.Now().Add(pause))
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
		return "", errors.New("no answer")
	}
}

// wait is how long an answer may take.
const wait = 50 * time.Millisecond

func good(question, answer string) bool {
	return strings.HasPrefix(answer, strings.ToUpper(question)+": ")
}

func same(conn net.Conn) (net.Conn, error) { return conn, nil }

// unconnected is a socket that hears everybody.
type unconnected struct {
	net.PacketConn
	to net.Addr
}

func (u unconnected) Read(b []byte) (int, error) {
	n, _, err := u.ReadFrom(b)
	return n, err
}
func (u unconnected) Write(b []byte) (int, error) { return u.WriteTo(b, u.to) }
func (u unconnected) RemoteAddr() net.Addr        { return u.to }

func TestWrongAsks(t *testing.T) {
	check := func(ask func(net.Conn, string) (string, error)) string {
		return printed(t, func() error { return concurrency.CheckAsk(t.Context(), ask) })
	}
	own := func(conn net.Conn) (net.Conn, error) { return net.Dial("udp4", conn.RemoteAddr().String()) }
	last := ""
	for name, wrong := range map[string]struct {
		ask  func(net.Conn, string) (string, error)
		want string
	}{
		"waits a little less": {asking(30*time.Millisecond, 30, good, same), "came"},
		"waits far too long":  {asking(200*time.Millisecond, 30, good, same), ""}, // "wait 50ms", or no time is left
		"asks three times":    {asking(wait, 3, func(string, string) bool { return false }, same), "which the server has heard"},
		"a socket that hears others": {asking(wait, 30, good, func(conn net.Conn) (net.Conn, error) {
			socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
			return unconnected{socket, conn.RemoteAddr()}, err
		}), "which is not what the server says"},
		"leaves its sockets open": {asking(wait, 30, good, own), "left a socket open"},
		"leaves a goroutine": {func(conn net.Conn, question string) (string, error) {
			go func() { <-t.Context().Done() }()
			return asking(wait, 30, good, same)(conn, question)
		}, "left"},
		"any answer to a question": {asking(wait, 30, func(_, answer string) bool { return strings.HasPrefix(answer, "QUESTION ") }, same), "came late, or twice"},
		"the answer of before": {func(conn net.Conn, question string) (string, error) {
			answer, err := asking(wait, 30, good, same)(conn, question)
			answer, last = last, answer
			return answer, err
		}, "came late, or twice"},
		"without the number": {func(conn net.Conn, question string) (string, error) {
			answer, err := asking(wait, 30, good, same)(conn, question)
			answer, _, _ = strings.Cut(answer, ": ")
			return answer, err
		}, "not what the server says"},
		"in small letters": {func(conn net.Conn, question string) (string, error) {
			answer, err := asking(wait, 30, good, same)(conn, question)
			return strings.ToLower(answer), err
		}, "returned"},
		"the answer and an error": {func(conn net.Conn, question string) (string, error) {
			answer, _ := asking(wait, 30, good, same)(conn, question)
			return answer, io.EOF
		}, "returned the error EOF"},
		"asks once more, to be sure": {func(conn net.Conn, question string) (string, error) {
			answer, err := asking(wait, 30, good, same)(conn, question)
			_, _ = conn.Write([]byte(question))
			return answer, err
		}, ""},
		"panics when nothing comes": {func(conn net.Conn, question string) (string, error) {
			answer, err := asking(wait, 1, good, same)(conn, question)
			if err != nil {
				panic(err)
			}
			return answer, nil
		}, "panicked"},
		"never sets a deadline": {func(conn net.Conn, question string) (string, error) {
			b := make([]byte, 1500)
			_, _ = conn.Write([]byte(question))
			n, err := conn.Read(b)
			return string(b[:n]), err
		}, "what does it wait for"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "leaves its sockets open" && runtime.GOOS == "windows" {
				t.Skip("this system does not tell what is open")
			}
			require.Regexp(t, "(?s)✗ Not yet.*"+wrong.want, check(wrong.ask))
		})
	}
}
