package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// space is how much must be free on the disk for a NATS server that has failed to begin anew.
	space = 1 << 20
	// healing is the pause between two attempts.
	healing = 500 * time.Millisecond
	// maxNames is how much memory the names that are taken may use.
	maxNames = 64 << 20
)

// embedded is a NATS server in this process, without a port, that has a directory for itself.
type embedded struct {
	cfg   Config
	lock  *os.File
	known map[string]bool // streams that were there before

	rebuilt   bool          // the index is new
	appending chan struct{} // holds a token while an Append is under way; it guards:
	blocks    blocks
	tail      uint64 // the log's last sequence number
	sure      bool   // that it is
	reached   uint64 // the highest that tail has ever been

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
			if stream := streamDir(cfg.Dir, entry.Name()); !unfinished(stream) {
				e.known[entry.Name()] = true
			} else if err = os.RemoveAll(stream); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = e.readReach()
	}
	if err == nil {
		err = e.start(false)
	}
	if err != nil {
		_ = e.lock.Close()
		return nil, err
	}
	return e, nil
}

// unfinished reports whether a process was killed while it made a stream: its settings are not
// complete, and there is no message yet.
func unfinished(stream string) bool {
	_, settings := os.Stat(filepath.Join(stream, "meta.inf"))
	_, sum := os.Stat(filepath.Join(stream, "meta.sum"))
	if !errors.Is(settings, fs.ErrNotExist) && !errors.Is(sum, fs.ErrNotExist) {
		return false
	}
	files, err := filepath.Glob(filepath.Join(stream, "msgs", "*"+blockSuffix))
	return err == nil && !slices.ContainsFunc(files, func(name string) bool {
		info, err := os.Stat(name)
		return err != nil || info.Size() > 0
	})
}

