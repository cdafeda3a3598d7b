package bench

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawMessage is struct mmsghdr of recvmmsg(2).
type rawMessage struct {
	header unix.Msghdr
	length uint32
}

// raw makes the system calls of the program in C, with nothing around them: what Go's runtime costs
// anyone who receives. mechanism is "recvmmsg", "epoll" or "gro"; mode is that of [Subject]. With
// ", untold" the runtime does not learn that the goroutine waits: what is left then is the language
// without the runtime. No program can do so, since its garbage collector would wait for the next
// datagram.
func raw(mechanism, mode string, m *meter, out io.Writer) error {
	wait := unix.Syscall6
	mechanism, untold := strings.CutSuffix(mechanism, ", untold")
	if untold {
		wait = unix.RawSyscall6
	}
	slots, room := 64, bufferSize
	switch mechanism {
	case "recvmmsg", "epoll":
	case "gro":
		slots, room = 8, 1<<16
	default:
		return fmt.Errorf("there is no receiver \"raw %s\"", mechanism)
	}
	if !slices.Contains([]string{"receive", "backlog", "echo", "idle"}, mode) {
		return fmt.Errorf("there is no mode %q", mode)
	}
	fd, err := rawSocket(out, mechanism == "gro")
	if err != nil {
		return err
	}
	messages, names := make([]rawMessage, slots), make([]unix.RawSockaddrInet4, slots)
	vectors, control := make([]unix.Iovec, slots), make([][64]byte, slots)
	for i := range messages {
		vectors[i].Base = unsafe.SliceData(make([]byte, room))
		vectors[i].SetLen(room)
		h := &messages[i].header
		h.Iov, h.Name, h.Control = &vectors[i], (*byte)(unsafe.Pointer(&names[i])), &control[i][0]
		h.SetIovlen(1)
	}
	receive, flags := wait, unix.MSG_WAITFORONE
	epoll := -1
	if mechanism == "epoll" {
		if epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
			err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN})
		}
		if err != nil {
			return os.NewSyscallError("epoll", err)
		}
		receive, flags = unix.RawSyscall6, unix.MSG_DONTWAIT
	}
	event := make([]unix.EpollEvent, slots)
	for counts := m.duration > 0; m.duration > 0 || !counts; {
		if epoll >= 0 {
			_, _, errno := wait(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&event[0])), 1, ^uintptr(0), 0, 0)
			if errno != 0 && errno != unix.EINTR {
				return os.NewSyscallError("epoll_wait", errno)
			}
		}
		for i := range messages {
			messages[i].header.Namelen = unix.SizeofSockaddrInet4
			messages[i].header.SetControllen(len(control[i]))
		}
		n, _, errno := receive(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(slots), uintptr(flags), 0, 0)
		if errno == unix.EINTR || errno == unix.EAGAIN { // woken up for something else
			continue
		} else if errno != 0 {
			return os.NewSyscallError("recvmmsg", errno)
		}
		for i := range messages[:n] {
			length := int(messages[i].length)
			if mode == "echo" { // a loss is seen there
				_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(vectors[i].Base)), uintptr(length),
					0, uintptr(unsafe.Pointer(&names[i])), unix.SizeofSockaddrInet4)
			}
			segment := length
			if messages[i].header.Controllen > 0 { // nothing but UDP_GRO was asked for
				segment = int(*(*int32)(unsafe.Pointer(&control[i][unix.CmsgLen(0)])))
			}
			for at := 0; at < length; at += segment {
				m.add()
			}
		}
	}
	return nil
}

// rawSocket opens a socket that Go's poller does not know, and announces it.
func rawSocket(out io.Writer, gro bool) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.Addr().As4()}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer) // as in C
	if gro {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
			return 0, os.NewSyscallError("setsockopt UDP_GRO", err)
		}
	}
	// While the runtime is not told that it waits, nothing else in this process could end it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return 0, os.NewSyscallError("prctl", err)
	}
	return fd, announce(out, netip.AddrPortFrom(loopback.Addr(), uint16(address.(*unix.SockaddrInet4).Port)))
}
