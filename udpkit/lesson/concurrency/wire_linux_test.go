package concurrency_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/concurrency"
)

// TestWireFirst runs this program as one that does not call Wire: it does no job of a second
// program, and starts none.
func TestWireFirst(t *testing.T) {
	if os.Getenv(withoutWire) != "" {
		err := concurrency.Conversation(t.Context(), filepath.Join(t.TempDir(), "results.json"), 20*time.Millisecond)
		require.ErrorContains(t, err, "concurrency.Wire() first")
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestWireFirst$", "-test.v")
	cmd.Env = append(os.Environ(), withoutWire+"=1", "UDPKIT_EXPERIMENT_JOB={}")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestWireFirst")
}
