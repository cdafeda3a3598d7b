package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// maxClients is how many clients are known at most: those saved last.
	maxClients = 100_000
	// maxMessage is how long a message of the log may be, with its headers, in bytes.
	maxMessage = 4096
	// polling is how often the state of the log is asked for. As a rule, whatever changes it says
	// so.
	polling = 500 * time.Millisecond
	// expiring is how much later than its time a message may be removed.
	expiring = 3 * time.Second
)

// Keys of the metadata of the streams: all have the format, by which they are known to be ours, and
// the log's has its number too.
const (
	idKey     = "udpkit-relay-id"
	formatKey = "udpkit-relay-format"
	format    = "2"
)

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

// hasCode reports whether err is one of these answers of JetStream.
func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode)
}

// limits are the settings of the log's stream that a Config has.
type limits struct {
	messages int64
	age      time.Duration
	replicas int
}

func limitsOf(c jetstream.StreamConfig) limits { return limits{c.MaxMsgs, c.MaxAge, c.Replicas} }

func (l limits) String() string {
	messages, age := "all messages", ""
	if l.messages > 0 {
		messages = fmt.Sprintf("the newest %d messages", l.messages)
	}
	if l.age > 0 {
		age = fmt.Sprintf(" for %v", l.age)
	}
	return fmt.Sprintf("%s%s (replicas: %d)", messages, age, l.replicas)
}

// tellLimits tells that the log has other limits now.
func (l *Log) tellLimits(was, is limits) {
	l.cfg.Notice(fmt.Errorf("the log %s keeps %v, and no longer %v", l.cfg.Name, is, was))
}

// setUp makes the streams, or sets their limits, and reads the state of the log. Until all three
// are known to be ours, or not to be there, it only looks.
func (l *Log) setUp(ctx context.Context) error {
	clients := jetstream.StreamConfig{
		Name: l.clientsStream(), Subjects: []string{l.cfg.Name + ".c.*.*"}, Description: "clients of the relay " + l.cfg.Name,
		Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, MaxMsgs: maxClients, Replicas: l.cfg.Replicas,
		Metadata: map[string]string{formatKey: format},
	}
	names := jetstream.StreamConfig{
		Name: l.namesStream(), Subjects: []string{l.cfg.Name + ".n.>"}, Description: "names taken at the relay " + l.cfg.Name,
		Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1, MaxMsgs: maxClients, AllowMsgTTL: true, Replicas: l.cfg.Replicas,
		Metadata: map[string]string{formatKey: format},
	}
	log := jetstream.StreamConfig{
		Name: l.cfg.Name, Subjects: []string{l.allSubjects()}, Description: "messages of the relay " + l.cfg.Name,
		Storage: jetstream.FileStorage, MaxMsgs: cmp.Or(l.cfg.MaxMessages, DefaultMaxMessages), MaxAge: max(l.cfg.MaxAge, 0),
		Replicas: l.cfg.Replicas, MaxMsgSize: maxMessage, AllowDirect: true, AllowAtomicPublish: true,
		Metadata: map[string]string{idKey: strconv.FormatUint(uint64(relay.NewID()), 10), formatKey: format},
	}
	if err := l.check(ctx, log, clients, names); err != nil {
		return err
	}
	info, err := l.ensure(ctx, log)
	if err != nil {
		return err
	}
	if !info.Config.AllowAtomicPublish {
		return fmt.Errorf("%w: the NATS server is older than version 2.12", relay.ErrConfig)
	}
	for _, stream := range []jetstream.StreamConfig{clients, names} {
		if _, err := l.ensure(ctx, stream); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.limits, l.holes = limitsOf(info.Config), info.State.NumDeleted
	l.first = max(l.first, info.State.FirstSeq)
	l.mu.Unlock()
	l.observe(info)
	return nil
}

// check finds out, without changing anything, whether the streams are ours or can be made.
func (l *Log) check(ctx context.Context, streams ...jetstream.StreamConfig) error {
	subjects := []string{l.storedSubject()} // of no stream: another's would store what we tell each other
	for _, cfg := range streams {
		subjects = append(subjects, cfg.Subjects...)
		stream, err := l.js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := l.recognise(stream.CachedInfo().Config, cfg); err != nil {
			return err
		}
	}
	for _, subject := range subjects {
		all := l.js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
		for name := range all.Name() {
			if !slices.ContainsFunc(streams, func(cfg jetstream.StreamConfig) bool { return cfg.Name == name }) {
				return foreign("the stream %s stores what is sent to %s", name, subject)
			}
		}
		if all.Err() != nil {
			return all.Err()
		}
	}
	return nil
}

// recognise returns an error unless the settings of a stream say that a log of ours made it as
// want.
func (l *Log) recognise(have, want jetstream.StreamConfig) error {
	switch version := have.Metadata[formatKey]; {
	case version == "":
		return foreign("no relay has made the stream %s", have.Name)
	case version != format:
		return foreign("the stream %s has the format %q of another version, this program knows %q", have.Name, version, format)
	case !slices.Equal(have.Subjects, want.Subjects):
		return foreign("the stream %s is for %s, not for %s", have.Name, strings.Join(have.Subjects, ", "), strings.Join(want.Subjects, ", "))
	case want.Name != l.cfg.Name:
		return nil
	}
	id, err := strconv.ParseUint(have.Metadata[idKey], 10, 64)
	if l.id == 0 {
		l.id = id
	}
	switch {
	case err != nil:
		return foreign("the stream %s has no number", have.Name)
	case l.id != id:
		return fmt.Errorf("%w: the NATS stream %s was deleted and made anew; start the relay again", ErrReplaced, have.Name)
	}
	return nil
}

// foreign says why the log's name cannot be used, and what to do.
func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s; choose another name", relay.ErrConfig, ErrForeign, fmt.Sprintf(format, args...))
}

