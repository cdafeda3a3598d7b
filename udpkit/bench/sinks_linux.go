package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// sinks opens n sockets, all on one port if they are for broadcasts, and empties them until in
// ends. It writes where they are, and for each line of in what has come in, once they are empty.
//
// A sender is to be measured, so these must be quicker than any: they never sleep, so nobody has to
// wake them up, and take datagrams out without copying them (a recvmmsg without buffers; MSG_TRUNC
// says how long each was).
func sinks(ctx context.Context, n int, broadcast bool, in io.Reader, out io.Writer) error {
	listen := loopback
	if broadcast {
		listen = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	var at drained
	var fds []uintptr
	for range n {
		conn, err := udp.Listen(ctx, listen, udp.Options{ReadBuffer: readBuffer, Reuse: broadcast})
		if err != nil {
			return err
		}
		defer conn.Close()
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		_ = raw.Control(func(fd uintptr) { // it is open
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) // before Linux 5.0 there is none
			fds = append(fds, fd)
		})
		at.To = append(at.To, conn.LocalAddr().(*net.UDPAddr).AddrPort())
		if broadcast {
			listen = at.To[0]
		}
	}
	if broadcast {
		at.To = []netip.AddrPort{netip.AddrPortFrom(loopbackBroadcast, listen.Port())}
	}
	encoder := json.NewEncoder(out)
	if err := encoder.Encode(at); err != nil {
		return err
	}

	var asked atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			asked.Add(1)
		}
		asked.Store(-1)
	}()
	d := drained{}
	for told := int64(0); ctx.Err() == nil; {
		questions, before := asked.Load(), d.Bytes
		for _, fd := range fds {
			n, err := drain(fd)
			if err != nil {
				return err
			}
			d.Bytes += n
		}
		switch {
		case questions < 0:
			<-ended
			return nil
		case questions > told && d.Bytes == before:
			if err := encoder.Encode(d); err != nil {
				return err
			}
			told, d.Bytes = told+1, 0
		}
	}
	return fmt.Errorf("sinks: %w", context.Cause(ctx))
}

var loopbackBroadcast = netip.MustParseAddr("127.255.255.255")

var discarded [64]struct {
	header unix.Msghdr
	length uint32
}

// drain empties a socket and returns how many bytes there were.
func drain(fd uintptr) (bytes int64, err error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&discarded[0])), uintptr(len(discarded)),
			unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return bytes, nil
		case unix.EINTR:
			continue
		default:
			return bytes, os.NewSyscallError("recvmmsg", errno)
		}
		for _, m := range discarded[:n] {
			bytes += int64(m.length)
		}
		if int(n) < len(discarded) {
			return bytes, nil
		}
	}
}
