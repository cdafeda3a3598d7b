// Package udp is what every system of this module needs of UDP: sockets with the options that they
// need, reading and writing in batches, one policy for reads that fail, the sources that may not be
// answered, and the interfaces of this machine.
//
// What exists, and what it means, differs from system to system; all of that is in this package.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
)

// Options are for [Listen]. The zero value opens a plain socket.
type Options struct {
	// Reuse shares the port with all other sockets, of this and other processes, that ask for it
	// too: with SO_REUSEADDR and SO_REUSEPORT on Unix, with SO_REUSEADDR on Windows. A broadcast
	// then reaches all of them, a unicast datagram only one, and which one is up to the system.
	Reuse bool
	// ReadBuffer is the size of the kernel's receive buffer to ask for, in bytes; 0 leaves the
	// system's default. The system may grant less, which is no error: see [ReadBuffer].
	ReadBuffer int
	// IPv6Only has the address "::" mean IPv6 only.
	IPv6Only bool
	// NoBroadcast is for sockets that answer: the system refuses to send to a broadcast address, of
	// whatever subnet of this host, with an error that is syscall.EACCES. Only the system knows
	// these addresses, at any time. See [CheckPeer] for the rest.
	NoBroadcast bool
}

// Listen opens a UDP socket bound to addr: an IPv4 one, for the address "::" one for IPv6 and IPv4
// (where the system has such, which all but OpenBSD and DragonFly do), for another IPv6 address one
// for IPv6. Port 0 takes a free port. The socket may send broadcasts (package net sets
// SO_BROADCAST) unless opt says otherwise. ctx is for the opening only.
//
// If the port is taken, the error says what to do, and [AddrInUse] of it is true.
func Listen(ctx context.Context, addr netip.AddrPort, opt Options) (*net.UDPConn, error) {
	if !addr.IsValid() {
		return nil, errors.New("listen udp: the address is missing")
	}
	if opt.ReadBuffer < 0 {
		return nil, fmt.Errorf("listen udp %s: a read buffer of %d bytes", addr, opt.ReadBuffer)
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	network := "udp4"
	switch {
	case addr.Addr() == netip.IPv6Unspecified() && !opt.IPv6Only:
		network = "udp" // as package net has it for ":port"
	case addr.Addr().Is6():
		network = "udp6"
	}
	var config net.ListenConfig
	if opt.Reuse {
		config.Control = setting(setReuse)
	}
	packetConn, err := config.ListenPacket(ctx, network, addr.String())
	switch {
	case AddrInUse(err) && opt.Reuse:
		return nil, fmt.Errorf("port %d is taken by another program that does not share it; end it or choose another port: %w", addr.Port(), err)
	case AddrInUse(err):
		return nil, fmt.Errorf("port %d is taken by another program; end it or choose another port: %w", addr.Port(), err)
	case err != nil:
		return nil, err // it says "listen udp4 ADDRESS" already
	}
	conn := packetConn.(*net.UDPConn) // what the networks above always give
	if opt.ReadBuffer > 0 {
		growReadBuffer(conn, opt.ReadBuffer)
	}
	if opt.NoBroadcast {
		if err := forbidBroadcast(conn); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("listen udp %s: %w", addr, err)
		}
	}
	return conn, nil
}

// ListenBehind opens a socket of a shared port that only listens, and takes no datagram away from
// who has the port. Linux gives a unicast datagram of IPv4 to a socket of IPv4 rather than to one
// of both families, and a broadcast to all. Elsewhere the system chooses, as it does for Reuse.
func ListenBehind(ctx context.Context, port uint16, readBuffer int) (*net.UDPConn, error) {
	opt := Options{Reuse: true, ReadBuffer: readBuffer, NoBroadcast: true}
	if runtime.GOOS == "linux" {
		if conn, err := Listen(ctx, netip.AddrPortFrom(netip.IPv6Unspecified(), port), opt); err == nil {
			return conn, nil
		} // there may be no IPv6
	}
	return Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), port), opt)
}

// forbidBroadcast undoes what package net has allowed.
func forbidBroadcast(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) { set = setBroadcast(fd, 0) }); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt SO_BROADCAST", set)
}

// setting makes a ListenConfig.Control of a function that sets socket options.
func setting(set func(fd uintptr) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var setErr error
		if err := c.Control(func(fd uintptr) { setErr = set(fd) }); err != nil {
			return err
		}
		return setErr
	}
}

// smallestReadBuffer is where growReadBuffer gives up, in bytes.
const smallestReadBuffer = 4 << 10

// growReadBuffer asks for a receive buffer. Linux and Windows grant what they can; the BSDs and
// macOS refuse what is above their limit (ENOBUFS), so ask for half of it until it is granted.
func growReadBuffer(conn *net.UDPConn, size int) {
	for conn.SetReadBuffer(size) != nil && size >= 2*smallestReadBuffer {
		size /= 2
	}
}

// ReadBuffer returns the size of the socket's receive buffer in bytes, in the terms of
// [Options.ReadBuffer]. Linux doubles what it is asked for, to have room for its own bookkeeping
// (socket(7)); here that is taken back. How many datagrams fit is another matter: the kernel counts
// some hundred bytes of overhead for each.
func ReadBuffer(conn *net.UDPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("read buffer size: %w", err)
	}
	var size int
	var getErr error
	if err := raw.Control(func(fd uintptr) { size, getErr = getReadBuffer(fd) }); err != nil {
		return 0, fmt.Errorf("read buffer size: %w", err)
	}
	if getErr != nil {
		return 0, fmt.Errorf("read buffer size: %w", getErr)
	}
	return size, nil
}
