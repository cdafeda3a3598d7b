package beacon_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestSilent: the other host hears nothing of a silent beacon, which hears it.
func TestSilent(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	other := testenv.NewNeighbour(t)
	came := testenv.Sent(t, "10.77.0.2")

	run := func(b *beacon.Beacon) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		return func() {
			cancel()
			require.NoError(t, <-ended)
			require.NoError(t, b.Close())
		}
	}
	var silent *beacon.Beacon
	var err error
	heard := newLog()
	other.Do(func() {
		silent, err = beacon.New(beacon.Config{Silent: true, Interval: time.Millisecond, OnEvent: heard.add})
	})
	require.NoError(t, err)
	stop := run(silent)
	ann, err := beacon.New(beacon.Config{Name: "ann", Interval: 10 * time.Millisecond})
	require.NoError(t, err)
	stopAnn := run(ann)
	wait(t, heard, func(e beacon.PeerEvent) bool { return e.Change == beacon.Appeared && e.Name == "ann" })
	stopAnn()
	wait(t, heard, func(e beacon.PeerEvent) bool { return e.Change == beacon.Left })
	stop()
	assert.Zero(t, silent.Stats().Sent)
	assert.Zero(t, came(), "packets from the host of the silent one")

	var loud *beacon.Beacon
	other.Do(func() { loud, err = beacon.New(beacon.Config{Interval: 10 * time.Millisecond}) })
	require.NoError(t, err)
	stop = run(loud)
	require.Eventually(t, func() bool { return came() > 0 }, 20*time.Second, time.Millisecond, "the capture works")
	stop()
}

func TestSilentSendsNowhere(t *testing.T) {
	for _, cfg := range []beacon.Config{{Group: beacon.DefaultGroup4}, {Targets: loopback}, {Interfaces: []string{"lo"}}} {
		cfg.Silent = true
		_, err := beacon.New(cfg)
		require.ErrorIs(t, err, beacon.ErrConfig)
	}
}
