package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// DefaultMaxMessages is how many messages are kept.
	DefaultMaxMessages = 1_000_000
	// syncInterval is how long after it was stored a message is on the disk at the latest with
	// SyncPeriodic.
	syncInterval = time.Second

	// The files in the directory.
	fileName  = "relay.db"
	walSuffix = "-wal" // after that, of what SQLite has not moved to its place yet
	lockName  = "relay.lock"
)

// Sync says when a message counts as stored.
type Sync string

// The ways to sync.
const (
	// SyncAlways: when it is on the disk. The disk is synced once for each call of Append, however
	// many records it has.
	SyncAlways Sync = "always"
	// SyncPeriodic: when the operating system has it, which writes it to the disk within
	// syncInterval. A process that is killed loses nothing; a machine that loses its power loses
	// what was stored in the last second.
	SyncPeriodic Sync = "periodic"
)

var (
	// ErrInUse means that another process has the directory open.
	ErrInUse = errors.New("the log's directory is in use")
	// ErrDamaged means that a log is there, but not as it was left.
	ErrDamaged = errors.New("the log is damaged")
)

// Config configures a Store. It is copied.
type Config struct {
	// Dir is the directory of the log. It is made if need be, and belongs to one process at a time.
	Dir string
	// MaxMessages is how many messages are kept, the newest, 1 to 2^40. Default DefaultMaxMessages,
	// which are about 150 MB of short ones and 1.2 GB of the longest.
	MaxMessages int64
	// MaxAge is how long a message is kept, at least 1 s. Default 0: without limit.
	MaxAge time.Duration
	// Sync is when a message counts as stored. Default SyncAlways.
	Sync Sync
}

func (c Config) withDefaults() (Config, error) {
	c.MaxMessages = cmp.Or(c.MaxMessages, DefaultMaxMessages)
	c.Sync = cmp.Or(c.Sync, SyncAlways)
	bad := func(format string, args ...any) (Config, error) {
		return c, fmt.Errorf("%w: "+format, append([]any{relay.ErrConfig}, args...)...)
	}
	switch {
	case c.Dir == "":
		return bad("no directory for the log")
	case c.MaxMessages < 1 || c.MaxMessages > 1<<40:
		return bad("to keep %d messages", c.MaxMessages)
	case c.MaxAge < 0 || c.MaxAge > 0 && c.MaxAge < time.Second:
		return bad("to keep messages for %v, the least is 1s", c.MaxAge)
	case c.Sync != SyncAlways && c.Sync != SyncPeriodic:
		return bad("sync %q, it is %q or %q", c.Sync, SyncAlways, SyncPeriodic)
	}
	return c, nil
}

// Store is a relay's log in one SQLite file. Its methods are safe for concurrent use; after Close
// they return an error that wraps net.ErrClosed.
type Store struct {
	cfg  Config
	file string
	lock *os.File
	id   uint64

	writer, reader, keeper *conn // keeper moves what is in the file relay.db-wal to where it belongs

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once

	names    relay.Names // one process has the file, and after it they are free
	kick     chan struct{}
	repaired string
	noting   sync.Mutex
	wrong    atomic.Bool  // that SQLite has found the file to be damaged
	unsynced atomic.Bool  // that something was stored with SyncPeriodic and not synced yet
	unmoved  atomic.Int64 // messages that were stored since the keeper moved some

	// What the holder of the writer knows.
	version int64  // of what other programs have changed
	buf     []byte // for checksums

	mu        sync.Mutex
	failure   error  // why nothing can be stored now
	first     uint64 // of the messages that are in the file
	last      uint64
	deletions uint64
	grown     chan struct{} // closed when last grows
	runs      map[relay.ID]uint64
}

var _ relay.Log = (*Store)(nil)

