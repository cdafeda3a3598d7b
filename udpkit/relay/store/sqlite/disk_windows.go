package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock takes the file for this process, or reports that another has it. The system releases it when
// the file is closed, however the process ends.
func lock(f *os.File) (taken bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, os.NewSyscallError("LockFileEx", err)
}

// unlock does nothing: no other process has the file, which is closed then.
func unlock(*os.File) {}

// removed reports whether there is no file of this name: the system does not let it be removed
// while it is open.
func removed(string) bool { return false }
