package exercise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// cell is what this program does as a notebook's cell; see exchange_unix_test.go.
var cell func() error

func TestMain(m *testing.M) { paneltest.Main(m, cell) }

// printed returns what f prints.
func printed(t *testing.T, f func() error) string {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	out := os.Stdout
	os.Stdout = w
	err = f()
	os.Stdout = out
	require.NoError(t, errors.Join(err, w.Close()))
	text, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	return string(text)
}

// TestReport: the first words of a verdict are the same in every lesson.
func TestReport(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	for _, c := range []struct {
		ctx           context.Context
		missing, want string
	}{
		{t.Context(), "", "✓ All that was asked for. Well done!\n"},
		{t.Context(), "a bit", "✗ Not yet: a bit\n"},
		{cancelled, "", "The check was interrupted.\n"},
		{cancelled, "a bit", "The check was interrupted.\n"},
		{late, "", "The check was interrupted.\n"},
		{late, "a bit", "✗ Not yet: a bit\n"},
	} {
		require.Equal(t, c.want, printed(t, func() error { return Report(c.ctx, c.missing, nil) }))
	}
	why := errors.New("why")
	require.ErrorIs(t, Report(t.Context(), "", why), why)
}

// TestGrade: who grades sees it in the cell's status what is passed, and by a word that only the
// check could print.
func TestGrade(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for grade, fails := range map[string]bool{"1": true, "yes": true, "0": false, "": false} {
		t.Setenv("UDPKIT_GRADE", grade)
		for _, c := range []struct {
			ctx     context.Context
			missing string
			passed  bool
		}{{t.Context(), "", true}, {t.Context(), "a bit", false}, {cancelled, "", false}} {
			var err error
			printed(t, func() error { err = Report(c.ctx, c.missing, nil); return nil })
			require.Equal(t, fails && !c.passed, err != nil, "%q %+v", grade, c)
		}
	}
	self, err := os.Executable()
	require.NoError(t, err)
	for _, word := range []string{"", "a-word"} {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestPassing$", "-test.v")
		cmd.Env = append(os.Environ(), "UDPKIT_GRADE_PROOF="+word, "UDPKIT_TEST_PASSING=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, word != "", strings.Contains(string(out), "Well done!\na-word\n"), string(out))
		require.NotContains(t, string(out), "still there")
	}
}

// TestPassing is a program that TestGrade runs.
func TestPassing(t *testing.T) {
	if os.Getenv("UDPKIT_TEST_PASSING") == "" {
		t.Skip("it is run by another test")
	}
	if os.Getenv("UDPKIT_GRADE_PROOF") != "" {
		fmt.Println("still there")
	}
	require.NoError(t, Report(t.Context(), "", nil))
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "results.json")
	_, err := Read[int](file)
	require.ErrorIs(t, err, ErrNothing)
	for range 2 {
		require.NoError(t, Update(file, func(n *int) { *n++ }))
	}
	n, err := Read[int](file)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.NoError(t, Write("", 1), "an empty name keeps nothing")
	require.NoError(t, Update("", func(*int) { t.Fail() }))

	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	require.ErrorContains(t, Update(file, func(*int) {}), "cannot read the results")
	err = Write(filepath.Join(file, "x"), 1)
	require.ErrorContains(t, err, "cannot keep the results")
	require.NotContains(t, err.Error(), dir, "no path of this machine in a notebook")
}

// TestCall: what a function returns, that it panics, and what it leaves behind is seen.
func TestCall(t *testing.T) {
	why := errors.New("why")
	err, ended := Start(func() error { return why }).Within(t.Context(), time.Minute)
	require.True(t, ended)
	require.ErrorIs(t, err, why)

	err = <-Start(func() error { panic("at 12") }).Ended()
	require.ErrorIs(t, err, ErrPanic)
	require.EqualError(t, err, "it panicked: at 12")

	wait, inner := make(chan struct{}), make(chan struct{})
	before := Descriptors()
	var socket net.PacketConn
	c := Start(func() (err error) {
		socket, err = net.ListenPacket("udp4", "127.0.0.1:0")
		go func() { <-wait }()
		<-inner
		return err
	})
	_, ended = c.Within(t.Context(), time.Millisecond)
	require.False(t, ended)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, ended = c.Within(ctx, time.Minute)
	require.False(t, ended, "its context has ended")
	require.Eventually(t, func() bool { all, _ := c.Goroutines(""); return all == 2 }, 30*time.Second, time.Millisecond)
	close(inner)
	err, ended = c.Within(t.Context(), time.Minute)
	require.True(t, ended)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.Left() == 1 }, 30*time.Second, time.Millisecond)
	close(wait)
	require.Eventually(t, func() bool { return c.Left() == 0 }, 30*time.Second, time.Millisecond)
	if len(before) > 0 { // this system tells
		require.NotEmpty(t, OpenedSince(before))
	}
	require.NoError(t, socket.Close())
}

// TestShow: outside of a notebook the last data are printed, once.
func TestShow(t *testing.T) {
	plain := func(out io.Writer, data any) error {
		_, err := fmt.Fprintln(out, data)
		return err
	}
	require.Equal(t, "3\n", printed(t, func() error {
		s := NewShow(template.New(""), plain, 1)
		s.News(2)
		return s.End(3)
	}))
}

func TestPair(t *testing.T) {
	sender, receiver, err := Pair()
	require.NoError(t, err)
	_, err = sender.Write([]byte("hello"))
	require.NoError(t, err)
	b := make([]byte, 10)
	require.NoError(t, receiver.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := receiver.Read(b)
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte("hello"), b[:n]))
	require.NoError(t, errors.Join(sender.Close(), receiver.Close()))
}
