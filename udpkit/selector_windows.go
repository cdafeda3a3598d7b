package udpkit

import (
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
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

// wsaPollFD is the WSAPOLLFD of winsock2.h.
type wsaPollFD struct {
	socket  uintptr
	events  int16
	revents int16
}

var procWSAPoll = windows.NewLazySystemDLL("ws2_32.dll").NewProc("WSAPoll")

// wsaPoll waits until one of the sockets is ready, see WSAPoll; -1 milliseconds means forever. It
// returns how many of them have revents.
func wsaPoll(fds []wsaPollFD, milliseconds int32) (int, error) {
	n, _, errno := procWSAPoll.Call(
		uintptr(unsafe.Pointer(&fds[0])), uintptr(uint32(len(fds))), uintptr(milliseconds))
	if int32(n) < 0 {
		return 0, os.NewSyscallError("WSAPoll", errno)
	}
	return int(int32(n)), nil
}

func newPoller() (poller, error) { return newWSAPoller() }

// wsaPoller is the poller of Windows. WSAPoll cannot wait for a pipe, so waking up is a datagram
// which a loopback socket sends to itself.
type wsaPoller struct {
	wakeConn *net.UDPConn
	wakeAddr netip.AddrPort
	woken    atomic.Bool // a datagram is on its way: one is enough

	mu     sync.Mutex
	fds    []wsaPollFD // the wake-up socket's comes first
	asking []wsaPollFD // what the running wait was called with
}

var _ poller = (*wsaPoller)(nil)

func newWSAPoller() (*wsaPoller, error) {
	if err := procWSAPoll.Find(); err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return nil, err
	}
	p := &wsaPoller{wakeConn: conn, wakeAddr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { p.fds = []wsaPollFD{{socket: fd, events: pollIn}} })
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *wsaPoller) add(fd uintptr, events Events) error {
	entry := wsaPollFD{socket: fd}
	if events&Readable != 0 {
		entry.events |= pollIn
	}
	if events&Writable != 0 {
		entry.events |= pollOut
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fds = append(p.fds, entry)
	p.wake() // to begin again with the new list
	return nil
}

func (p *wsaPoller) remove(fd uintptr, _ Events) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, entry := range p.fds {
		if entry.socket == fd {
			p.fds = append(p.fds[:i], p.fds[i+1:]...)
			p.wake()
			return
		}
	}
}

func (p *wsaPoller) wait(timeout time.Duration, found []readiness) ([]readiness, error) {
	p.mu.Lock()
	p.asking = append(p.asking[:0], p.fds...)
	p.mu.Unlock()
	n, err := wsaPoll(p.asking, millisecondsUp(timeout))
	if err != nil || n == 0 {
		return found, err
	}
	if p.asking[0].revents != 0 {
		p.drain()
	}
	for _, entry := range p.asking[1:] {
		var events Events
		if entry.revents&pollIn != 0 {
			events |= Readable
		}
		if entry.revents&pollOut != 0 {
			events |= Writable
		}
		if entry.revents&(pollErr|pollHup|pollNval) != 0 {
			events = Readable | Writable // pollNval: closed, which the Selector finds out
		}
		if events != 0 {
			found = append(found, readiness{entry.socket, events})
		}
	}
	return found, nil
}

func (p *wsaPoller) wake() {
	if !p.woken.Swap(true) {
		_, _ = p.wakeConn.WriteToUDPAddrPort([]byte{0}, p.wakeAddr)
	}
}

// drain takes the datagram out of the wake-up socket. A wake before the store sends nothing, and
// need not: the wait that drains returns. The deadline is for the case that the datagram has gone
// away since WSAPoll saw it.
func (p *wsaPoller) drain() {
	var b [1]byte
	_ = p.wakeConn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, _, _ = p.wakeConn.ReadFromUDPAddrPort(b[:])
	p.woken.Store(false)
}

func (p *wsaPoller) close() error { return p.wakeConn.Close() }

// millisecondsUp rounds up, so that a wait never ends early; -1 is forever.
func millisecondsUp(timeout time.Duration) int32 {
	if timeout < 0 {
		return -1
	}
	ms := timeout / time.Millisecond
	if timeout%time.Millisecond > 0 {
		ms++
	}
	return int32(min(ms, math.MaxInt32))
}
