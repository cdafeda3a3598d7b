//go:build !linux

package udp

import (
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// Reader reads the datagrams of one socket, one at a time. It is for one goroutine.
type Reader struct {
	conn    *net.UDPConn
	raw     syscall.RawConn
	size    int
	buf     []byte
	control []byte // nil: no control messages
	current Datagram
	back    Path
	full    bool
	zones   zoneNames
}

// NewReader returns a reader of conn, which stays the caller's.
func NewReader(conn *net.UDPConn, cfg ReaderConfig) (*Reader, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	room := cfg.Size
	if runtime.GOOS == "windows" {
		// Truncation is visible only with a buffer which has room for any datagram: Windows reports
		// WSAEMSGSIZE, and Go then returns neither the beginning of the datagram nor its source.
		room = maxDatagram
	}
	r := &Reader{conn: conn, raw: raw, size: cfg.Size, buf: make([]byte, room)}
	if cfg.Back && isShared(conn) {
		_ = raw.Control(func(fd uintptr) {
			if askArrival(fd, !isIPv4(conn)) == nil { // else answers leave from where the system chooses
				r.control = new(control).bytes()
			}
		})
	}
	return r, nil
}

// Read reads what [Reader.Next] then gives out; call it when Next has no more. With wait it waits
// for a datagram: a read deadline or closing the socket ends that. Without, it returns
// ErrWouldBlock if there is none; Windows cannot.
func (r *Reader) Read(wait bool) error {
	r.full = false
	if !wait {
		return r.try()
	}
	n, controls, flags, source, err := r.conn.ReadMsgUDPAddrPort(r.buf, r.control)
	if err != nil {
		return err
	}
	r.keep(n, controls, flags, source)
	return nil
}

// keep makes a Datagram of what a read call returned.
func (r *Reader) keep(n, controls, flags int, source netip.AddrPort) {
	r.full = true
	var came arrival
	for b := r.control[:min(controls, len(r.control))]; ; {
		var level, kind int
		var data []byte
		if level, kind, data, b = nextControl(b); data == nil {
			break
		}
		came.take(level, kind, data)
	}
	r.current = Datagram{
		Payload:   r.buf[:min(n, r.size)],
		Source:    netip.AddrPortFrom(source.Addr().Unmap(), source.Port()),
		Received:  time.Now(),
		Truncated: flags&msgTrunc != 0 || n > r.size,
		To:        came.to,
	}
	r.back = came.back(r.current.Source)
}

// Next returns the datagram that has been read, nil if there is none left. It and its payload are
// valid until the next call of Next or Read.
func (r *Reader) Next() *Datagram {
	if !r.full {
		return nil
	}
	r.full = false
	return &r.current
}

// Back returns the way back to where the datagram came from that Next has returned last, see
// [ReaderConfig.Back].
func (r *Reader) Back() Path { return r.back }

// Buffered reports whether Next has a datagram.
func (r *Reader) Buffered() bool { return r.full }

// Emptied would tell that the socket has no more; who reads one at a time does not know.
func (r *Reader) Emptied() bool { return false }

// Dropped is not known here.
func (r *Reader) Dropped() (count uint32, ok bool) { return 0, false }
