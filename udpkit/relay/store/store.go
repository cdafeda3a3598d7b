package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// DefaultName is the name of a log.
	DefaultName = "relay"
	// DefaultMaxMessages is how many messages are kept.
	DefaultMaxMessages = 1_000_000
	// SyncInterval is how long after it was stored a message is on the disk at the latest with
	// SyncPeriodic.
	SyncInterval = time.Second

	// maxClients is how many clients are known at most: those saved last.
	maxClients = 100_000
	// operation is how long a call may take if its context says nothing else. It is longer than a
	// cluster takes to choose a new leader.
	operation = 8 * time.Second
	// attempt is how long an answer may take before it is taken for lost, and maxPause how long the
	// next attempt waits at most.
	attempt  = 2 * time.Second
	maxPause = 250 * time.Millisecond
	// polling is how often the bounds of the log are asked for. As a rule, whatever changes them
	// says so.
	polling = time.Second
)

// Sync says when a message counts as stored.
type Sync string

// The ways to sync.
const (
	// SyncAlways: when it is on the disk. The disk is synced once for each call of Append, however
	// many records it has.
	SyncAlways Sync = "always"
	// SyncPeriodic: when the operating system has it, which writes it to the disk within
	// SyncInterval. A process that is killed loses nothing; a machine that loses its power loses
	// what was stored in the last second.
	SyncPeriodic Sync = "periodic"
)

var (
	// ErrInUse means that another process has the directory open.
	ErrInUse = errors.New("the log's directory is in use")
	// ErrDamaged means that a log is there, but not as it was left.
	ErrDamaged = errors.New("the log is damaged")
	// ErrForeign means that NATS has a stream with a name or a subject of the log that is not the
	// log's, or is a later version's. Nothing has been changed; the way out is another Config.Name.
	// An error that wraps it wraps relay.ErrConfig too.
	ErrForeign = errors.New("the log's name is taken in NATS")
)

