package stage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
)

func open(t *testing.T, ctx context.Context) *stage.Stage {
	s, err := stage.Open(ctx, stage.Setup{})
	require.NoError(t, err)
	return s
}

// TestStage: an event is shown before anybody else hears of it, the first failure to do so ends the
// role, and nothing is shown on a stage that is closed.
func TestStage(t *testing.T) {
	s := open(t, t.Context())
	ctx := s.Context()
	var heard []string
	first, second := errors.New("first"), errors.New("second")
	var failure error
	on := stage.Chain(s, func(e string) error { heard = append(heard, "shown "+e); return failure }, func(e string) { heard = append(heard, "told "+e) })
	on("a")
	require.NoError(t, ctx.Err())
	failure = first
	on("b")
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	s.Fail(second)
	s.Fail(nil)
	assert.Equal(t, first, s.Failure())
	s.Close()
	on("c")
	assert.Equal(t, []string{"shown a", "told a", "shown b", "told b", "told c"}, heard)
}

// TestWhy: of several reasons the one that a person has to know is told.
func TestWhy(t *testing.T) {
	s := open(t, t.Context())
	ctx := s.Context()
	assert.Equal(t, "otherwise", s.Why("otherwise"))
	s.End()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	assert.Equal(t, "otherwise", s.Why("otherwise"), "by the role itself")

	caller, cancel := context.WithCancel(t.Context())
	s = open(t, caller)
	cancel()
	assert.Equal(t, "interrupted", s.Why("otherwise"))
	caller, cancel = context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	s = open(t, caller)
	assert.Equal(t, "time is up", s.Why("otherwise"))
	s.Because("first")
	s.Because("second")
	assert.Equal(t, "first", s.Why("otherwise"))
	s.Fail(errors.New("full"))
	assert.Equal(t, "by a failure to show or to write", s.Why("otherwise"))
}

// TestRun: what is typed is taken line by line, what repeats does so until the stage is closed, and
// then the last picture is shown, with the reason.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	long := strings.Repeat("x", 2*console.MaxLine)
	s, err := stage.Open(t.Context(), stage.Setup{Out: &out, In: strings.NewReader("a\n" + long + "\nb\nc\n")})
	require.NoError(t, err)
	defer s.Release()
	show, lines, err := stage.Show(s, nil, nil, func(d console.Display) console.Display { return d })
	require.NoError(t, err)
	var taken, wrong []string
	ended := make(chan error, 1)
	s.Listen(lines, func(line string) bool { taken = append(taken, line); return line == "b" },
		func(err error) { wrong = append(wrong, err.Error()) }, func(err error) { ended <- err })
	require.NoError(t, <-ended)
	assert.Equal(t, []string{"a", "b"}, taken)
	require.Len(t, wrong, 1)
	assert.Contains(t, wrong[0], "line too long")
	again, times := make(chan struct{}), 0
	s.Repeat(func() time.Duration {
		if times++; times == 3 {
			close(again)
		}
		return time.Millisecond
	})
	<-again
	require.NoError(t, s.Context().Err())
	full := errors.New("full")
	err = s.Finish(nil, "otherwise", func(why string) error { return errors.Join(show.Print("Ended: "+why), full) })
	require.ErrorIs(t, err, full)
	assert.Equal(t, "Ended: otherwise\n", out.String())
	require.ErrorIs(t, s.Context().Err(), context.Canceled)

	s, err = stage.Open(t.Context(), stage.Setup{Out: io.Discard})
	require.NoError(t, err)
	defer s.Release()
	err = s.Finish(full, "otherwise", func(why string) error { assert.Equal(t, "by a failure", why); return full })
	assert.EqualError(t, err, "full", "told once")
}

// TestLimit: at the limit time is up. A history that cannot be written is told at once.
func TestLimit(t *testing.T) {
	s, err := stage.Open(t.Context(), stage.Setup{Limit: time.Millisecond})
	require.NoError(t, err)
	defer s.Release()
	<-s.Context().Done()
	assert.Equal(t, "time is up", s.Why("otherwise"))
	_, err = stage.Open(t.Context(), stage.Setup{History: filepath.Join(t.TempDir(), "none", "x")})
	assert.ErrorContains(t, err, "the history cannot be written")
}
