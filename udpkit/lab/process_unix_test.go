//go:build unix

package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program that ignores the polite signal, and its child in a process group of its own that does so too, both end, and
// nothing else does.
func TestStopLeavesNothingBehind(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	bystander, err := startProcess(exec.Command("sleep", "60"))
	require.NoError(t, err)
	p, err := startProcess(exec.Command("sh", "-c", `trap '' TERM INT; set -m; (trap '' TERM INT; sleep 60) & touch "`+ready+`"; wait; sleep 60`))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := os.Stat(ready)
		return err == nil && len(members(p.cmd.Process.Pid, p.mark)) >= 2
	}, 10*time.Second, 5*time.Millisecond)
	start := time.Now()
	p.stop(func() { terminate(p.cmd.Process) }, 200*time.Millisecond)
	assert.Less(t, time.Since(start), 3*time.Second)
	assert.Empty(t, members(p.cmd.Process.Pid, p.mark))
	select {
	case <-bystander.done:
		t.Error("ended a process of somebody else's")
	default:
	}
	bystander.stop(func() { terminate(bystander.cmd.Process) }, time.Second)
}
