package key

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSleep: a sender whose machine has slept, or whose clock was wrong and has been set, is
// believed again.
func TestSleep(t *testing.T) {
	secret := make([]byte, Size)
	rand.Read(secret)
	ring, err := New(secret)
	require.NoError(t, err)
	for _, off := range []time.Duration{-time.Hour, -MaxAge, -20 * time.Second, 20 * time.Second, MaxAge, time.Hour} {
		s := ring.Sender("test", Text, false)
		known := ring.Opener(OpenerConfig{Purpose: "test", Form: Text})
		_, err = known.Open(s.Append(nil, []byte("before")), time.Now())
		require.NoError(t, err)
		s.base += off.Milliseconds() // as its monotonic clock says
		after := s.Append(nil, []byte("after"))
		for _, o := range []*Opener{known, ring.Opener(OpenerConfig{Purpose: "test", Form: Text})} {
			content, err := o.Open(after, time.Now())
			require.NoError(t, err, off)
			require.Equal(t, "after", string(content))
		}
	}
}

// TestReceiverSleeps: nor does a receiver that has slept refuse those that it knows.
func TestReceiverSleeps(t *testing.T) {
	secret := make([]byte, Size)
	rand.Read(secret)
	ring, err := New(secret)
	require.NoError(t, err)
	s := ring.Sender("test", Text, false)
	o := ring.Opener(OpenerConfig{Purpose: "test", Form: Text})
	_, err = o.Open(s.Append(nil, []byte("before")), time.Now())
	require.NoError(t, err)
	for _, known := range o.sessions.known {
		known.offset -= time.Hour // which its own clock has not counted
	}
	_, err = o.Open(s.Append(nil, []byte("after")), time.Now())
	require.NoError(t, err)
}