// Config configures a Store. It is copied. Either Dir or URLs is needed.
type Config struct {
	// Dir is the directory of the log, for a NATS server inside this process. It is made if need
	// be, and belongs to one process at a time.
	Dir string
	// URLs are addresses of an existing NATS server or cluster with JetStream, such as
	// nats://user:password@192.0.2.7:4222 or tls://..., version 2.12 or newer.
	URLs []string
	// Credentials is a file with a NATS user's JWT and key, if the cluster wants one.
	Credentials string
	// Name is the log's name: letters, digits, - and _, at most 32 bytes. Logs of different names
	// share a cluster, or a directory one after the other. Its streams in NATS are Name,
	// Name-clients and Name-names. Default DefaultName.
	Name string
	// MaxMessages is how many messages are kept, the newest, 1 to 2^40. Default DefaultMaxMessages,
	// which are about 150 MB of short ones and 1.2 GB of the longest.
	MaxMessages int64
	// MaxAge is how long a message is kept, at least 1 s. Default 0: without limit.
	MaxAge time.Duration
	// Sync is when a message in Dir counts as stored. Default SyncAlways. A cluster has a setting
	// of its own, sync_interval, and "always" is the safe one there.
	Sync Sync
	// Replicas is how many servers of a cluster have each message, 1 to 5. Default: as many as it
	// was made with, which is 3, or 1 if the server is not part of a cluster.
	Replicas int
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (c Config) withDefaults() (Config, error) {
	c.Name = cmp.Or(c.Name, DefaultName)
	c.MaxMessages = cmp.Or(c.MaxMessages, DefaultMaxMessages)
	if c.Sync == "" && len(c.URLs) == 0 {
		c.Sync = SyncAlways
	}
	bad := func(format string, args ...any) (Config, error) {
		return c, fmt.Errorf("%w: "+format, append([]any{relay.ErrConfig}, args...)...)
	}
	switch {
	case c.Dir == "" && len(c.URLs) == 0:
		return bad("neither a directory for the log nor the address of a NATS server")
	case c.Dir != "" && len(c.URLs) > 0:
		return bad("both a directory for the log and the address of a NATS server")
	case !goodName.MatchString(c.Name):
		return bad("the log's name %q: 1 to 32 letters, digits, - and _", c.Name)
	case c.MaxMessages < 1 || c.MaxMessages > 1<<40:
		return bad("to keep %d messages", c.MaxMessages)
	case c.MaxAge < 0 || c.MaxAge > 0 && c.MaxAge < time.Second:
		return bad("to keep messages for %v, the least is 1s", c.MaxAge)
	case c.Dir != "" && c.Sync != SyncAlways && c.Sync != SyncPeriodic:
		return bad("sync %q, it is %q or %q", c.Sync, SyncAlways, SyncPeriodic)
	case c.Dir == "" && c.Sync != "":
		return bad("sync %q is a setting of the NATS server, not of its client", c.Sync)
	case c.Replicas < 0 || c.Replicas > 5:
		return bad("%d replicas, there can be 1 to 5", c.Replicas)
	case c.Dir != "" && c.Replicas > 1:
		return bad("%d replicas in one directory", c.Replicas)
	case c.Dir != "" && c.Credentials != "":
		return bad("credentials without the address of a NATS server")
	}
	return c, nil
}

// Store is a relay's log in NATS JetStream. Its methods are safe for concurrent use; after Close
// they return an error that wraps net.ErrClosed.
type Store struct {
	cfg   Config
	where string // the log is, for errors
	id    uint64
	nc    *nats.Conn
	js    jetstream.JetStream

	local *embedded // nil with URLs

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once

	complaint atomic.Pointer[error] // the last of NATS that nobody waited for
	saved     atomic.Bool           // something of clients, not synced yet

	mu          sync.Mutex
	link        context.Context // ends when the connection does
	unlink      context.CancelFunc
	first, last uint64
	grown       chan struct{} // closed when last grows
	bytes       uint64        // as of the last poll
	runs        map[relay.ID]position
}

var _ relay.Log = (*Store)(nil)

// Open opens the log, and makes it if it is not there. Its limits become those of the
// configuration. The error wraps relay.ErrConfig, ErrInUse, ErrDamaged, ErrForeign, or is what the
// system or NATS said. The caller closes the store.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, first: 1, grown: make(chan struct{}), runs: make(map[relay.ID]position),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	// Opening may be cancelled; what it starts lives on.
	defer context.AfterFunc(ctx, s.cancel)()
	options := []nats.Option{
		nats.Name("udpkit relay"), nats.NoEcho(), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // what is sent must not wait for a new connection
		nats.DisconnectErrHandler(func(*nats.Conn, error) { s.disconnected() }),
		nats.ReconnectHandler(func(*nats.Conn) { s.connected() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.complaint.Store(&err) }),
	}
	s.connected()
	servers := ""
	if s.cfg.Dir != "" {
		s.where = "in " + s.cfg.Dir
		if s.local, err = openEmbedded(s.cfg); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(s.local), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
	} else {
		servers = strings.Join(s.cfg.URLs, ",")
		s.where = "at " + hosts(s.cfg.URLs)
		options = append(options, nats.ReconnectWait(250*time.Millisecond), nats.SetCustomDialer(dialer{s.ctx}))
		if s.cfg.Credentials != "" {
			options = append(options, nats.UserCredentials(s.cfg.Credentials))
		}
	}
	if s.nc, err = nats.Connect(servers, options...); err != nil {
		if s.cfg.Credentials != "" && errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: the credentials: %w", relay.ErrConfig, err)
		}
		return s.failed(ctx, "connect with NATS", err)
	}
	if s.js, err = jetstream.New(s.nc); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if s.local == nil {
		_, err := s.nc.Subscribe(s.storedSubject(), func(m *nats.Msg) {
			if last, err := strconv.ParseUint(string(m.Data), 10, 64); err == nil {
				s.advance(last)
			}
		})
		if err != nil {
			return err
		}
	}
	if s.ctx.Err() != nil {
		return s.failed(ctx, "open the log "+s.cfg.Name, s.ctx.Err())
	}
	s.wg.Go(s.poll)
	if s.local != nil {
		s.wg.Go(s.heal)
	}
	return nil
}

// hosts returns the addresses without passwords.
func hosts(urls []string) string {
	var hosts []string
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			text = u.Host
		} else if at := strings.LastIndexByte(text, '@'); at >= 0 {
			text = text[at+1:]
		}
		hosts = append(hosts, text)
	}
	return strings.Join(hosts, ", ")
}

// dialer ends with the store.
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
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.cancel()
		s.wg.Wait()
		if s.nc != nil {
			s.nc.Close()
		}
		if s.local != nil {
			s.local.close()
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
	return s.first, s.last
}