// Open opens the log, and makes it if it is not there. Its limits become those of the
// configuration. The error wraps relay.ErrConfig, ErrInUse, ErrDamaged, or is what the system said.
// The caller closes the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, file: filepath.Join(cfg.Dir, fileName), names: relay.NewMemory(1),
		kick: make(chan struct{}, 1), grown: make(chan struct{}), runs: make(map[relay.ID]uint64),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		_ = s.Close()
		return nil, s.failed(ctx, "open the log", err)
	}
	s.wg.Go(s.keep)
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, "jetstream")); err == nil {
		return fmt.Errorf("%w: an earlier version of this program has its log there (the folder jetstream), which this one does not read; choose another directory", relay.ErrConfig)
	}
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	if s.lock, err = os.OpenFile(filepath.Join(s.cfg.Dir, lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	taken, err := lock(s.lock)
	if err != nil {
		return err
	}
	if !taken {
		return fmt.Errorf("%w: another process, or another part of this one, has it open", ErrInUse)
	}
	noted, reached, wrong := s.readNote()
	// Before SQLite opens it: to close it later would end this process's locks.
	f, err := os.OpenFile(s.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.last = reached
	if err = s.connect(); err == nil && noted != s.id { // the note is about another log
		s.last = 0
		err = s.load()
	}
	if err == nil {
		err = s.check()
	}
	if damaged(err) || err == nil && wrong && noted == s.id {
		s.last = reached
		err = s.repair(noted, reached)
	}
	if err == nil {
		s.note()
	}
	return err
}

// connect opens the file.
func (s *Store) connect() (err error) {
	for _, c := range []**conn{&s.writer, &s.reader, &s.keeper} {
		if *c, err = openConn(s.file); err != nil {
			return err
		}
		if *c == s.writer {
			if err := setUp(s.writer.Conn, s.last == 0); err != nil {
				return err
			}
		}
	}
	synchronous := "FULL"
	if s.cfg.Sync == SyncPeriodic {
		synchronous = "NORMAL"
	}
	for _, c := range []*conn{s.writer, s.keeper} {
		for _, setting := range []string{"synchronous=" + synchronous, "wal_autocheckpoint=0", "journal_size_limit=16777216"} {
			if err := sqlitex.ExecuteTransient(c.Conn, "PRAGMA "+setting, nil); err != nil {
				return err
			}
		}
	}
	return s.load()
}

// disconnect is the opposite of connect.
func (s *Store) disconnect() {
	if s.unsynced.Swap(false) {
		s.sync()
	}
	for _, c := range []*conn{s.reader, s.keeper, s.writer} {
		if c != nil {
			c.token <- struct{}{}
			_ = c.Close()
		}
	}
}

// maxSeq is more than any log reaches.
const maxSeq = 1 << 60

// logRow is the row of the table log.
type logRow struct{ id, first, last, deletions uint64 }

func readLog(c *lite.Conn) (l logRow, err error) {
	err = sqlitex.Execute(c, "SELECT id, checksum, first, last, deletions FROM log", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
		if row.ColumnInt64(1) == checksum(row.ColumnInt64(0)) {
			l.id = uint64(row.ColumnInt64(0))
		}
		if first, last := row.ColumnInt64(2), row.ColumnInt64(3); 0 < first && first < maxSeq && 0 <= last && last < maxSeq {
			l.first, l.last = uint64(first), uint64(last)
		}
		l.deletions = uint64(row.ColumnInt64(4))
		return nil
	}})
	if err == nil && (l.id == 0 || l.first == 0) {
		err = fmt.Errorf("%w: its number is not as it was written", ErrDamaged)
	}
	return l, err
}

// load reads the state of the log.
func (s *Store) load() error {
	l, err := readLog(s.writer.Conn)
	if err != nil {
		return err
	}
	oldest, err := number(s.writer.Conn, "SELECT min(seq) FROM message")
	if err != nil {
		return err
	}
	newest, err := number(s.writer.Conn, "SELECT max(seq) FROM message")
	if err != nil {
		return err
	}
	if oldest < 0 || newest > maxSeq {
		return fmt.Errorf("%w: it has messages %d to %d", ErrDamaged, oldest, newest)
	}
	if s.version, err = number(s.writer.Conn, "PRAGMA data_version"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.deletions = l.id, l.deletions
	s.last = max(s.last, uint64(newest), l.last, l.first-1)
	if s.first = uint64(oldest); oldest == 0 {
		s.first = s.last + 1
	}
	return nil
}

// The file that is locked has a note of how far the log has got, in case its end is damaged: the
// sequence numbers must not be given to other messages. It also says whether the file was found to
// be damaged: then it is repaired when it is opened next.
const noteFormat = "%016x %020d %s\n"

// note writes it. It does no harm if that fails, or does not reach the disk, unless the file is
// damaged too.
func (s *Store) note() {
	state := "intact"
	if s.wrong.Load() {
		state = "wrong"
	}
	s.noting.Lock()
	defer s.noting.Unlock()
	_, last := s.Bounds()
	_, _ = s.lock.WriteAt(fmt.Appendf(nil, noteFormat, s.id, last, state), 0)
}

// noteDamage notes that the file is damaged.
func (s *Store) noteDamage() {
	if !s.wrong.Swap(true) {
		s.note()
	}
}

func (s *Store) readNote() (id, last uint64, wrong bool) {
	b, _ := io.ReadAll(io.NewSectionReader(s.lock, 0, 64))
	var state string
	if n, _ := fmt.Sscanf(string(b), noteFormat, &id, &last, &state); n < 3 || last > maxSeq {
		return 0, 0, false
	}
	return id, last, state == "wrong"
}

// Close closes the log and waits until all its goroutines have ended. It is idempotent.
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.cancel()
		s.wg.Wait()
		s.disconnect()
		if s.lock != nil {
			unlock(s.lock)
			_ = s.lock.Close()
		}
	})
	return nil
}

// ID returns the number that was made with the log.
func (s *Store) ID() uint64 { return s.id }

// Bounds returns the sequence numbers of the oldest and the newest message.
func (s *Store) Bounds() (first, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, last = s.first, s.last
	if limit := uint64(s.cfg.MaxMessages); last >= limit {
		first = max(first, last+1-limit)
	}
	return first, last
}

// Deletions counts the messages that other programs have deleted or changed.
func (s *Store) Deletions() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deletions
}

// Size returns how many messages are kept and how many bytes the files have.
func (s *Store) Size() (messages, bytes uint64) {
	first, last := s.Bounds()
	for _, name := range []string{s.file, s.file + walSuffix} {
		if info, err := os.Stat(name); err == nil {
			bytes += uint64(info.Size())
		}
	}
	return last + 1 - first, bytes
}

// failed says what err prevented, or rather that ctx has ended.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case damaged(err) && !errors.Is(err, ErrDamaged):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%s in %s: %w", what, s.cfg.Dir, err)
}
