package concurrency_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/concurrency"
)

// TestRightAnswers: each of them passes, on a busy machine too. -count=50 is a good test.
func TestRightAnswers(t *testing.T) {
	for name, right := range map[string]struct {
		write writing
		read  reading
	}{
		"of the notebook": {writeFrame, readFrame},
		"lines":           {writeLine, readLine},
		"varints":         {writeVarint, readVarint},
	} {
		t.Run("frames/"+name, func(t *testing.T) {
			require.Contains(t, printed(t, func() error { return concurrency.CheckFrames(t.Context(), right.write, right.read) }), "✓")
		})
	}
	for name, ask := range map[string]func(net.Conn, string) (string, error){
		"of the notebook":        asking(wait, 20, good, same),
		"a socket each time":     askApart,
		"waits longer each time": askLonger,
	} {
		t.Run("ask/"+name, func(t *testing.T) {
			require.Contains(t, printed(t, func() error { return concurrency.CheckAsk(t.Context(), ask) }), "✓")
		})
	}
}

// writeVarint and readVarint put the length in front, in as few bytes as it needs.
func writeVarint(w io.Writer, m []byte) error {
	_, err := w.Write(binary.AppendUvarint(nil, uint64(len(m))))
	if err == nil && len(m) > 0 {
		_, err = w.Write(m)
	}
	return err
}

func readVarint(r io.Reader) ([]byte, error) {
	var length uint64
	for shift := 0; ; shift += 7 {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			if shift > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if length |= uint64(b[0]&0x7f) << shift; b[0] < 0x80 {
			break
		}
	}
	m := make([]byte, length)
	_, err := io.ReadFull(r, m)
	if length > 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return m, err
}

func askLonger(conn net.Conn, question string) (string, error) {
	b := make([]byte, 1500)
	for pause := wait; ; pause = min(2*pause, 4*wait) {
		_, _ = conn.Write([]byte(question))
		for end := time.Now().Add(pause); time.Now().Before(end); {
			_ = conn.SetReadDeadline(end)
			if n, err := conn.Read(b); err == nil && good(question, string(b[:n])) {
				return string(b[:n]), nil
			}
		}
	}
}
