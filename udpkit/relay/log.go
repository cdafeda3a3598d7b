package relay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Log keeps the messages, in one order for all readers, and what is known of the clients. Servers
// that are given the same log, on one machine or several, are one relay. The packages below store
// keep one on a disk or in a cluster; [NewMemory] returns one in memory. All methods are safe for
// concurrent use.
type Log interface {
	Messages
	Names
	Clients
}

// Messages is the part of a [Log] that keeps the messages.
type Messages interface {
	// ID names the log: a random number, made with it, that outlives the servers. A sequence number
	// means nothing in another log.
	ID() uint64
	// Bounds returns the sequence numbers of the oldest message that is kept and of the newest;
	// last is first-1 if there is none. They may be a second old.
	Bounds() (first, last uint64)
	// Deletions returns a number that changes when messages other than the oldest were deleted, at
	// most a second after that: what was read of the log before may be gone.
	Deletions() uint64
	// Append stores records in this order, after all that were appended before, and returns their
	// sequence numbers once they are stored. A record that the log has already (same Run and
	// Number) is not stored again and keeps its sequence number. If err is not nil, seqs are those
	// of the first records, which are stored; the rest may be stored or not: append it again.
	Append(ctx context.Context, records []Record) (seqs []uint64, err error)
	// Stored returns the highest Number that the log has of a run, 0 if none, and the sequence
	// numbers of those from from on: seqs[i] is that of from+i, 0 if it is not kept any more.
	Stored(ctx context.Context, run ID, from uint64) (last uint64, seqs []uint64, err error)
	// Read returns messages in order and without holes, at most max and at least one unless there
	// is none yet. The first is that with number from, or the oldest after it that is kept.
	Read(ctx context.Context, from uint64, max int) ([]Message, error)
	// Follow calls deliver, one call at a time, with the messages after the number that have
	// returns, in order and without holes except for those that are not kept any more, and then
	// with new ones as they are stored, whichever server stores them, until ctx ends, when it
	// returns nil. It calls have each time before it reads, between calls of deliver: what the
	// caller has stored itself need not be delivered to it. Any other end is an error; call it
	// again. What is delivered belongs to the callee.
	Follow(ctx context.Context, have func() uint64, deliver func([]Message)) error
}

// Names is the part of a [Log] that says who has which name.
type Names interface {
	// Claim gives a name to the owner for the time of ttl, or goes on doing so. The error wraps
	// ErrNameTaken if another owner has it.
	Claim(ctx context.Context, name string, owner ID, ttl time.Duration) error
	// Release gives back a name that the owner has; it is no error if the owner does not have it.
	Release(ctx context.Context, name string, owner ID) error
}

// Clients is the part of a [Log] that keeps what is known of the clients.
type Clients interface {
	// Client returns what was saved of a client, the zero value if nothing was.
	Client(ctx context.Context, role Role, username string) (ClientRecord, error)
	// SaveClient keeps what is known of a client, in place of what was saved before.
	SaveClient(ctx context.Context, r ClientRecord) error
}

// Record is a message that is to be stored.
type Record struct {
	Run      ID     // of the writer
	Number   uint64 // of the message within the run: 1, 2, 3 ...
	Username string
	Text     string
	At       time.Time
}

// Check returns nil if the record can be stored: it has a run, a number, and a username and a text
// that CheckUsername and CheckText take. An error wraps ErrConfig.
func (r Record) Check() error {
	if r.Number == 0 || r.Run == 0 {
		return fmt.Errorf("%w: a record without number or run", ErrConfig)
	}
	return cmp.Or(CheckUsername(r.Username), CheckText(r.Text))
}

// ClientRecord is what a log keeps of a client.
type ClientRecord struct {
	Role       Role      `json:"role"`
	Username   string    `json:"username"`
	Addr       string    `json:"addr"`           // its last address
	Run        ID        `json:"run"`            // its last run
	Registered time.Time `json:"registered"`     // when it came first
	Seen       time.Time `json:"seen"`           // when it was heard last
	Next       uint64    `json:"next,omitempty"` // a reader's: the first message that was not delivered to it
}

// DefaultMemory is how many messages a log of NewMemory keeps if it is not told.
const DefaultMemory = 100_000

// maxKnown is how many clients, and how many writers' runs, a log in memory remembers.
const maxKnown = 1 << 14

// NewMemory returns a log that keeps the newest messages in memory and nothing beyond the end of
// the process; 0 means DefaultMemory. It is for experiments and tests: "stored" means little there.
// Of clients it remembers the newest 8,192 at least: beyond that, one that was away for long is as
// good as new.
func NewMemory(messages int) Log {
	if messages <= 0 {
		messages = DefaultMemory
	}
	return &memory{
		id: uint64(NewID()), max: messages, first: 1, grown: make(chan struct{}),
		runs: make(map[ID]*run), names: make(map[string]claim), clients: make(map[clientKey]ClientRecord),
	}
}

