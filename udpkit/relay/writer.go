package relay

import (
	"context"
	"net/netip"
)

const (
	// maxUnstored is how many messages a writer sends before the first of them is stored.
	maxUnstored = 512
)

// WriterConfig configures a Writer. It is copied.
type WriterConfig struct {
	// Server is the server's address. Default 127.0.0.1 and DefaultPort.
	Server netip.AddrPort
	// Username is needed, see CheckUsername.
	Username string
	// OnEvent is called for each event, one call at a time.
	OnEvent func(Event)
}

// Writer writes messages into a relay's log. Send and Flush may be called from any
// goroutine, and before Run.
type Writer struct{}

// NewWriter opens a writer's socket. An error wraps ErrConfig, or is the system's.
// The caller closes the writer.
func NewWriter(cfg WriterConfig) (*Writer, error) { panic("soon") }

// Send gives a message to the writer, which sends it until the server has stored
// it: then a StoredEvent tells. It waits while 512 messages are on their way. It
// returns an error that wraps ErrConfig for a text that cannot be sent, the cause of
// the end of ctx, or what has ended Run.
func (w *Writer) Send(ctx context.Context, text string) error { panic("soon") }

// Flush waits until everything that was given to Send is stored. An error is the
// cause of the end of ctx, or what has ended Run: then Stats tells how much is not.
func (w *Writer) Flush(ctx context.Context) error { panic("soon") }

// Run registers and sends until ctx ends, takes leave of the server and returns
// nil. What is not stored then is lost: call Flush before. A server that is away is
// waited for, which a LinkEvent tells. The error wraps ErrNameTaken if another
// writer had the name for longer than a dead one could, ErrRefused if the server is
// full, or net.ErrClosed.
func (w *Writer) Run(ctx context.Context) error { panic("soon") }

// Addr returns the local address.
func (w *Writer) Addr() netip.AddrPort { panic("soon") }

// Close closes the socket. It is idempotent.
func (w *Writer) Close() error { panic("soon") }

// Stats returns the counters.
func (w *Writer) Stats() WriterStats { panic("soon") }