// Deletions is not watched yet.
func (s *Store) Deletions() uint64 { return 0 }

// Size returns how many messages are kept and about how many bytes they take on the disk, of each
// server that has them. It is at most a second old.
func (s *Store) Size() (messages, bytes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last + 1 - s.first, s.bytes
}

// try does something with the log, and tries again what may work later: a cluster chooses another
// leader, the connection moves to another server. An answer may be lost, so it must not matter if
// it has been done before.
func (s *Store) try(ctx context.Context, what string, do func(context.Context) error) error {
	working, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		err := s.trial(working, do)
		if err == nil || errors.Is(err, relay.ErrNameTaken) { // says it all
			return err
		}
		if permanent(err) || sleep(working, pause) != nil {
			return s.failed(ctx, what, err)
		}
	}
}

// trial does something once.
func (s *Store) trial(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	s.mu.Lock()
	link := s.link
	s.mu.Unlock()
	defer context.AfterFunc(link, cancel)() // there will be no answer
	err := do(ctx)
	if err != nil && link.Err() != nil && !permanent(err) {
		err = errDisconnected
	}
	return err
}

// errDisconnected means that there is no connection, or was none for a moment.
var errDisconnected = errors.New("the connection with NATS is lost")

func (s *Store) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.unlink = context.WithCancel(context.Background())
}

func (s *Store) disconnected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink()
}

// permanent reports whether trying again is in vain.
func permanent(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code < 500
	}
	for _, target := range []error{relay.ErrNameTaken, relay.ErrConfig, errRecord, ErrDamaged, errFull, errFailing, nats.ErrConnectionClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// sleep waits, and returns an error if ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// failed says what err prevented, or rather that the store is closed or ctx has ended.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.ctx.Err() != nil:
		err = net.ErrClosed
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %v: %w", operation, os.ErrDeadlineExceeded)
		if complaint := s.complaint.Swap(nil); complaint != nil {
			err = fmt.Errorf("%w (%w)", err, *complaint)
		}
	}
	return fmt.Errorf("%s %s: %w", what, s.where, err)
}

// The subjects, and the names of the streams.

func (s *Store) clientsStream() string { return s.cfg.Name + "-clients" }
func (s *Store) namesStream() string   { return s.cfg.Name + "-names" }

func (s *Store) runSubject(run relay.ID) string { return s.cfg.Name + ".m." + run.String() }
func (s *Store) nameSubject(name string) string { return s.cfg.Name + ".n." + name }
func (s *Store) storedSubject() string          { return s.cfg.Name + ".stored" }
func (s *Store) clientSubject(role relay.Role, username string) string {
	return s.cfg.Name + ".c." + role.String() + "." + username
}

// Keys of the metadata of the streams: all have the format, by which they are known to be ours, and
// the log's has its number too.
const (
	idKey     = "udpkit-relay-id"
	formatKey = "udpkit-relay-format"
	format    = "1"
)

// setUp makes the streams, or sets their limits, and reads the state of the log. Until all three
// are known to be ours, or not to be there, it only looks.
func (s *Store) setUp(ctx context.Context) error {
	clients := jetstream.StreamConfig{
		Name: s.clientsStream(), Subjects: []string{s.cfg.Name + ".c.*.*"}, Description: "clients of the relay " + s.cfg.Name,
		Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, MaxMsgs: maxClients, Replicas: s.cfg.Replicas,
		Metadata: map[string]string{formatKey: format},
	}
	names := jetstream.StreamConfig{
		Name: s.namesStream(), Subjects: []string{s.cfg.Name + ".n.>"}, Description: "names taken at the relay " + s.cfg.Name,
		Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1, MaxMsgs: maxClients, AllowMsgTTL: true, Replicas: s.cfg.Replicas,
		Metadata: map[string]string{formatKey: format},
	}
	log := jetstream.StreamConfig{
		Name: s.cfg.Name, Subjects: []string{s.cfg.Name + ".m.*"}, Description: "messages of the relay " + s.cfg.Name,
		Storage: jetstream.FileStorage, MaxMsgs: s.cfg.MaxMessages, MaxAge: s.cfg.MaxAge, Replicas: s.cfg.Replicas,
		MaxMsgSize: 4096, AllowDirect: true, AllowAtomicPublish: s.local == nil,
		Metadata: map[string]string{idKey: strconv.FormatUint(uint64(relay.NewID()), 10), formatKey: format},
	}
	if err := s.check(ctx, log, clients, names); err != nil {
		return err
	}
	info, err := s.ensure(ctx, log)
	if err != nil {
		return err
	}
	if s.local == nil && !info.Config.AllowAtomicPublish {
		return fmt.Errorf("%w: the NATS server is older than version 2.12", relay.ErrConfig)
	}
	for _, stream := range []jetstream.StreamConfig{clients, names} {
		if _, err := s.ensure(ctx, stream); err != nil {
			return err
		}
	}
	state := info.State
	if s.local != nil {
		if state, err = s.skipLost(ctx, state); err != nil {
			return err
		}
		if err := s.local.opened(s.cfg.Name, state.LastSeq); err != nil {
			return err
		}
	}
	s.bounds(state, state.LastSeq)
	return nil
}

