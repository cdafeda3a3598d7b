//go:build unix

package lab

import (
	"os"
	"syscall"
)

func killProcess(pid int) { syscall.Kill(pid, syscall.SIGKILL) } // fails only if it has ended already

func terminate(p *os.Process) { p.Signal(syscall.SIGTERM) }

// tryLock takes the lock on an open file if nobody has it. It is given back when the file is
// closed, by the system if the program dies.
func tryLock(f *os.File) (bool, error) {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
	case nil:
		return true, nil
	case syscall.EWOULDBLOCK, syscall.EINTR:
		return false, nil
	default:
		return false, err
	}
}