type memory struct {
	id  uint64
	max int

	mu       sync.Mutex
	first    uint64    // sequence number of messages[0]
	messages []Message // cut at the front now and then
	grown    chan struct{}
	runs     map[ID]*run
	names    map[string]claim
	sweep    int // the number of names at which those that are free are removed
	clients  map[clientKey]ClientRecord
}

// run is what a writer's run has stored.
type run struct {
	last uint64   // Number
	seqs []uint64 // of the last ones
}

// keptNumbers is how many sequence numbers of a run are remembered at least.
const keptNumbers = 2 * maxUnstored

type claim struct {
	owner ID
	until time.Time
}

type clientKey struct {
	role     Role
	username string
}

func (m *memory) ID() uint64 { return m.id }

func (m *memory) Bounds() (first, last uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bounds()
}

func (m *memory) Deletions() uint64 { return 0 }

func (m *memory) bounds() (first, last uint64) {
	last = m.first + uint64(len(m.messages)) - 1
	return max(m.first, last+1-uint64(min(m.max, len(m.messages)))), last
}

func (m *memory) Append(_ context.Context, records []Record) (seqs []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		of := m.runs[r.Run]
		if of == nil {
			forget(m.runs, func(r *run) int64 { return int64(r.seqs[len(r.seqs)-1]) })
			of = &run{last: r.Number - 1}
			m.runs[r.Run] = of
		}
		if r.Number <= of.last {
			seqs = append(seqs, of.seq(r.Number))
			continue
		}
		seq := m.first + uint64(len(m.messages))
		m.messages = append(m.messages, Message{Seq: seq, Username: r.Username, Text: r.Text, At: r.At})
		of.last = r.Number
		if of.seqs = append(of.seqs, seq); len(of.seqs) > 2*keptNumbers {
			of.seqs = slices.Delete(of.seqs, 0, keptNumbers)
		}
		seqs = append(seqs, seq)
	}
	if surplus := len(m.messages) - m.max; surplus > m.max {
		m.messages = slices.Clone(m.messages[surplus:])
		m.first += uint64(surplus)
	}
	close(m.grown)
	m.grown = make(chan struct{})
	return seqs, nil
}

// seq returns the sequence number of a message, 0 if it is forgotten.
func (r *run) seq(number uint64) uint64 {
	back := r.last - number
	if back >= uint64(len(r.seqs)) {
		return 0
	}
	return r.seqs[uint64(len(r.seqs))-1-back]
}

func (m *memory) Stored(_ context.Context, id ID, from uint64) (last uint64, seqs []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := m.runs[id]
	if of == nil {
		return 0, nil, nil
	}
	for number := max(1, from); number <= of.last; number++ {
		seqs = append(seqs, of.seq(number))
	}
	return of.last, seqs, nil
}

func (m *memory) Read(_ context.Context, from uint64, max int) ([]Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read(from, max), nil
}

func (m *memory) read(from uint64, limit int) []Message {
	first, last := m.bounds()
	if from = max(from, first); from > last {
		return nil
	}
	at := m.messages[from-m.first:]
	return slices.Clone(at[:min(limit, len(at))])
}

func (m *memory) Follow(ctx context.Context, have func() uint64, deliver func([]Message)) error {
	for {
		after := have()
		m.mu.Lock()
		messages, grown := m.read(after+1, 1024), m.grown
		m.mu.Unlock()
		if len(messages) > 0 {
			deliver(messages)
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-grown:
		}
	}
}

func (m *memory) Claim(_ context.Context, name string, owner ID, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if had, ok := m.names[name]; ok && had.owner != owner && now.Before(had.until) {
		return fmt.Errorf("%w: %s", ErrNameTaken, name)
	}
	if len(m.names) >= m.sweep {
		maps.DeleteFunc(m.names, func(_ string, c claim) bool { return !now.Before(c.until) })
		m.sweep = 2*len(m.names) + 1024
	}
	m.names[name] = claim{owner: owner, until: now.Add(ttl)}
	return nil
}

func (m *memory) Release(_ context.Context, name string, owner ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names[name].owner == owner {
		delete(m.names, name)
	}
	return nil
}

func (m *memory) Client(_ context.Context, role Role, username string) (ClientRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clients[clientKey{role, username}], nil
}

func (m *memory) SaveClient(_ context.Context, r ClientRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := clientKey{r.Role, r.Username}
	if _, known := m.clients[key]; !known {
		forget(m.clients, func(c ClientRecord) int64 { return c.Seen.UnixNano() })
	}
	m.clients[key] = r
	return nil
}

// forget makes room in a map that is full: the older half goes, by age.
func forget[K comparable, V any](m map[K]V, age func(V) int64) {
	if len(m) < maxKnown {
		return
	}
	ages := make([]int64, 0, len(m))
	for _, v := range m {
		ages = append(ages, age(v))
	}
	slices.Sort(ages)
	middle := ages[len(ages)/2]
	maps.DeleteFunc(m, func(_ K, v V) bool { return age(v) < middle })
}
