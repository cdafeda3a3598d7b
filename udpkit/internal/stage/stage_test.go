package stage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
)

// TestStage: an event is shown before anybody else hears of it, the first failure to do so ends the
// role, and nothing is shown on a stage that is closed.
func TestStage(t *testing.T) {
	s, ctx := stage.New(t.Context())
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
	s, ctx := stage.New(t.Context())
	assert.Equal(t, "otherwise", s.Why("otherwise"))
	s.End()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	assert.Equal(t, "otherwise", s.Why("otherwise"), "by the role itself")

	caller, cancel := context.WithCancel(t.Context())
	s, _ = stage.New(caller)
	cancel()
	assert.Equal(t, "interrupted", s.Why("otherwise"))
	caller, cancel = context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	s, _ = stage.New(caller)
	assert.Equal(t, "time is up", s.Why("otherwise"))
	s.Because("first")
	s.Because("second")
	assert.Equal(t, "first", s.Why("otherwise"))
	s.Fail(errors.New("full"))
	assert.Equal(t, "by a failure to show or to write", s.Why("otherwise"))
}
