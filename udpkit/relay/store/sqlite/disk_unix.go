//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the file for this process, or reports that another has it. The system releases it when
// the file is closed, however the process ends.
func lock(f *os.File) (taken bool, err error) {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, os.NewSyscallError("flock", err)
		}
	}
}

// unlock releases the file. To close it is not enough while this process starts another one, which
// has its files for a moment.
func unlock(f *os.File) { _ = unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// removed reports whether there is no file of this name. It does not ask for the file's times: then
// Linux would write every change of them to the disk, which takes as long as all the rest.
func removed(name string) bool { return unix.Access(name, unix.F_OK) != nil }