// check finds out, without changing anything, whether the streams are ours or can be made.
func (s *Store) check(ctx context.Context, streams ...jetstream.StreamConfig) error {
	subjects := []string{s.storedSubject()} // of no stream: another's would store what we tell each other
	for _, cfg := range streams {
		subjects = append(subjects, cfg.Subjects...)
		stream, err := s.js.Stream(ctx, cfg.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			if cfg.Name == s.cfg.Name && s.local != nil && s.local.had(cfg.Name) {
				return fmt.Errorf("%w: %s", ErrDamaged, s.local.said())
			}
		case err != nil:
			return err
		default:
			if err := s.recognise(stream.CachedInfo().Config, cfg); err != nil {
				return err
			}
		}
	}
	for _, subject := range subjects {
		var answer struct {
			Streams []string `json:"streams"`
		}
		if err := s.request(ctx, "$JS.API.STREAM.NAMES", map[string]string{"subject": subject}, &answer); err != nil {
			return err
		}
		for _, name := range answer.Streams {
			if !slices.ContainsFunc(streams, func(cfg jetstream.StreamConfig) bool { return cfg.Name == name }) {
				return foreign("the stream %s stores what is sent to %s", name, subject)
			}
		}
	}
	return nil
}

// recognise returns an error unless the settings of a stream say that a log of ours made it as
// want.
func (s *Store) recognise(have, want jetstream.StreamConfig) error {
	switch version := have.Metadata[formatKey]; {
	case version == "":
		return foreign("no relay has made the stream %s", have.Name)
	case version != format:
		return foreign("the stream %s has the format %q of another version, this program knows %q", have.Name, version, format)
	case !slices.Equal(have.Subjects, want.Subjects):
		return foreign("the stream %s is for %s, not for %s", have.Name, strings.Join(have.Subjects, ", "), strings.Join(want.Subjects, ", "))
	case want.Name != s.cfg.Name:
		return nil
	}
	id, err := strconv.ParseUint(have.Metadata[idKey], 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the NATS stream %s has no number", ErrDamaged, have.Name)
	case s.id == 0:
		s.id = id
	case s.id != id:
		return fmt.Errorf("%w: it is another one now", ErrDamaged)
	}
	return nil
}

// foreign says why the log's name cannot be used, and what to do.
func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s; choose another name", relay.ErrConfig, ErrForeign, fmt.Sprintf(format, args...))
}

// ensure makes a stream or gives it the limits of cfg, and returns what it is then.
func (s *Store) ensure(ctx context.Context, cfg jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	for attempt := 0; ; attempt++ {
		stream, err := s.js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = s.make(ctx, cfg)
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) && attempt < 3 {
			continue // another server has made it at this moment
		}
		if err != nil {
			return nil, err
		}
		have := stream.CachedInfo()
		if err := s.recognise(have.Config, cfg); err != nil {
			return nil, err // it was not there when check looked
		}
		want := have.Config
		want.MaxMsgs, want.MaxAge, want.AllowAtomicPublish = cfg.MaxMsgs, cfg.MaxAge, cfg.AllowAtomicPublish
		if cfg.Replicas != 0 {
			want.Replicas = cfg.Replicas
		}
		if want.MaxMsgs == have.Config.MaxMsgs && want.MaxAge == have.Config.MaxAge &&
			want.AllowAtomicPublish == have.Config.AllowAtomicPublish && want.Replicas == have.Config.Replicas {
			return have, nil
		}
		if want.Duplicates > want.MaxAge && want.MaxAge > 0 {
			want.Duplicates = want.MaxAge
		}
		if stream, err = s.js.UpdateStream(ctx, want); err != nil {
			return nil, err
		}
		return stream.CachedInfo(), nil
	}
}

