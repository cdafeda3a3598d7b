package relay

import (
	"context"
	"net/netip"
	"time"
)

// ServerConfig configures a Server. The zero value works; it is copied.
type ServerConfig struct {
	// Listen is the local address. Default 0.0.0.0, which is every IPv4 address of
	// this machine, and DefaultPort; port 0 takes a free one.
	Listen netip.AddrPort
	// Log keeps the messages. It stays the caller's. Default NewMemory(0).
	Log Log
	// MaxClients is how many clients may be registered at once. Default 1024.
	MaxClients int
	// Expire is how long a client may be silent until it is taken for gone, 1 s to
	// 1 h. Clients show a sign of life five times in it. Default 15 s.
	Expire time.Duration
	// Pace is how many bytes a second go to one reader at the most. Default 64 MiB.
	Pace int
	// Cache is how many bytes of the newest messages are kept in memory. Older ones
	// are read from the log. Default 16 MiB.
	Cache int
	// OnEvent is called for each event, one call at a time, on a goroutine of
	// its own: it delays nobody. Events that it is too slow for are dropped, which
	// ServerStats.EventsLost counts. The StartEvent and the summary never are.
	OnEvent func(Event)
}

// Server takes messages from writers, has them stored and delivers them to readers.
// Its methods are safe for concurrent use.
type Server struct{}

// NewServer opens the server's socket. An error wraps ErrConfig, or is the system's
// for the socket, such as syscall.EADDRINUSE. The caller closes the server.
func NewServer(cfg ServerConfig) (*Server, error) { panic("soon") }

// Addr returns the address that the server listens on.
func (s *Server) Addr() netip.AddrPort { panic("soon") }

// Run serves clients until ctx ends, tells them so, and returns nil. It returns an
// error if the server is closed or ran before.
func (s *Server) Run(ctx context.Context) error { panic("soon") }

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (s *Server) Close() error { panic("soon") }

// Stats returns the counters.
func (s *Server) Stats() ServerStats { panic("soon") }

// Clients returns the registered clients, by role and name.
func (s *Server) Clients() []ClientInfo { panic("soon") }
