package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// space is how much must be free on the disk for a NATS server that has failed
	// to begin anew.
	space = 1 << 20
	// healing is the pause between two attempts.
	healing = 500 * time.Millisecond
	// maxNames is how much memory the names that are taken may use.
	maxNames = 64 << 20
)

// embedded is a NATS server in this process, without a port, that has a directory
// for itself.
type embedded struct {
	cfg   Config
	lock  *os.File
	known map[string]bool // streams that were there before

	appending chan struct{} // holds a token while an Append is under way; it guards:
	blocks    blocks
	tail      uint64 // the log's last sequence number
	sure      bool   // that it is

	log serverLog

	mu      sync.Mutex
	server  *server.Server
	failure error           // why nothing can be stored now
	healthy context.Context // ends with failure as its cause
	fail    context.CancelCauseFunc
}

func openEmbedded(cfg Config) (e *embedded, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the log's directory: %w", err)
	}
	e = &embedded{
		cfg: cfg, known: make(map[string]bool), appending: make(chan struct{}, 1),
		log: serverLog{errors: make(chan struct{}, 1)},
	}
	e.blocks.dir = filepath.Join(streamDir(cfg.Dir, cfg.Name), "msgs")
	if e.lock, err = os.OpenFile(filepath.Join(cfg.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("the log's directory: %w", err)
	}
	taken, err := lock(e.lock)
	if err == nil && !taken {
		err = fmt.Errorf("%w: another process, or another part of this one, has %s open", ErrInUse, cfg.Dir)
	}
	if err == nil {
		entries, _ := os.ReadDir(filepath.Dir(streamDir(cfg.Dir, cfg.Name)))
		for _, entry := range entries {
			e.known[entry.Name()] = true
		}
		err = e.start()
	}
	if err != nil {
		_ = e.lock.Close()
		return nil, err
	}
	return e, nil
}

// start starts the server.
func (e *embedded) start() error {
	options := &server.Options{
		ServerName: "udpkit-relay", DontListen: true, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: e.cfg.Dir,
		JetStreamMaxMemory: maxNames,
		// The limit is what the configuration keeps, and the disk. The server's
		// default is a share of what is free when it starts.
		JetStreamMaxStore: math.MaxInt64 / 2,
		SyncInterval:      SyncInterval,
	}
	if e.cfg.Sync == SyncAlways {
		// Store does it. The server's own round would also rewrite files that are
		// synced already, and sync them again only afterwards.
		options.SyncInterval = 10 * 365 * 24 * time.Hour
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("the NATS server in this process: %w", err)
	}
	e.log.reset()
	srv.SetLoggerV2(&e.log, false, false, false)
	srv.Start()
	if !srv.JetStreamEnabled() || !srv.ReadyForConnections(operation) {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("the NATS server in this process does not start in %s: %s", e.cfg.Dir, e.log.said())
	}
	e.sure = false
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = srv
	e.healthy, e.fail = context.WithCancelCause(context.Background())
	return nil
}

func (e *embedded) stop() {
	e.mu.Lock()
	srv := e.server
	e.server = nil
	e.mu.Unlock()
	if srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

func (e *embedded) close() {
	e.stop()
	_ = e.lock.Close()
}

// InProcessConn connects with the server that runs now.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil, errors.New("the NATS server in this process does not run")
	}
	return e.server.InProcessConn()
}

// had tells whether a stream was in the directory before the server started.
func (e *embedded) had(stream string) bool { return e.known[stream] }

// said returns the server's complaints.
func (e *embedded) said() string { return e.log.said() }

// opened takes note of the log's state, and makes it safe.
func (e *embedded) opened(stream string, tail uint64) error {
	e.known[stream] = true
	e.tail, e.sure = tail, true
	if e.cfg.Sync != SyncAlways {
		return nil
	}
	return syncTree(filepath.Join(e.cfg.Dir, "jetstream"))
}

// works returns a context that ends when the server can store nothing any more, with
// the reason as its cause.
func (e *embedded) works(ctx context.Context) (context.Context, context.CancelFunc) {
	e.mu.Lock()
	healthy := e.healthy
	e.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(healthy, func() { cancel(context.Cause(healthy)) })
	return ctx, func() { stop(); cancel(nil) }
}