// Error codes of JetStream that nats.go has no names for.
const (
	codeNoPeers              = 10005 // for the number of replicas
	codeReplicasNotSupported = 10074 // the server is not part of a cluster
	codeSequenceNotFound     = 10043
	codeSubjectsOverlap      = 10065
	codeWrongLastSequence    = 10071 // the condition of a message is not fulfilled
	codeBusyLastSequence     = 10164 // the same, on account of a message that is on its way into the cluster
	codeIncompleteBatch      = 10176 // part of it is lost
	codeTooManyBatches       = 10210 // at the same time
)

func (s *Store) make(ctx context.Context, cfg jetstream.StreamConfig) (stream jetstream.Stream, err error) {
	asked := cfg.Replicas
	if asked == 0 && s.local == nil {
		cfg.Replicas = 3
	}
	if stream, err = s.js.CreateStream(ctx, cfg); asked == 0 && hasCode(err, codeReplicasNotSupported) {
		cfg.Replicas = 1
		stream, err = s.js.CreateStream(ctx, cfg)
	}
	if hasCode(err, codeNoPeers) {
		err = fmt.Errorf("%d replicas need as many servers that run; start more, or ask for fewer replicas: %w", cfg.Replicas, err)
	}
	if hasCode(err, codeSubjectsOverlap) { // with a stream that was not there when check looked
		err = foreign("another stream stores what is sent to %s", strings.Join(cfg.Subjects, ", "))
	}
	return stream, err
}

// hasCode reports whether err is one of these answers of JetStream.
func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode)
}

// poll keeps the bounds true: retention moves the first, other servers the last.
func (s *Store) poll() {
	tick := time.NewTicker(polling)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, attempt)
		state, err := s.state(ctx)
		cancel()
		if err == nil {
			s.observe(state)
		}
		if s.saved.Swap(false) && s.cfg.Sync == SyncAlways {
			_ = syncTree(streamDir(s.cfg.Dir, s.clientsStream())) // no promise depends on it
		}
	}
}

// state asks the stream's leader.
func (s *Store) state(ctx context.Context) (state jetstream.StreamState, err error) {
	stream, err := s.js.Stream(ctx, s.cfg.Name)
	if err != nil {
		return state, err
	}
	return stream.CachedInfo().State, nil
}

// observe takes over the state that the stream's leader has reported.
func (s *Store) observe(state jetstream.StreamState) {
	last := state.LastSeq
	if s.local != nil {
		_, last = s.Bounds() // what is beyond may not be on the disk yet
	}
	s.bounds(state, last)
}

func (s *Store) bounds(state jetstream.StreamState, last uint64) {
	s.advance(last)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first, s.bytes = min(max(s.first, state.FirstSeq), s.last+1), state.Bytes
}

// advance notes that the messages up to last are stored.
func (s *Store) advance(last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last <= s.last {
		return
	}
	s.last = last
	if keep := uint64(s.cfg.MaxMessages); last >= keep {
		s.first = max(s.first, last+1-keep)
	}
	close(s.grown)
	s.grown = make(chan struct{})
}

// request asks JetStream's API, which the leader of the stream answers.
func (s *Store) request(ctx context.Context, subject string, question, answer any) error {
	data, err := json.Marshal(question)
	if err != nil {
		return err
	}
	m, err := s.nc.RequestWithContext(ctx, subject, data)
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

// stored is a message as JetStream returns it.
type stored struct {
	Seq  uint64 `json:"seq"`
	Data []byte `json:"data"`
}

// lastBySubject returns the newest message of a subject, with Seq 0 if there is none.
func (s *Store) lastBySubject(ctx context.Context, stream, subject string) (stored, error) {
	var answer struct {
		Message stored `json:"message"`
	}
	err := s.request(ctx, "$JS.API.STREAM.MSG.GET."+stream, map[string]string{"last_by_subj": subject}, &answer)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return stored{}, nil
	}
	return answer.Message, err
}

// streamDir is where the server keeps a stream below its directory.
func streamDir(dir, stream string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", stream)
}
