package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/net/ipv4"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Owner is a socket on the port.
type Owner struct {
	// Process is the program's name and PID its number, as far as the system tells them to who
	// asks.
	Process string `json:"process,omitempty"`
	PID     int    `json:"pid,omitempty"`
	// Local is the address that the socket is bound to.
	Local netip.AddrPort `json:"local"`
	// Dropped counts the datagrams that came while its receive buffer was full; Linux tells.
	Dropped uint64 `json:"dropped,omitempty"`
}

// PortState is whether the port is to be had.
type PortState string

// What a port can be.
const (
	portFree   PortState = "free"
	portShared PortState = "shared"
	portTaken  PortState = "taken"
)

// tryPort opens the port, if it can be had at all.
func tryPort(ctx context.Context, port uint16) (conn *net.UDPConn, state PortState, err error) {
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	state = portFree
	alone, err := udp.Listen(ctx, at, udp.Options{})
	if err == nil {
		_ = alone.Close() // only one that shares leaves room for the other programs, from the beginning
	} else if udp.AddrInUse(err) {
		state = portShared
	}
	conn, err = udp.Listen(ctx, at, udp.Options{Reuse: true})
	if udp.AddrInUse(err) {
		return nil, portTaken, nil
	}
	return conn, state, err
}

// lookAtPort says what is wrong with who has the port.
func lookAtPort(port uint16, state PortState, owners []Owner) (found findings) {
	who := whose(owners)
	switch state {
	case portTaken:
		found.add(PortTaken, Fault, "", fmt.Sprintf("Port %d is taken by %s, which does not share it.", port, who), "End "+who+", or choose another port with --port.")
	case portShared:
		found.add(PortShared, Warning, "", fmt.Sprintf("Port %d is shared with %s: a broadcast reaches all of them, a unicast only one, and which one is up to the system.", port, who),
			"End those that are not meant to be there.")
	}
	for _, o := range owners {
		if o.Dropped > 0 {
			found.add(KernelDrops, Warning, "", fmt.Sprintf("%s on port %d has lost %s: its receive buffer was full.", capital(whose([]Owner{o})), port, format.Plural(o.Dropped, "datagram")),
				"Send less at once, or have the program ask for a larger receive buffer.")
		}
	}
	return found
}

// whose names the programs.
func whose(owners []Owner) string {
	var list []string
	for _, o := range owners {
		name := fmt.Sprintf("process %d", o.PID)
		switch {
		case o.Process != "":
			name = fmt.Sprintf("%s (process %d)", o.Process, o.PID)
		case o.PID == 0:
			name = "a program that the system does not name to this user"
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return "another program"
	}
	return inWords(list)
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// socket sends by each way.
type socket struct {
	conn  *net.UDPConn
	group *ipv4.PacketConn
}

// group is where doctors send multicasts: an address for use within a site (RFC 2365).
var group = netip.AddrFrom4([4]byte{239, 255, 37, 20})

func newSocket(conn *net.UDPConn) *socket {
	s := &socket{conn, ipv4.NewPacketConn(conn)}
	_ = s.group.SetMulticastTTL(1)         // the default everywhere
	_ = s.group.SetMulticastLoopback(true) // likewise
	return s
}

// join joins the group by these interfaces; those that cannot are told by what does not come.
func (s *socket) join(interfaces []udp.Interface) {
	for _, nic := range interfaces {
		if nic.Flags&net.FlagMulticast != 0 {
			_ = s.group.JoinGroup(&nic.Interface, &net.UDPAddr{IP: group.AsSlice()})
		}
	}
}

// send sends by that way and interface. It is for one goroutine at a time.
func (s *socket) send(b []byte, by way, nic *udp.Interface, to netip.AddrPort) error {
	path := udp.Path{To: to}
	switch {
	case by == multicast && nic != nil:
		if err := s.group.SetMulticastInterface(&nic.Interface); err != nil {
			return err
		}
	case by == directed || by == limited:
		if nic != nil && nic.Flags&net.FlagLoopback == 0 {
			path.Interface = nic.Index
		}
	}
	return udp.Send(s.conn, b, path)
}

// growBuffers is how the system lets programs have buffers of that size.
func growBuffers(size int) string {
	switch runtime.GOOS {
	case "linux":
		return fmt.Sprintf("sysctl -w net.core.rmem_max=%d", size)
	case "windows":
		return "programs may ask for any size here"
	}
	return fmt.Sprintf("sysctl -w kern.ipc.maxsockbuf=%d", 2*size)
}
