package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// insideVariable says that this process may mount file systems that nobody else sees.
const insideVariable = "UDPKIT_TEST_MOUNTS"

// noMount is printed where it may not.
const noMount = "cannot mount a file system"

// InMountNamespace runs a test of this binary again in a mount namespace of its own. It takes no
// privilege where the system allows user namespaces. It returns true in that process.
func InMountNamespace(t *testing.T) bool {
	if os.Getenv(insideVariable) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || strings.Contains(string(out), noMount) {
		Skip(t, "no mount namespaces here: %v\n%s", err, out)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
	return false
}

// SmallDisk mounts a file system of a size in MiB, in a mount namespace of the test, and returns
// where it is.
func SmallDisk(t *testing.T, size int) string {
	dir := t.TempDir()
	err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
	if err == nil || errors.Is(err, unix.EINVAL) {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size))
	}
	if err != nil {
		fmt.Println(noMount, err)
		t.FailNow()
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}
