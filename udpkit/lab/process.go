package lab

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/group"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/lastly"
)

// markVariable is set, to a random value, in the environment of a process that is started here, and
// is inherited by all that come from it: kernels run in sessions of their own and outlive their
// parent, so that neither a process group nor the parent's id finds them all.
const markVariable = "UDPKIT_LAB_PROCESS"

// process is a program that was started here, with everything that it starts.
type process struct {
	cmd  *exec.Cmd
	mark string
	over func() // tells package lastly that nothing is left
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// startProcess starts cmd. Its output must go to files: a pipe would be held open by whoever
// inherits it.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, mark: rand.Text(), done: make(chan struct{})}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, markVariable+"="+p.mark)
	group.Own(cmd) // Ctrl-C in a terminal goes to the whole group, and ending in good order is for the caller to do
	var err error
	if p.over, err = lastly.Start(cmd.Start, func() { p.kill(p.family()) }); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, gives it the grace, and then kills what is left of it and of all
// that came from it.
func (p *process) stop(ask func(), grace time.Duration) {
	family := p.family()
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	ask()
	select {
	case <-p.done:
	case <-deadline.C:
	}
	p.kill(family)
	p.over()
}

// family returns the ids of the process and of all that came from it.
func (p *process) family() []int { return members(p.cmd.Process.Pid, p.mark) }

// kill ends the family: as it is now, and where the mark cannot be read, also as it was. It may be
// called while stop is at it.
func (p *process) kill(family []int) {
	// Again and again for a moment, since what is being killed may just have started another.
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		left := p.family()
		if !membersByMark {
			left = append(left, family...)
			family = nil
		}
		for _, pid := range left {
			killProcess(pid)
		}
		if len(left) == 0 {
			break
		}
	}
	select {
	case <-p.done:
	default:
		p.cmd.Process.Kill()
		<-p.done
	}
}
