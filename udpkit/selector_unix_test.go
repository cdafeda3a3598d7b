//go:build unix

package udpkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// poll(2) is the default on few systems and works on all: test it here.
func init() {
	testPollers["poll"] = func() (poller, error) { return newPoll() }
}

func TestMilliseconds(t *testing.T) {
	for timeout, want := range map[time.Duration]int{
		-1: -1, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 2 * time.Second: 2000, 1<<63 - 1: 1<<31 - 1,
	} {
		assert.Equal(t, want, milliseconds(timeout), timeout)
	}
}