// ensure makes a stream, or gives it the limits that were asked for, and returns what it is then.
func (l *Log) ensure(ctx context.Context, cfg jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	for attempt := 0; ; attempt++ {
		stream, err := l.js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = l.make(ctx, cfg)
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) && attempt < 3 {
			continue // another server has made it at this moment
		}
		if err != nil {
			return nil, err
		}
		have := stream.CachedInfo()
		if err := l.recognise(have.Config, cfg); err != nil {
			return nil, err // it was not there when check looked
		}
		want := have.Config
		want.AllowAtomicPublish = cfg.AllowAtomicPublish // made by an older NATS
		want.Replicas = cmp.Or(cfg.Replicas, want.Replicas)
		if cfg.Name == l.cfg.Name {
			want.MaxMsgs = cmp.Or(l.cfg.MaxMessages, want.MaxMsgs)
			if l.cfg.MaxAge != 0 {
				want.MaxAge = cfg.MaxAge
			}
		}
		was, is := limitsOf(have.Config), limitsOf(want)
		if was == is && want.AllowAtomicPublish == have.Config.AllowAtomicPublish {
			return have, nil
		}
		if want.Duplicates > want.MaxAge && want.MaxAge > 0 {
			want.Duplicates = want.MaxAge
		}
		if stream, err = l.js.UpdateStream(ctx, want); err != nil {
			return nil, refused(err, want)
		}
		if was != is && cfg.Name == l.cfg.Name {
			l.tellLimits(was, is)
		}
		return stream.CachedInfo(), nil
	}
}

func (l *Log) make(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	cfg.Replicas = cmp.Or(l.cfg.Replicas, 3)
	stream, err := l.js.CreateStream(ctx, cfg)
	if l.cfg.Replicas == 0 && hasCode(err, codeReplicasNotSupported) {
		cfg.Replicas = 1
		stream, err = l.js.CreateStream(ctx, cfg)
	}
	return stream, refused(err, cfg)
}

// refused says what is wrong with a stream that NATS does not make.
func refused(err error, cfg jetstream.StreamConfig) error {
	switch {
	case hasCode(err, codeNoPeers):
		return fmt.Errorf("%d replicas need as many servers that run; start more, or ask for fewer replicas: %w", cfg.Replicas, err)
	case hasCode(err, codeReplicasNotSupported):
		return fmt.Errorf("%w: %d replicas at a server that is not part of a cluster: %v", relay.ErrConfig, cfg.Replicas, err)
	case hasCode(err, codeSubjectsOverlap): // with a stream that was not there when check looked
		return foreign("another stream stores what is sent to %s", strings.Join(cfg.Subjects, ", "))
	}
	return err
}

// poll keeps what is known of the log true: retention and deletions move the first, other servers
// the last.
func (l *Log) poll() {
	for measure.Sleep(l.ctx, polling) {
		ctx, cancel := context.WithTimeout(l.ctx, attempt)
		_, _ = l.look(ctx) // whoever uses the log meets the error
		cancel()
	}
}

// look asks the log's leader for its state.
func (l *Log) look(ctx context.Context) (state jetstream.StreamState, err error) {
	stream, err := l.js.Stream(ctx, l.cfg.Name)
	if err != nil {
		return state, err
	}
	info := stream.CachedInfo()
	if err := l.recognise(info.Config, info.Config); err != nil {
		l.end(err)
		return state, err
	}
	l.observe(info)
	return info.State, nil
}

// observe takes over the state that the log's leader has reported.
func (l *Log) observe(info *jetstream.StreamInfo) {
	state, is := info.State, limitsOf(info.Config)
	l.advance(state.LastSeq)
	l.mu.Lock()
	first := min(max(l.first, state.FirstSeq), l.last+1)
	if state.NumDeleted != l.holes || first > l.first && !retained(info) {
		l.deletions++
	}
	was := l.limits
	l.first, l.bytes, l.holes, l.limits = first, state.Bytes, state.NumDeleted, is
	l.mu.Unlock()
	if was != is {
		l.tellLimits(was, is)
	}
}

// retained reports whether the limits of the stream explain that it has lost its oldest messages.
func retained(info *jetstream.StreamInfo) bool {
	c, state := info.Config, info.State
	oldest := state.FirstTime
	if state.Msgs == 0 {
		oldest = state.LastTime
	}
	return c.MaxMsgs > 0 && state.Msgs >= uint64(c.MaxMsgs) ||
		c.MaxBytes > 0 && state.Bytes+maxMessage >= uint64(c.MaxBytes) ||
		c.MaxAge > 0 && info.TimeStamp.Sub(oldest) > c.MaxAge-expiring
}

// advance notes that the messages up to last are stored.
func (l *Log) advance(last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last <= l.last {
		return
	}
	l.last = last
	if keep := uint64(l.limits.messages) + uint64(l.holes); l.limits.messages > 0 && last >= keep {
		l.first = max(l.first, last+1-keep)
	}
	close(l.grown)
	l.grown = make(chan struct{})
}

// ID returns the number that was made with the log.
func (l *Log) ID() uint64 { return l.id }

// Bounds returns the sequence numbers of the oldest and the newest message.
func (l *Log) Bounds() (first, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first, l.last
}

// Deletions returns a number that changes within a second after messages were deleted that the
// log's limits would have kept.
func (l *Log) Deletions() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deletions
}

// Size returns how many messages are kept and about how many bytes they take on the disk, of each
// server that has them. It is at most a second old.
func (l *Log) Size() (messages, bytes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last + 1 - l.first, l.bytes
}
