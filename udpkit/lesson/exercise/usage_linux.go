package exercise

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

func threadID() int64 { return int64(syscall.Gettid()) }

// usageOf asks the system for what one of this program's threads has used.
func usageOf(thread int64) (used Usage, ok bool) {
	dir := fmt.Sprintf("/proc/self/task/%d/", thread)
	times, err := os.ReadFile(dir + "schedstat") // nanoseconds on a processor, and other numbers
	if err != nil {
		return Usage{}, false
	}
	if _, err := fmt.Sscan(string(times), &used.CPU); err != nil {
		return Usage{}, false
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return Usage{}, false
	}
	_, switches, found := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
	if !found {
		return Usage{}, false
	}
	_, err = fmt.Sscan(switches, &used.WakeUps)
	return used, err == nil
}

// Watched returns how many of the sockets an epoll waits for that is not in before, as
// [Descriptors] returned it. ok is false on systems that do not tell, which are all but Linux.
func Watched(before map[string]string, sockets []*net.UDPConn) (n int, ok bool) {
	targets := ""
	for key, name := range Descriptors() {
		if _, old := before[key]; old || name != "anon_inode:[eventpoll]" {
			continue
		}
		number, _, _ := strings.Cut(key, " ")
		info, err := os.ReadFile("/proc/self/fdinfo/" + number)
		if err != nil || !strings.Contains(string(info), "tfd:") {
			continue
		}
		targets, ok = targets+string(info), true
	}
	for _, socket := range sockets {
		raw, err := socket.SyscallConn()
		if err != nil {
			return 0, false
		}
		_ = raw.Control(func(fd uintptr) { // an error means that it is closed, and not watched
			for line := range strings.Lines(targets) {
				if f := strings.Fields(line); len(f) > 1 && f[0] == "tfd:" && f[1] == fmt.Sprint(fd) {
					n++
					break
				}
			}
		})
	}
	return n, ok
}
