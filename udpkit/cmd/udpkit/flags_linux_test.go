package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestNothingGoesOut: a server whose every send fails has not done what was asked. The host has no
// route to its target.
func TestNothingGoesOut(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	p := command(t, "server", "--target", "192.0.2.7", "--max-messages", "1")
	_ = p.rest()
	_ = p.Wait()
	assert.Equal(t, 1, p.ProcessState.ExitCode())
	assert.Contains(t, p.stderr.String(), "nothing went out")
}