// start starts the server, which rebuilds its index of the log if it is told to.
func (e *embedded) start(rebuild bool) error {
	options := &server.Options{
		ServerName: "udpkit-relay", DontListen: true, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: e.cfg.Dir,
		JetStreamMaxMemory: maxNames,
		// The limit is what the configuration keeps, and the disk. The server's default is a share
		// of what is free when it starts.
		JetStreamMaxStore: math.MaxInt64 / 2,
		SyncInterval:      SyncInterval,
	}
	if e.cfg.Sync == SyncAlways {
		// Store does it. The server would also rewrite files that are synced already, and sync them
		// again only afterwards.
		options.SyncInterval = 10 * 365 * 24 * time.Hour
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("the NATS server in this process: %w", err)
	}
	if e.rebuilt = rebuild; rebuild {
		err := os.Remove(filepath.Join(streamDir(e.cfg.Dir, e.cfg.Name), "msgs", "index.db"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the log's index: %w", err)
		}
	}
	e.log.reset()
	srv.SetLoggerV2(&e.log, false, false, false)
	srv.Start()
	if !srv.JetStreamEnabled() || !srv.ReadyForConnections(operation) {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("the NATS server in this process does not start in %s: %s", e.cfg.Dir, e.log.said())
	}
	e.sure, e.blocks.current = false, 0
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

// had reports whether a stream was in the directory before the server started.
func (e *embedded) had(stream string) bool { return e.known[stream] }

// said returns the server's complaints.
func (e *embedded) said() string { return e.log.said() }

// opened takes note of the log's state, and makes it safe.
func (e *embedded) opened(stream string, tail uint64) error {
	e.known[stream] = true
	e.tail, e.sure = tail, true
	e.reach(tail)
	if e.cfg.Sync != SyncAlways {
		return nil
	}
	return e.final(syncTree(filepath.Join(e.cfg.Dir, "jetstream")))
}

// final takes note of an error, if it is one, that ends all storing until a person has seen to it.
// A sync that has failed is such: nobody knows what is on the disk then, and the next one may
// succeed though it is not all there.
func (e *embedded) final(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w, see to the disk and start again: %w", errFailing, err)
	e.setFailure(err)
	return err
}

// reach writes down that the log has messages up to last, in case its end is damaged: their
// sequence numbers must not be given to others. The file that is locked has the note.
func (e *embedded) reach(last uint64) {
	if last <= e.reached {
		return
	}
	e.reached = last
	// It does no harm if this fails, or does not reach the disk, unless the end of the log is
	// damaged too.
	_, _ = e.lock.WriteAt(fmt.Appendf(nil, reachFormat, e.cfg.Name, last), 0)
}

const reachFormat = "%s %020d\n"

// readReach reads what reach wrote, if it was about this log and there is such a log.
func (e *embedded) readReach() error {
	b, err := io.ReadAll(io.NewSectionReader(e.lock, 0, 128))
	if err != nil {
		return err
	}
	var name string
	var last uint64
	if _, err := fmt.Sscanf(string(b), reachFormat, &name, &last); err != nil || name != e.cfg.Name || !e.known[name] {
		return e.lock.Truncate(0)
	}
	e.reached = last
	return nil
}

// works returns a context that ends when the server can store nothing any more, with the reason as
// its cause, or the reason if it cannot now.
func (e *embedded) works(ctx context.Context) (works context.Context, done func(), err error) {
	e.mu.Lock()
	healthy, err := e.healthy, e.failure
	e.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	works, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(healthy, func() { cancel(context.Cause(healthy)) })
	return works, func() { stop(); cancel(nil) }, nil
}

// begin waits until this call of Append is the only one, and then does what works does.
func (e *embedded) begin(ctx context.Context) (works context.Context, done func(), err error) {
	works, cancel, err := e.works(ctx)
	if err != nil {
		return nil, nil, err
	}
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
	health := healthOf(srv)
	if health.status == 0 || health.status == http.StatusOK {
		return nil
	}
	// The system's error says better what to do than the server's text.
	if err = probe(e.cfg.Dir); err == nil {
		err = errors.New(health.text())
	}
	return e.broken(err)
}

// broken takes note of what keeps anything from being stored, and has heal see to it.
func (e *embedded) broken(err error) error {
	err = fmt.Errorf("%w: %w", errFull, err)
	e.setFailure(err)
	e.log.kick()
	return err
}

var (
	// errFull marks what keeps anything from being stored until it is repaired.
	errFull = errors.New("nothing can be stored now")
	// errFailing marks what does so for good.
	errFailing = errors.New("nothing can be stored")
)

// setFailure says why nothing can be stored, or with nil that something can.
func (e *embedded) setFailure(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.Is(e.failure, errFailing) {
		return
	}
	if e.failure = err; err != nil {
		e.fail(err)
	}
}

// healthOf asks the server about its health.
func healthOf(srv *server.Server) (health *answer) {
	for range 100 {
		health = &answer{}
		request, _ := http.NewRequest(http.MethodGet, "/healthz", nil)
		srv.HandleHealthz(health, request)
		if health.status != http.StatusInternalServerError {
			break
		}
		// It had no time to look: it takes at most 1 ms.
		time.Sleep(time.Millisecond)
	}
	return health
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

// probe returns why nothing can be written to a directory, nil if something can.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, "space-")
	if err != nil {
		return err
	}
	b := make([]byte, space)
	_, _ = rand.Read(b) // so that no file system compresses it
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the file does not matter
	}
	return err
}

// heal brings the server back after the disk was full or failed: it takes no messages any more from
// then on, until it is started again.
func (s *Store) heal() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.local.log.errors:
		}
		for {
			err := s.local.check()
			if err == nil {
				break
			}
			if errors.Is(err, errFailing) || sleep(s.ctx, healing) != nil {
				return
			}
			err = probe(s.local.cfg.Dir)
			if err == nil {
				err = s.restart()
			}
			if err == nil {
				s.local.setFailure(nil)
			} else {
				_ = s.local.broken(err)
			}
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
	if err := s.local.start(false); err != nil {
		return err
	}
	if err := s.settle(s.ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.runs)
	return nil
}

// errRebuild means that the server's index of the log does not fit the log.
var errRebuild = fmt.Errorf("%w: its end is not readable", ErrDamaged)

// settle sets up the streams.
func (s *Store) settle(ctx context.Context) error {
	what := "open the log " + s.cfg.Name
	err := s.try(ctx, what, s.setUp)
	if errors.Is(err, errRebuild) {
		s.local.stop()
		if err = s.local.start(true); err == nil {
			err = s.try(ctx, what, s.setUp)
		}
	}
	return err
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
