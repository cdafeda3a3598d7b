package relay

import (
	"context"
	"net/netip"
	"time"
)

// From says where in the log a reader begins.
type From uint8

// The beginnings. A reader that loses its server goes on where it was in any case.
const (
	// FromLast goes on where a reader of this name has stopped, if that is still
	// kept; a new name begins with the oldest message.
	FromLast From = iota
	// FromStart begins with the oldest message.
	FromStart
	// FromNow begins with the next message.
	FromNow
)

// ParseFrom reads "last", "start" or "now". An error wraps ErrConfig.
func ParseFrom(text string) (From, error) { panic("soon") }

// ReaderConfig configures a Reader. It is copied.
type ReaderConfig struct {
	// Server is the server's address. Default 127.0.0.1 and DefaultPort.
	Server netip.AddrPort
	// Username is needed, see CheckUsername.
	Username string
	// From is where in the log to begin. Default FromLast.
	From From
	// Delay collects messages for this time and delivers them together. Default 0:
	// each as it comes.
	Delay time.Duration
	// MaxMessages ends Run after so many. 0 means no limit.
	MaxMessages uint64
	// OnEvent is called for each event, one call at a time. A message counts as
	// delivered when the call returns. While it does not, up to 16,384 further
	// messages wait, and then the server does.
	OnEvent func(Event)
}

// Reader gets every message of a relay's log, in order, each once, or a GapEvent
// for those that are not kept any more.
type Reader struct{}

// NewReader opens a reader's socket. An error wraps ErrConfig, or is the system's.
// The caller closes the reader.
func NewReader(cfg ReaderConfig) (*Reader, error) { panic("soon") }

// Run registers and delivers messages until ctx ends or MaxMessages are delivered,
// takes leave of the server and returns nil. A server that is away is waited for,
// which a LinkEvent tells. The error wraps ErrNameTaken if another reader had the
// name for longer than a dead one could, ErrRefused if the server is full, or
// net.ErrClosed.
func (r *Reader) Run(ctx context.Context) error { panic("soon") }

// Addr returns the local address.
func (r *Reader) Addr() netip.AddrPort { panic("soon") }

// Close closes the socket. It is idempotent.
func (r *Reader) Close() error { panic("soon") }

// Stats returns the counters.
func (r *Reader) Stats() ReaderStats { panic("soon") }
