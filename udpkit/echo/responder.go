package echo

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	// DefaultResponderPort is the port of a [Responder].
	DefaultResponderPort = 6532
	// Acknowledgement is what a Responder answers.
	Acknowledgement = "Message received"
	// DefaultWorkers is how many datagrams a concurrent Responder works on at once.
	DefaultWorkers = 64
	// DefaultQueue is how many more may wait.
	DefaultQueue = 256
)

// Limits of ResponderConfig, which bound the memory: a datagram has up to 64 KiB.
const (
	maxWorkers = 1024
	maxQueue   = 4096
)

// Mode says how many datagrams a [Responder] works on at a time.
type Mode string

const (
	// Concurrent: several, each on one of a bounded number of goroutines. When all are busy
	// datagrams wait in a bounded queue; what finds it full is dropped and counted.
	Concurrent Mode = "concurrent"
	// Sequential: one. The others wait in the socket's buffer, and the system drops what finds that
	// full.
	Sequential Mode = "sequential"
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{Sequential, Concurrent} }

// ParseMode returns the mode of that name, whatever its case. The error lists the names and wraps
// ErrConfig.
func ParseMode(s string) (Mode, error) {
	for _, m := range Modes() {
		if strings.EqualFold(s, string(m)) {
			return m, nil
		}
	}
	return "", fmt.Errorf("%w: unknown mode %q: choose sequential or concurrent", ErrConfig, s)
}

// ResponderConfig configures a Responder. The zero value works; it is copied.
type ResponderConfig struct {
	// Listen is the address to listen on, as in [ServerConfig]. Default 127.0.0.1 and
	// DefaultResponderPort.
	Listen netip.AddrPort
	// Mode is Sequential or Concurrent. Default Concurrent.
	Mode Mode
	// Workers is how many datagrams are worked on at once in the mode Concurrent, 1 to 1,024.
	// Default DefaultWorkers.
	Workers int
	// Queue is how many more may wait for that, 1 to 4,096. Default DefaultQueue.
	Queue int
	// Work is how long each takes before it is answered: time spent waiting, as for a disk or a
	// database, not computing. Default 0.
	Work time.Duration
	// Limit is how many answers one source gets without a pause of a second, see the package's
	// documentation. Default DefaultLimit.
	Limit int
	// Record is told what the responder receives and sends. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time: all goroutines wait while it runs.
	OnEvent func(Event)
}

// Responder answers each datagram with Acknowledgement. Its methods are safe for concurrent use.
type Responder struct{ *answerer }

// NewResponder opens the responder's socket. An error wraps ErrConfig, or is the system's for the
// socket, such as syscall.EADDRINUSE. The caller closes the responder.
func NewResponder(cfg ResponderConfig) (*Responder, error) {
	if cfg.Workers < 0 || cfg.Workers > maxWorkers || cfg.Queue < 0 || cfg.Queue > maxQueue {
		return nil, fmt.Errorf("%w: %d workers and a queue of %d: there can be 1 to %d workers and a queue of 1 to %d",
			ErrConfig, cfg.Workers, cfg.Queue, maxWorkers, maxQueue)
	}
	if cfg.Work < 0 || cfg.Limit < 0 {
		return nil, fmt.Errorf("%w: Work and Limit cannot be negative", ErrConfig)
	}
	mode, err := ParseMode(cmp.Or(string(cfg.Mode), string(Concurrent)))
	if err != nil {
		return nil, err
	}
	s := &answerer{onEvent: cfg.OnEvent, record: cfg.Record, text: []byte(Acknowledgement), work: cfg.Work}
	if mode == Concurrent {
		s.workers = cmp.Or(cfg.Workers, DefaultWorkers)
		s.queue = cmp.Or(cfg.Queue, DefaultQueue)
	}
	if err := s.open(orLoopback(cfg.Listen, DefaultResponderPort), cmp.Or(cfg.Limit, DefaultLimit)); err != nil {
		return nil, err
	}
	return &Responder{s}, nil
}
