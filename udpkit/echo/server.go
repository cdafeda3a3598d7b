package echo

import (
	"cmp"
	"fmt"
	"net/netip"
)

// DefaultPort is the port of a [Server].
const DefaultPort = 12345

// ServerConfig configures a Server. The zero value works; it is copied.
type ServerConfig struct {
	// Listen is the address to listen on. Default 127.0.0.1 and DefaultPort. An answer leaves from
	// the address that was asked, also if that is one of many.
	Listen netip.AddrPort
	// Limit is how many answers one source gets without a pause of a second, see the package's
	// documentation. Default DefaultLimit.
	Limit int
	// Record is told what the server receives and sends. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on the goroutine that receives: while
	// it runs, datagrams wait in the socket's buffer.
	OnEvent func(Event)
}

// Server returns each datagram to where it came from: any payload, also an empty one, unchanged.
// Its methods are safe for concurrent use.
type Server struct{ *answerer }

// NewServer opens the server's socket. An error wraps ErrConfig, or is the system's for the socket,
// such as syscall.EADDRINUSE. The caller closes the server.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Limit < 0 {
		return nil, fmt.Errorf("%w: Limit cannot be negative", ErrConfig)
	}
	s := &answerer{onEvent: cfg.OnEvent, record: cfg.Record}
	if err := s.open(orLoopback(cfg.Listen, DefaultPort), cmp.Or(cfg.Limit, DefaultLimit)); err != nil {
		return nil, err
	}
	return &Server{s}, nil
}

// orLoopback returns addr, or the port on 127.0.0.1 if there is none.
func orLoopback(addr netip.AddrPort, port uint16) netip.AddrPort {
	if addr.IsValid() {
		return addr
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}