// begin waits until this call of Append is the only one, and returns works.
func (e *embedded) begin(ctx context.Context) (works context.Context, done func(), err error) {
	works, cancel := e.works(ctx)
	select {
	case e.appending <- struct{}{}:
		return works, func() { <-e.appending; cancel() }, nil
	case <-works.Done():
		defer cancel()
		return nil, nil, context.Cause(works)
	}
}

// check finds out whether the server can store, and ends what waits for it if not.
func (e *embedded) check() error {
	e.mu.Lock()
	srv, err := e.server, e.failure
	e.mu.Unlock()
	if err != nil {
		return err
	}
	var health answer
	request, _ := http.NewRequest(http.MethodGet, "/healthz", nil)
	srv.HandleHealthz(&health, request)
	if health.status == 0 || health.status == http.StatusOK {
		return nil
	}
	// A system's error can be acted upon better than the server's text.
	if err = probe(e.cfg.Dir); err == nil {
		err = fmt.Errorf("the NATS server in this process: %s", health.text())
	}
	e.setFailure(err)
	return err
}

// errFailing marks what prevents that anything is stored until it is repaired.
var errFailing = errors.New("nothing can be stored")

func (e *embedded) setFailure(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failure = err
	if err != nil {
		e.failure = fmt.Errorf("%w: %w", errFailing, err)
		e.fail(e.failure)
	}
}

// answer is the server's report on its health.
type answer struct {
	bytes.Buffer
	header http.Header
	status int
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) text() string {
	var health struct{ Error string }
	if err := json.Unmarshal(a.Bytes(), &health); err != nil || health.Error == "" {
		return a.String()
	}
	return health.Error
}

// probe tells why nothing can be written to a directory, nil if something can.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, "space-")
	if err != nil {
		return err
	}
	b := make([]byte, space)
	_, _ = rand.Read(b) // so that no file system makes it smaller
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// heal brings the server back after the disk was full or failed: it takes no
// messages any more from then on, until it is started again.
func (s *Store) heal() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.local.log.errors:
		}
		for s.local.check() != nil {
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(healing):
			}
			err := probe(s.local.cfg.Dir)
			if err == nil {
				err = s.restart()
			}
			s.local.setFailure(err)
		}
	}
}

// restart starts the server again.
func (s *Store) restart() error {
	select {
	case s.local.appending <- struct{}{}:
		defer func() { <-s.local.appending }()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	s.local.stop()
	if err := s.local.start(); err != nil {
		return err
	}
	_, before := s.Bounds()
	if err := s.try(s.ctx, "open the log "+s.cfg.Name, s.setUp); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = make(map[relay.ID]position)
	if s.local.tail < before {
		return fmt.Errorf("%w: messages %d to %d are lost", ErrDamaged, s.local.tail+1, before)
	}
	return nil
}

// serverLog keeps the last complaints of the server. None of it goes to the terminal.
type serverLog struct {
	errors chan struct{} // holds a token if there was an error

	mu    sync.Mutex
	lines []string
}

const maxLines = 8

func (l *serverLog) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == maxLines {
		l.lines = append(l.lines[:0], l.lines[1:]...)
	}
	l.lines = append(l.lines, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l *serverLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

func (l *serverLog) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		return "the NATS server does not say why"
	}
	return strings.Join(l.lines, "; ")
}

func (l *serverLog) Errorf(format string, args ...any) {
	l.add(format, args...)
	l.kick()
}

// kick has heal look whether the server works.
func (l *serverLog) kick() {
	select {
	case l.errors <- struct{}{}:
	default:
	}
}

func (l *serverLog) Fatalf(format string, args ...any) { l.Errorf(format, args...) }
func (l *serverLog) Warnf(format string, args ...any)  { l.add(format, args...) }
func (l *serverLog) Noticef(string, ...any)            {}
func (l *serverLog) Debugf(string, ...any)             {}
func (l *serverLog) Tracef(string, ...any)             {}
