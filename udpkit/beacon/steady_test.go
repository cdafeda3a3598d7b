package beacon

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestSteady: the rate and the jitter of a peer are those from one address, however many it is
// heard from.
func TestSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{}, nil)
		defer stop()
		hear := func() {
			s.hear("HELLO|cat|0123456789abcdef", "127.0.0.1")
			time.Sleep(time.Millisecond)
			s.hear("HELLO|cat|0123456789abcdef", "127.0.0.2")
		}
		hear()
		assert.Zero(t, s.Peers()[0].Rate, "of one")
		for range 60 {
			time.Sleep(499 * time.Millisecond)
			hear()
		}
		assert.InDelta(t, 2, s.Peers()[0].Rate, 1e-9)
		assert.Zero(t, s.Peers()[0].Jitter)
		for i := range 100 {
			time.Sleep(time.Second + time.Duration(i%2)*100*time.Millisecond - time.Millisecond)
			hear()
		}
		assert.InDelta(t, 1/1.05, s.Peers()[0].Rate, 0.01, "the newest ones count")
		assert.InDelta(t, 100, s.Peers()[0].Jitter.Milliseconds(), 10)
	})
}

// TestRestarts: a run with another id counts those before it of its name and host.
func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{MaxPeers: 10}, nil)
		defer stop()
		restarts := func(id, name, from string) uint64 {
			s.hear("HELLO|"+name+id, from)
			for _, p := range s.Peers() {
				if p.Name == name && p.Addr.Addr().String() == from && (id == "" || "|"+p.ID.String() == id) {
					return p.Restarts
				}
			}
			return 99
		}
		const one, two, three = "|0000000000000011", "|0000000000000012", "|0000000000000013"
		assert.EqualValues(t, 0, restarts(one, "cat", "10.0.0.1"))
		assert.EqualValues(t, 1, restarts(two, "cat", "10.0.0.1"), "killed, and started again at once")
		s.hear("BYE|cat"+two, "10.0.0.1")
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, restarts(two, "cat", "10.0.0.1"), "it was only silent")
		time.Sleep(time.Minute)
		assert.EqualValues(t, 2, restarts(three, "cat", "10.0.0.1"))
		assert.EqualValues(t, 0, restarts("|0000000000000014", "dog", "10.0.0.1"), "another name")
		assert.EqualValues(t, 0, restarts("|0000000000000015", "cat", "10.0.0.2"), "another host")
		for range 2 {
			assert.EqualValues(t, 0, restarts("", "eel", "10.0.0.1"), "it has no id")
			time.Sleep(time.Minute)
		}
		for i := range 1000 {
			s.hear(fmt.Sprintf("HELLO|forged %d|%016x", i, i+1000), "10.0.0.3")
			s.hear(fmt.Sprintf("BYE|forged %d|%016x", i, i+1000), "10.0.0.3")
		}
		assert.Len(t, s.table.runs, 10)
	})
}
