package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// DefaultName is the name of a log.
	DefaultName = "relay"
	// DefaultMaxMessages is how many messages a log keeps that is made: about 270 MB of short ones
	// and 1.3 GB of the longest, at each server that has a replica.
	DefaultMaxMessages = 1_000_000

	// operation is how long a call may take if its context says nothing else. It is longer than a
	// cluster takes to choose a new leader.
	operation = 8 * time.Second
	// attempt is how long an answer may take before it is taken for lost, and maxPause how long the
	// next attempt waits at most.
	attempt  = 2 * time.Second
	maxPause = 250 * time.Millisecond
	// waiting is the pause between two attempts to open the log.
	waiting = 500 * time.Millisecond
)

var (
	// ErrReplaced means that the log's stream was deleted and made anew: another log has its name.
	ErrReplaced = errors.New("the log is another one now")
	// ErrForeign means that NATS has a stream with a name or a subject of the log that is not the
	// log's, or is another version's. Nothing has been changed; the way out is another Config.Name.
	// An error that wraps it wraps relay.ErrConfig too.
	ErrForeign = errors.New("the log's name is taken in NATS")

	// errOutrun means that what was known of the log is not true any more.
	errOutrun = errors.New("another server was faster")
	// errBehind means that the leader of a stream does not have what it had.
	errBehind = errors.New("a server of the cluster is behind")
	// errDisconnected means that there is no connection, or was none for a moment.
	errDisconnected = errors.New("the connection with NATS is lost")
)

// Config configures a Log. It is copied. URLs are needed.
type Config struct {
	// URLs are addresses of an existing NATS server or cluster with JetStream, such as
	// nats://user:password@192.0.2.7:4222 or tls://..., version 2.12 or newer.
	URLs []string
	// Credentials is a file with a NATS user's JWT and key, if the cluster wants one.
	Credentials string
	// Name is the log's name: letters, digits, - and _, at most 32 bytes. Logs of different names
	// share a cluster. Its streams in NATS are Name, Name-clients and Name-names. Default
	// DefaultName.
	Name string
	// MaxMessages is how many messages are kept, the newest, 1 to 2^40. Default: as many as the log
	// keeps already, or DefaultMaxMessages if it is made.
	MaxMessages int64
	// MaxAge is how long a message is kept, at least 1 s; less than 0 is without limit. Default: as
	// long as the log keeps them already, or without limit if it is made.
	MaxAge time.Duration
	// Replicas is how many servers of a cluster have each message, 1 to 5. Default: as many as it
	// was made with, which is 3, or 1 if the server is not part of a cluster.
	Replicas int
	// Notice is called with what whoever runs the relay should know, and that stops nothing: why
	// Open waits, once for each reason, and that the log's limits were changed, here or elsewhere.
	// It is called on any goroutine. Default: nobody is told.
	Notice func(error)
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// withDefaults returns what is to be used, and the addresses without passwords.
func (c Config) withDefaults() (_ Config, hosts string, err error) {
	c.Name = cmp.Or(c.Name, DefaultName)
	if c.Notice == nil {
		c.Notice = func(error) {}
	}
	bad := func(format string, args ...any) (Config, string, error) {
		return c, "", fmt.Errorf("%w: "+format, append([]any{relay.ErrConfig}, args...)...)
	}
	switch {
	case len(c.URLs) == 0:
		return bad("no address of a NATS server")
	case !goodName.MatchString(c.Name):
		return bad("the log's name %q: 1 to 32 letters, digits, - and _", c.Name)
	case c.MaxMessages < 0 || c.MaxMessages > 1<<40:
		return bad("to keep %d messages", c.MaxMessages)
	case c.MaxAge > 0 && c.MaxAge < time.Second:
		return bad("to keep messages for %v, the least is 1s", c.MaxAge)
	case c.Replicas < 0 || c.Replicas > 5:
		return bad("%d replicas, there can be 1 to 5", c.Replicas)
	}
	for i, text := range c.URLs {
		if !strings.Contains(text, "://") {
			text = "nats://" + text // as nats.go does
		}
		if u, err := url.Parse(text); err != nil || u.Hostname() == "" { // may hold a password
			return bad("address %d of a NATS server cannot be understood, it is such as nats://192.0.2.7:4222", i+1)
		} else if hosts += u.Host; i < len(c.URLs)-1 {
			hosts += ", "
		}
	}
	return c, hosts, nil
}

// Log is a relay's log in NATS JetStream. Its methods are safe for concurrent use; after Close they
// return an error that wraps net.ErrClosed.
type Log struct {
	cfg   Config
	where string // the log is, for errors
	id    uint64
	nc    *nats.Conn
	js    jetstream.JetStream

	ctx    context.Context // ends with Close, or when there is no such log any more
	end    context.CancelCauseFunc
	wg     sync.WaitGroup
	closed sync.Once

	complaint atomic.Pointer[error] // the last of NATS that nobody waited for

	mu          sync.Mutex
	link        context.Context // ends when the connection does
	unlink      context.CancelFunc
	limits      limits // as of the last poll, as the rest up to deletions
	bytes       uint64
	holes       int
	deletions   uint64
	first, last uint64
	grown       chan struct{} // closed when last grows
	runs        map[relay.ID]position
	strangers   strangers
}

var _ relay.Log = (*Log)(nil)

// Open opens the log, and makes it if it is not there. As long as there is no NATS server, or none
// with JetStream, it waits, until ctx ends. The error wraps relay.ErrConfig, ErrForeign, or is what
// NATS said. The caller closes the log.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg, hosts, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, where: "at " + hosts, first: 1, grown: make(chan struct{}), runs: make(map[relay.ID]position),
		strangers: strangers{seen: make(map[uint64]bool)},
	}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	if err := l.open(ctx); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) open(ctx context.Context) error {
	// Opening may be cancelled; what it starts lives on.
	defer context.AfterFunc(ctx, func() { l.end(context.Cause(ctx)) })()
	var told service.Failure
	for {
		err := l.begin(ctx)
		if err == nil && l.ctx.Err() == nil {
			break
		}
		if permanent(err) && !hasCode(err, codeNoPeers) || l.ctx.Err() != nil {
			return l.failed(ctx, "open the log "+l.cfg.Name, err)
		}
		if told, _ := told.Note(l.explain(err)); told != nil {
			l.cfg.Notice(fmt.Errorf("waiting for NATS %s: %w", l.where, told))
		}
		measure.Sleep(ctx, waiting)
	}
	l.wg.Go(l.poll)
	return nil
}

