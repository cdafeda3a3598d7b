package exercise

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHasty: a copy may come after four fifths of the time that the reply should be waited for,
// counted from when the client began.
func TestHasty(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		at   []time.Duration
		want string
	}{
		{nil, ""},
		{[]time.Duration{0}, ""},
		{[]time.Duration{0, 80, 160, 240}, ""},
		{[]time.Duration{0, 79}, `"?" came 2 times within 79ms`},
		{[]time.Duration{0, 100, 120, 130, 150}, `"?" came 5 times within 150ms`},
		{[]time.Duration{400, 400, 400}, ""}, // all came late: who knows when they were sent
	} {
		q := &question{times: len(c.at)}
		for _, ms := range c.at {
			q.heard = append(q.heard, now.Add(ms*time.Millisecond))
		}
		r := Record{questions: map[string]*question{"?": q}}
		missing := r.Hasty("?", now, 100*time.Millisecond)
		if c.want == "" {
			require.Empty(t, missing, c.at)
		} else {
			require.Contains(t, missing, c.want)
		}
	}
}

// TestSlow: one copy that comes in time clears a client whose others came late.
func TestSlow(t *testing.T) {
	now := time.Now()
	var r Record
	require.Empty(t, r.Slow(time.Second), "nothing was asked again")
	r.questions = map[string]*question{"?": {heard: []time.Time{now, now.Add(201 * time.Millisecond)}}}
	require.Contains(t, r.Slow(100*time.Millisecond), "sooner than after 201ms: wait 100ms")
	r.questions["!"] = &question{heard: []time.Time{now, now.Add(time.Second), now.Add(1200 * time.Millisecond)}}
	require.Empty(t, r.Slow(100*time.Millisecond))
}

// TestBounded: whoever sends a lot does not fill the memory.
func TestBounded(t *testing.T) {
	var r Record
	for n := range 3 * most {
		r.Heard("the same")
		r.Heard(fmt.Sprint(n))
	}
	times, replied := r.Times("the same")
	require.Equal(t, 3*most, times)
	require.False(t, replied)
	require.Len(t, r.questions, most)
	require.Len(t, r.questions["the same"].heard, most)
	r.Replies("the same")
	r.Heard("the same")
	r.Heard("the same")
	require.Empty(t, r.Needless(2))
	require.Contains(t, r.Needless(1), "2 of the questions")
}
