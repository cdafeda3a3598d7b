package nonblocking

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// TestTimeline: outside of a notebook there is a line for each datagram that a style was given.
func TestTimeline(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(name)
	require.NoError(t, err)
	stdout := os.Stdout
	os.Stdout = out
	err = Timeline(t.Context(), udpkit.Blocking, udpkit.NonBlocking)
	os.Stdout = stdout
	require.NoError(t, err)
	require.NoError(t, out.Close())
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	for n := range timelineDatagrams {
		require.Contains(t, string(text), fmt.Sprintf("sender → blocking: text datagram %d", n+1))
		require.Contains(t, string(text), fmt.Sprintf("sender → nonblocking: text datagram %d", n+1))
	}
	require.NotContains(t, string(text), "lost")
}
