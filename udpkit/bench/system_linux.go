package bench

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// segment lets the kernel cut what conn sends into datagrams of size bytes.
func segment(conn *net.UDPConn, size int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if ctlErr := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt UDP_SEGMENT", unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size))
	}); ctlErr != nil {
		return ctlErr
	}
	return err
}

// blocking returns the socket of conn for waiting in the system call, which wakes up sooner than
// Go's poller does.
func blocking(conn *net.UDPConn) (io.ReadWriter, error) {
	file, err := conn.File()
	if err != nil {
		return nil, err
	}
	return blockingSocket{file, int(file.Fd())}, nil // Fd makes it block
}

type blockingSocket struct {
	file *os.File // keeps fd open
	fd   int
}

func (s blockingSocket) Read(b []byte) (int, error)  { return unix.Read(s.fd, b) }
func (s blockingSocket) Write(b []byte) (int, error) { return unix.Write(s.fd, b) }

// cores returns two cores that this process may use, and that do not share their execution units if
// there are such; fewer if it may use only one.
func cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	if len(all) < 2 {
		return all
	}
	siblings := func(cpu int) string {
		text, _ := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		return string(text)
	}
	for _, cpu := range all[1:] {
		if siblings(cpu) != siblings(all[0]) {
			return []int{all[0], cpu}
		}
	}
	return all[:2]
}

// startOn starts cmd on one core: a process inherits the cores of the thread that starts it.
func startOn(cmd *exec.Cmd, core int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &before); err == nil && back != nil {
		return os.NewSyscallError("sched_setaffinity", back)
	}
	return err
}

// usage returns the processor time of a process and how often it has woken up.
func usage(pid int) (cpu time.Duration, wakeUps int64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		return 0, 0, fmt.Errorf("process %d has ended", pid)
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task + "/schedstat")
		if err != nil {
			return 0, 0, err
		}
		used, _, _ := strings.Cut(string(stat), " ")
		ns, err := strconv.ParseInt(used, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%s/schedstat: %w", task, err)
		}
		cpu += time.Duration(ns)
		status, err := os.ReadFile(task + "/status")
		if err != nil {
			return 0, 0, err
		}
		_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		var n int64
		if _, err := fmt.Sscan(rest, &n); err != nil {
			return 0, 0, fmt.Errorf("%s/status: %w", task, err)
		}
		wakeUps += n
	}
	return cpu, wakeUps, nil
}

// processor returns the name of the machine's processor.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, "\t :")
}

// kernel returns the release of the system.
func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
