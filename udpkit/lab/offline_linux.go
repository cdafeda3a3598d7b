package lab

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// loopbackUp has the program that execute.py is, in a network of its own, begin by switching its
// loopback interface on: SIOCSIFFLAGS, IFF_UP and IFF_RUNNING.
const loopbackUp = `import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
`

// capNetAdmin is CAP_NET_ADMIN of capabilities(7). In its own network it is worth nothing outside.
const capNetAdmin = 12

// offline has the command run in a network of its own, in which nothing but a loopback interface
// is.
func offline(cmd *exec.Cmd) {
	one := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: one(os.Geteuid()),
		GidMappings: one(os.Getegid()),
		AmbientCaps: []uintptr{capNetAdmin},
	}
}

// canBeOffline returns an error if this system does not let a program have a network of its own.
func canBeOffline(python string) error {
	cmd := exec.Command(python, "-c", loopbackUp)
	offline(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(string(out), 1))
	}
	return nil
}
