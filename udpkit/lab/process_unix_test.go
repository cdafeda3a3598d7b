//go:build unix

package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// A program that ignores the polite signal, and its child in a process group of its own that does
// so too, both end, and nothing else does.
func TestStopLeavesNothingBehind(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	bystander, err := startProcess(exec.Command("sleep", "60"))
	require.NoError(t, err)
	p, err := startProcess(exec.Command("sh", "-c", `trap '' TERM INT; set -m; (trap '' TERM INT; sleep 60) & touch "`+ready+`"; wait; sleep 60`))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := os.Stat(ready)
		return err == nil && len(members(p.cmd.Process.Pid, p.mark)) >= 2
	}, 30*time.Second, 5*time.Millisecond)
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

const asLab = "UDPKIT_TEST_AS_LAB"

// TestAsLab is no test but the program of TestNothingIsLeft: it has started a stubborn family, and
// takes its time to end.
func TestAsLab(t *testing.T) {
	if os.Getenv(asLab) == "" {
		return
	}
	ctx, _ := panel.Interrupt()
	p, err := startProcess(exec.Command("sh", "-c", `trap '' TERM INT; set -m; (trap '' TERM INT; sleep 60) & sleep 60`))
	require.NoError(t, err)
	fmt.Println("family", p.cmd.Process.Pid, p.mark)
	<-ctx.Done()
	p.stop(func() { fmt.Println("asked to end") }, time.Minute)
	fmt.Println("ended in good order")
}

// TestNothingIsLeft: two signals at once are one. Another one, later, and SIGQUIT, end the program
// at once, and its family with it.
func TestNothingIsLeft(t *testing.T) {
	for _, last := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAsLab$", "-test.v")
		cmd.Env = append(os.Environ(), asLab+"=1")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines, leader, mark := bufio.NewScanner(out), 0, ""
		for mark == "" && lines.Scan() {
			_, _ = fmt.Sscanf(lines.Text(), "family %d %s", &leader, &mark)
		}
		require.Eventually(t, func() bool { return len(members(leader, mark)) >= 3 }, 30*time.Second, 5*time.Millisecond)
		begun := time.Now()
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.True(t, lines.Scan())
		assert.Equal(t, "asked to end", lines.Text())
		if last == syscall.SIGINT {
			assert.NotEmpty(t, members(leader, mark))
			for cmd.Process.Signal(last) == nil && len(members(leader, mark)) > 0 {
				time.Sleep(20 * time.Millisecond)
			}
			assert.GreaterOrEqual(t, time.Since(begun), 400*time.Millisecond, "one key press")
		} else {
			require.NoError(t, cmd.Process.Signal(last))
		}
		for lines.Scan() {
			assert.NotContains(t, lines.Text(), "good order")
		}
		_ = cmd.Wait()
		assert.False(t, cmd.ProcessState.Success())
		assert.Empty(t, members(leader, mark), "%v", last)
	}
}
