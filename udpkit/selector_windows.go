package udpkit

import (
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Events of WSAPoll, from winsock2.h.
const (
	pollRdNorm = 0x0100
	pollRdBand = 0x0200
	pollIn     = pollRdNorm | pollRdBand
	pollOut    = 0x0010 // POLLWRNORM
	pollErr    = 0x0001
	pollHup    = 0x0002
	pollNval   = 0x0004
)

// pollFD is the WSAPOLLFD of winsock2.h.
type pollFD struct {
	Fd      pollSocket
	Events  int16
	Revents int16
}

type pollSocket = uintptr

var procWSAPoll = windows.NewLazySystemDLL("ws2_32.dll").NewProc("WSAPoll")

// systemPoll waits until one of the sockets is ready or the time is over, see WSAPoll; -1
// milliseconds means forever. It returns how many of them have Revents.
func systemPoll(fds []pollFD, milliseconds int) (int, error) {
	n, _, errno := procWSAPoll.Call(
		uintptr(unsafe.Pointer(&fds[0])), uintptr(uint32(len(fds))), uintptr(int32(milliseconds)))
	if int32(n) < 0 {
		return 0, os.NewSyscallError("WSAPoll", errno)
	}
	return int(int32(n)), nil
}

func newPoller() (poller, error) {
	if err := procWSAPoll.Find(); err != nil {
		return nil, err
	}
	return newPoll()
}

// waker makes a waiting poll return. WSAPoll cannot wait for a pipe, so waking up is a datagram
// which a loopback socket sends to itself.
type waker struct {
	conn *net.UDPConn
	addr netip.AddrPort
	in   uintptr
	sent atomic.Bool // a datagram is on its way: one is enough
}

func (w *waker) open() error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return err
	}
	w.conn, w.addr = conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { w.in = fd })
	}
	if err != nil {
		_ = conn.Close()
	}
	return err
}

func (w *waker) wake() {
	if !w.sent.Swap(true) {
		_, _ = w.conn.WriteToUDPAddrPort([]byte{0}, w.addr)
	}
}

// drain takes the datagram out of the socket. A wake before the store sends nothing, and need not:
// the wait that drains returns. The deadline is for the case that the datagram has gone away since
// WSAPoll saw it.
func (w *waker) drain() {
	var b [1]byte
	_ = w.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, _, _ = w.conn.ReadFromUDPAddrPort(b[:])
	w.sent.Store(false)
}

func (w *waker) close() error { return w.conn.Close() }