// begin is one attempt to open the log.
func (l *Log) begin(ctx context.Context) (err error) {
	if l.nc == nil {
		if err := l.connect(); err != nil {
			return err
		}
	}
	if err := l.trial(ctx, l.setUp); err != nil {
		return err
	}
	_, err = l.nc.Subscribe(l.storedSubject(), func(m *nats.Msg) {
		if last, err := strconv.ParseUint(string(m.Data), 10, 64); err == nil {
			l.advance(last)
		}
	})
	return err
}

func (l *Log) connect() (err error) {
	options := []nats.Option{
		nats.Name("udpkit relay"), nats.NoEcho(), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250 * time.Millisecond), nats.SetCustomDialer(dialer{l.ctx}),
		nats.ReconnectBufSize(-1), // what is sent must not wait for a new connection
		nats.DisconnectErrHandler(func(*nats.Conn, error) { l.disconnected() }),
		nats.ReconnectHandler(func(*nats.Conn) { l.connected() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.complaint.Store(&err) }),
	}
	if l.cfg.Credentials != "" {
		options = append(options, nats.UserCredentials(l.cfg.Credentials))
	}
	l.connected()
	if l.nc, err = nats.Connect(strings.Join(l.cfg.URLs, ","), options...); err != nil {
		if l.cfg.Credentials != "" && errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: the credentials: %w", relay.ErrConfig, err)
		}
		return err
	}
	l.js, err = jetstream.New(l.nc)
	return err
}

// explain names what is missing where nobody answers.
func (l *Log) explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded)
		if complaint := l.complaint.Swap(nil); complaint != nil {
			err = fmt.Errorf("%w (%w)", err, *complaint)
		}
		return err
	}
	for _, target := range []error{nats.ErrNoResponders, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount} {
		if errors.Is(err, target) {
			return fmt.Errorf("JetStream is not enabled there (nats-server --jetstream), or not up yet: %w", err)
		}
	}
	return err
}

// dialer ends with the log.
type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, 2*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		// The server speaks first, and nats.go waits for that whatever happens.
		context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	}
	return conn, err
}

// Close closes the log and waits until all its goroutines have ended. It is idempotent.
func (l *Log) Close() error {
	l.closed.Do(func() {
		l.end(net.ErrClosed)
		l.wg.Wait()
		if l.nc != nil {
			l.nc.Close()
		}
	})
	return nil
}

// try does something with the log, and tries again what may work later: a cluster chooses another
// leader, the connection moves to another server. An answer may be lost, so it must not matter if
// it has been done before.
func (l *Log) try(ctx context.Context, what string, do func(context.Context) error) error {
	if l.ctx.Err() != nil {
		return l.failed(ctx, what, l.ctx.Err())
	}
	working, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		err := l.trial(working, do)
		if err == nil || errors.Is(err, relay.ErrNameTaken) { // says it all
			return err
		}
		if permanent(err) || !measure.Sleep(working, pause) {
			return l.failed(ctx, what, err)
		}
	}
}

// trial does something once.
func (l *Log) trial(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	l.mu.Lock()
	link := l.link
	l.mu.Unlock()
	defer context.AfterFunc(link, cancel)() // there will be no answer
	err := do(ctx)
	if err != nil && link.Err() != nil && !permanent(err) {
		err = errDisconnected
	}
	return err
}

func (l *Log) connected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link, l.unlink = context.WithCancel(context.Background())
}

func (l *Log) disconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlink()
}

// permanent reports whether trying again is in vain.
func permanent(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code < 500
	}
	for _, target := range []error{relay.ErrNameTaken, relay.ErrConfig, ErrReplaced, nats.ErrConnectionClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// failed says what err prevented, or rather that the log is closed or ctx has ended.
func (l *Log) failed(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case l.ctx.Err() != nil:
		err = context.Cause(l.ctx)
	default:
		err = l.explain(err)
	}
	return fmt.Errorf("%s %s: %w", what, l.where, err)
}

// request asks JetStream's API, which the leader of the stream answers.
func (l *Log) request(ctx context.Context, subject string, question, answer any) error {
	data, err := json.Marshal(question)
	if err != nil {
		return err
	}
	m, err := l.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return err
	}
	var failure struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failure); err != nil {
		return err
	}
	if failure.Error != nil {
		return failure.Error
	}
	return json.Unmarshal(m.Data, answer)
}
