package relay_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// Each of 200 readers gets every message once, in order, those that come late too.
func TestManyReaders(t *testing.T) {
	const readers, messages = 200, 1000
	s := serve(t, relay.ServerConfig{})
	w := newWriter(t, s.Addr(), "ann")
	var all []reader
	come := func(n int) {
		for range n {
			all = append(all, newReader(t, s.Addr(), fmt.Sprintf("reader-%d", len(all)), relay.ReaderConfig{MaxMessages: messages}))
		}
	}
	come(readers / 2)
	w.write(t, 1, messages/2)
	come(readers / 2)
	w.write(t, messages/2+1, messages/2)
	for i, r := range all {
		require.NoError(t, r.end(t))
		whole(t, r.messages(), 1, messages)
		for _, m := range r.messages() {
			require.Equal(t, relay.Message{Seq: m.Seq, Username: "ann", Text: fmt.Sprint(m.Seq), At: m.At}, m, "reader %d", i)
		}
		assert.Zero(t, r.Stats().Gaps)
	}
	s.stop(t)
	stats := s.Stats()
	assert.EqualValues(t, readers*messages, stats.Delivered)
	assert.EqualValues(t, messages, stats.Stored)
	assert.EqualValues(t, messages, stats.Last)
	assert.EqualValues(t, readers+1, stats.Registered)
	assert.EqualValues(t, readers, stats.Left[relay.ReasonLeft])
	assert.Zero(t, stats.Malformed+stats.NotStored+stats.Gone)
	t.Logf("%+v", stats)
}

// All readers get the same order, which has each writer's own in it; and what a writer is told is
// what the log has.
func TestManyWriters(t *testing.T) {
	const writers, readers, each = 20, 20, 200
	s := serve(t, relay.ServerConfig{})
	var all []reader
	for i := range readers {
		all = append(all, newReader(t, s.Addr(), fmt.Sprintf("reader-%d", i), relay.ReaderConfig{MaxMessages: writers * each}))
	}
	var written sync.WaitGroup
	stored := make([]map[uint64]string, writers)
	for i := range writers {
		w := newWriter(t, s.Addr(), fmt.Sprintf("writer-%d", i))
		written.Go(func() {
			assert.NoError(t, w.send(1, each))
			stored[i] = map[uint64]string{}
			for k, e := range storedOf(w) {
				assert.EqualValues(t, k+1, e.Number)
				assert.Equal(t, fmt.Sprint(k+1), e.Text)
				assert.Positive(t, e.Took)
				stored[i][e.Seq] = e.Text
			}
			assert.Len(t, stored[i], each)
		})
	}
	written.Wait()
	for i, r := range all {
		require.NoError(t, r.end(t))
		whole(t, r.messages(), 1, writers*each)
		if i > 0 {
			require.Equal(t, all[0].messages(), r.messages())
		}
	}
	next := map[string]int{}
	for _, m := range all[0].messages() {
		next[m.Username]++
		require.Equal(t, fmt.Sprint(next[m.Username]), m.Text, "in the order of %s", m.Username)
		var of int
		_, err := fmt.Sscanf(m.Username, "writer-%d", &of)
		require.NoError(t, err)
		require.Equal(t, stored[of][m.Seq], m.Text, "what the writer was told")
	}
	t.Logf("%+v", s.Stats())
}

func storedOf(w writer) []relay.StoredEvent { return all[relay.StoredEvent](w.journal) }

func TestFrom(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	w := newWriter(t, s.Addr(), "ann")
	w.write(t, 1, 3)
	back := newReader(t, s.Addr(), "last", relay.ReaderConfig{From: relay.FromNow, MaxMessages: 1})
	wait(t, back.journal, up)
	w.write(t, 4, 3)
	require.NoError(t, back.end(t))
	whole(t, back.messages(), 4, 1)

	for _, test := range []struct {
		name string
		from relay.From
		next int
	}{
		{"last", relay.FromLast, 5},
		{"last", relay.FromStart, 1},
		{"start", relay.FromStart, 1},
		{"now", relay.FromNow, 7},
		{"new", relay.FromLast, 1}, // a new name
		{"last", 3, 3},
		{"number", 7, 7},
		{"number", relay.FromLast, 8}, // it has read since
		{"ahead", 1000, 8},
	} {
		r := newReader(t, s.Addr(), test.name, relay.ReaderConfig{From: test.from})
		assert.EqualValues(t, test.next, wait(t, r.journal, up).Next, test.name)
		join := wait(t, s.journal, func(e relay.JoinEvent) bool { return e.Client == r.Addr() })
		assert.Equal(t, relay.JoinEvent{Role: relay.RoleReader, Username: test.name, Client: r.Addr(), At: join.At, Next: uint64(test.next)}, join)
		if test.from == relay.FromNow {
			w.write(t, 7, 1)
		}
		last := int(s.Stats().Last)
		r.read(t, last+1-test.next)
		r.stop(t)
		whole(t, r.messages(), test.next, last+1-test.next)
		assert.EqualValues(t, last+1, r.Stats().Next)
	}
}

// A reader that comes back goes on where it stopped, also through another server and when the last
// one did not hear from it again.
func TestComesBack(t *testing.T) {
	t.Parallel()
	log := relay.NewMemory(0)
	s := serve(t, relay.ServerConfig{Log: log, Expire: time.Second})
	w := newWriter(t, s.Addr(), "ann")
	w.write(t, 1, 10)

	r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{MaxMessages: 4})
	require.NoError(t, r.end(t))
	whole(t, r.messages(), 1, 4)
	r = newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	r.read(t, 6)
	r.stop(t)
	whole(t, r.messages(), 5, 6)

	// What is delivered is saved now and then.
	saved := func(next uint64) {
		require.Eventually(t, func() bool {
			c, err := log.Client(t.Context(), relay.RoleReader, "bob")
			return err == nil && c.Next == next
		}, patience, time.Millisecond)
	}
	r = newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	wait(t, r.journal, up)
	w.write(t, 11, 6)
	saved(17)
	r.kill(t)
	w.write(t, 17, 4)
	r = newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	assert.EqualValues(t, 17, wait(t, r.journal, up).Next)
	saved(21)
	whole(t, r.messages(), 17, 4)
	s.end(t)
	wait(t, r.journal, down)
	r.kill(t)
	w.stop(t)

	s = serve(t, relay.ServerConfig{Log: log})
	r = newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	assert.EqualValues(t, 21, wait(t, r.journal, up).Next)
}

func TestMaxMessages(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	w := newWriter(t, s.Addr(), "ann")
	w.write(t, 1, 1000)
	for _, n := range []int{1, 7, 1000} {
		for _, delay := range []time.Duration{0, time.Millisecond} {
			r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{MaxMessages: uint64(n), From: relay.FromStart, Delay: delay})
			require.NoError(t, r.end(t))
			whole(t, r.messages(), 1, n)
			events := all[relay.MessageEvent](r.journal)
			assert.True(t, events[n-1].Last, "no other comes")
			summary := all[relay.ReaderSummary](r.journal)
			require.Len(t, summary, 1)
			assert.EqualValues(t, n, summary[0].Delivered)
			assert.EqualValues(t, n+1, summary[0].Next)
			assert.Positive(t, summary[0].Runtime)
		}
	}
	assert.Len(t, s.Clients(), 1)
}

// With a delay messages come together, and the last of them says so.
func TestDelay(t *testing.T) {
	const delay = 300 * time.Millisecond
	s := serve(t, relay.ServerConfig{})
	w := newWriter(t, s.Addr(), "ann")
	w.write(t, 1, 5) // so they come in one datagram
	var at []time.Time
	r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{Delay: delay, OnEvent: func(e relay.Event) {
		if _, ok := e.(relay.MessageEvent); ok {
			at = append(at, time.Now())
		}
	}})
	linked := wait(t, r.journal, up)
	r.read(t, 5)
	w.write(t, 6, 1)
	r.read(t, 6)
	w.write(t, 7, 3)
	r.read(t, 9)
	r.stop(t)
	whole(t, r.messages(), 1, 9)
	var batches []int
	n, begun := 0, linked.At
	for i, e := range all[relay.MessageEvent](r.journal) {
		if n == 0 {
			assert.GreaterOrEqual(t, at[i].Sub(begun), delay)
		}
		n++
		if e.Last {
			batches = append(batches, n)
			n = 0
			if i+1 < len(r.messages()) {
				begun = r.messages()[i+1].At // it cannot come before
			}
		}
	}
	assert.Zero(t, n, "the last is a last one")
	require.GreaterOrEqual(t, len(batches), 3)
	assert.Equal(t, []int{5, 1}, batches[:2])
}

// TestFlush: what Flush does not call safe is not delivered, and the next reader of the name gets
// it again.
func TestFlush(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	newWriter(t, s.Addr(), "ann").write(t, 1, 10)
	full := errors.New("the disk is full")
	for _, test := range []struct {
		name  string
		max   uint64
		flush func(told int) (int, error)
		stop  int // the message at which the reader is interrupted
		err   error
		told  int // messages
		next  uint64
	}{
		{name: "fails", flush: func(told int) (int, error) { return told - 3, full }, err: full, told: 10, next: 8},
		{name: "too few", flush: func(told int) (int, error) { return told - 1, nil }, err: io.ErrShortWrite, told: 10, next: 10},
		{name: "nothing", flush: func(int) (int, error) { return -1, full }, err: full, told: 10, next: 1},
		{name: "nonsense", flush: func(told int) (int, error) { return told + 5, nil }, stop: 10},
		{name: "interrupted", flush: func(told int) (int, error) { return told, nil }, stop: 4},
		{name: "limit", max: 6, flush: func(told int) (int, error) { return told, nil }, told: 6, next: 7},
		{name: "limit, fails", max: 6, flush: func(told int) (int, error) { return told - 2, full }, err: full, told: 6, next: 5},
	} {
		var r *relay.Reader
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		told, unsafe := 0, 0
		r, err := relay.NewReader(relay.ReaderConfig{
			Servers: []string{s.Addr().String()}, Username: "bob", From: relay.FromStart, MaxMessages: test.max, Delay: 50 * time.Millisecond,
			OnEvent: func(e relay.Event) {
				m, ok := e.(relay.MessageEvent)
				if !ok {
					return
				}
				if unsafe, told = unsafe+1, told+1; int(m.Seq) == test.stop {
					cancel()
					time.Sleep(20 * time.Millisecond) // most often no further message is told then
				}
				if unsafe == 1 {
					assert.EqualValues(t, m.Seq, r.Stats().Next, test.name)
				}
			},
			Flush: func() (int, error) {
				n := unsafe
				unsafe = 0
				return test.flush(n)
			},
		})
		require.NoError(t, err)
		require.ErrorIs(t, r.Run(ctx), test.err, test.name)
		cancel()
		require.NoError(t, r.Close())
		if test.stop > 0 {
			assert.GreaterOrEqual(t, told, test.stop)
			test.told, test.next = told, uint64(told+1)
		}
		assert.Equal(t, test.told, told, test.name)
		assert.Zero(t, unsafe, "%s: flushed before the end", test.name)
		assert.Equal(t, test.next, r.Stats().Next, test.name)
		assert.Equal(t, test.next-1, r.Stats().Delivered, test.name)
		next := newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
		assert.Equal(t, test.next, wait(t, next.journal, up).Next, test.name)
		next.stop(t)
	}
}

// What a log does not keep any more is reported with its size, and nothing else is missing.
func TestGap(t *testing.T) {
	const kept, last = 10, 100
	for _, singles := range []int{0, 2 * kept} { // the cache has the end of it, or the last only
		s := serve(t, relay.ServerConfig{Log: relay.NewMemory(kept), Cache: 1})
		w := newWriter(t, s.Addr(), "ann")
		w.write(t, 1, 2)
		r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{MaxMessages: 2})
		require.NoError(t, r.end(t))
		w.write(t, 3, last-2-singles)
		for i := range singles {
			w.write(t, last-singles+i+1, 1)
		}
		r = newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
		gap := wait(t, r.journal, anyOf[relay.GapEvent])
		r.read(t, int(last-gap.To))
		r.stop(t)
		assert.EqualValues(t, 3, gap.From)
		assert.LessOrEqual(t, gap.To, uint64(last-kept))
		if singles > 0 {
			assert.EqualValues(t, last-kept, gap.To)
		}
		assert.Equal(t, gap.To-2, gap.Messages())
		assert.Len(t, all[relay.GapEvent](r.journal), 1)
		whole(t, r.messages(), int(gap.To+1), int(last-gap.To))
		assert.EqualValues(t, 1, r.Stats().Gaps)
		assert.Equal(t, gap.Messages(), r.Stats().Missing)
		assert.EqualValues(t, last+1, r.Stats().Next)
		assert.EqualValues(t, len(r.messages()), r.Stats().Delivered)

		// One that begins with the oldest message misses nothing.
		eve := newReader(t, s.Addr(), "eve", relay.ReaderConfig{MaxMessages: kept})
		require.NoError(t, eve.end(t))
		assert.Empty(t, all[relay.GapEvent](eve.journal))
		whole(t, eve.messages(), last-kept+1, kept)
		s.stop(t)
		assert.Equal(t, gap.Messages(), s.Stats().Gone)
		assert.EqualValues(t, 2+len(r.messages())+kept, s.Stats().Delivered)
	}
}

// Another log begins anew, and the reader is told.
func TestOtherLog(t *testing.T) {
	s := serve(t, relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.7.1:0")})
	w, r := newWriter(t, s.Addr(), "ann"), newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	w.write(t, 1, 5)
	r.read(t, 5)
	s.end(t)
	other := serve(t, relay.ServerConfig{Listen: s.Addr()})
	w.write(t, 6, 3)
	r.read(t, 8)
	r.stop(t)
	assert.EqualValues(t, 1, wait(t, r.journal, anyOf[relay.LogEvent]).Next)
	assert.Len(t, all[relay.LogEvent](r.journal), 1)
	whole(t, r.messages()[:5], 1, 5)
	whole(t, r.messages()[5:], 1, 3)
	assert.Equal(t, "6", r.messages()[5].Text)
	assert.EqualValues(t, 4, r.Stats().Next)
	other.stop(t)
}

// Clients wait for a server that is away, say so, and go on when it comes back.
func TestServerAway(t *testing.T) {
	const each = 600
	const messages = 5 * each
	log := relay.NewMemory(0)
	s := serve(t, relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.7.2:0")})
	addr := s.Addr()
	s.end(t)
	w, r := newWriter(t, addr, "ann"), newReader(t, addr, "bob", relay.ReaderConfig{MaxMessages: messages})
	begin, sent := make(chan int, 1), make(chan error, 1)
	go func() {
		for i := range begin {
			for k := range each {
				if err := w.Send(t.Context(), fmt.Sprint(i*each+k+1)); err != nil {
					sent <- err
					return
				}
			}
		}
		sent <- w.Flush(t.Context())
	}()
	begin <- 0
	for _, j := range []*journal{w.journal, r.journal} {
		assert.Contains(t, wait(t, j, down).Text, "nothing listens at "+addr.String())
	}
	for i := range 4 {
		s = serve(t, relay.ServerConfig{Listen: addr, Log: log})
		wait(t, w.journal, up)
		wait(t, r.journal, up)
		for _, j := range []*journal{w.journal, r.journal} {
			j.mark()
		}
		r.read(t, i*each+1)
		begin <- i + 1
		s.end(t) // while it is at work
		if i < 3 {
			for _, j := range []*journal{w.journal, r.journal} {
				// It depends on whether the client sends something before it sees the last words.
				assert.Regexp(t, "has ended|nothing listens", wait(t, j, down).Text)
			}
		}
	}
	close(begin)
	s = serve(t, relay.ServerConfig{Listen: addr, Log: log})
	require.NoError(t, <-sent)
	require.NoError(t, r.end(t))
	whole(t, r.messages(), 1, messages)
	for i, m := range r.messages() {
		require.Equal(t, fmt.Sprint(i+1), m.Text)
	}
	stored := storedOf(w)
	require.Len(t, stored, messages)
	for i, e := range stored {
		require.EqualValues(t, i+1, e.Number)
		require.EqualValues(t, i+1, e.Seq)
	}
	assert.Empty(t, all[relay.LogEvent](r.journal))
	assert.Empty(t, all[relay.GapEvent](r.journal))
	assert.Empty(t, all[relay.ErrorEvent](s.journal))
}

// A server that ends says so.
func TestServerEnds(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	w, r := newWriter(t, s.Addr(), "ann"), newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	wait(t, w.journal, up)
	wait(t, r.journal, up)
	s.stop(t) // the socket is open: that nobody has it does not tell
	for _, j := range []*journal{w.journal, r.journal} {
		assert.Contains(t, wait(t, j, down).Text, "has ended")
	}
	begun := time.Now()
	w.stop(t)
	r.stop(t)
	assert.Less(t, time.Since(begun), 2*time.Second)
}

// A name belongs to one live client of each role, and names that look alike are one.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	s := serve(t, relay.ServerConfig{Expire: time.Second})
	ann := newReader(t, s.Addr(), "ann-1", relay.ReaderConfig{})
	wait(t, ann.journal, up)
	other := newWriter(t, s.Addr(), "ann-1")
	wait(t, other.journal, up)

	begun := time.Now()
	refused := []*runner{
		newReader(t, s.Addr(), "ann-1", relay.ReaderConfig{}).runner,
		newReader(t, s.Addr(), "ANNL", relay.ReaderConfig{}).runner, // it looks alike
		newWriter(t, s.Addr(), "an_n1").runner,
	}
	for _, r := range refused {
		link := wait(t, r.journal, anyOf[relay.LinkEvent])
		assert.False(t, link.Up)
		assert.Contains(t, link.Text, "another")
		err := r.end(t)
		assert.ErrorIs(t, err, relay.ErrNameTaken)
		assert.ErrorContains(t, err, "choose another name")
		assert.ErrorContains(t, err, s.Addr().String())
		assert.GreaterOrEqual(t, time.Since(begun), 2*time.Second, "a dead one could have had it")
		assert.Len(t, all[relay.LinkEvent](r.journal), 1, "it is said once")
	}
	assert.Less(t, time.Since(begun), 10*time.Second)
	assert.Positive(t, s.Stats().Refused[relay.ReasonNameTaken])
}

// A name is free at once when its owner leaves, and in a bounded time when it dies.
func TestNameFree(t *testing.T) {
	t.Parallel()
	s := serve(t, relay.ServerConfig{Expire: 2 * time.Second})
	ann := newReader(t, s.Addr(), "ann-1", relay.ReaderConfig{})
	wait(t, ann.journal, up)
	ann.stop(t)
	before := s.Stats().Refused[relay.ReasonNameTaken]
	ann = newReader(t, s.Addr(), "ann-1", relay.ReaderConfig{})
	wait(t, ann.journal, up)
	assert.Equal(t, before, s.Stats().Refused[relay.ReasonNameTaken])
	ann.kill(t)
	again := newReader(t, s.Addr(), "ann-1", relay.ReaderConfig{})
	wait(t, again.journal, up)
	left := wait(t, s.journal, func(e relay.LeaveEvent) bool { return e.Reason == relay.ReasonExpired })
	assert.Equal(t, "ann-1", left.Username)
	assert.Equal(t, ann.Addr(), left.Client)
}

// A client whose address changes goes on.
func TestAddressChanges(t *testing.T) {
	t.Parallel()
	const moves, each = 3, 200
	s := serve(t, relay.ServerConfig{Expire: time.Second})
	fr, fw := newForwarder(t, s.Addr()), newForwarder(t, s.Addr())
	r, w := newReader(t, fr.addr(), "bob", relay.ReaderConfig{}), newWriter(t, fw.addr(), "ann")
	w.write(t, 1, each)
	r.read(t, each)
	for i := range moves {
		s.mark()
		at := map[relay.Role]netip.AddrPort{relay.RoleReader: fr.move(), relay.RoleWriter: fw.move()}
		w.write(t, (i+1)*each+1, each)
		r.read(t, (i+2)*each)
		for role, addr := range at {
			e := wait(t, s.journal, func(e relay.JoinEvent) bool { return e.Role == role })
			assert.True(t, e.Moved)
			assert.Equal(t, addr, e.Client)
		}
	}
	r.stop(t)
	w.stop(t)
	whole(t, r.messages(), 1, (moves+1)*each)
	for i, m := range r.messages() {
		require.Equal(t, fmt.Sprint(i+1), m.Text)
	}
	stats := s.Stats()
	assert.EqualValues(t, 2, stats.Registered)
	assert.EqualValues(t, len(r.messages()), stats.Delivered)
}

// A client that is not heard expires; when it is heard again it goes on.
func TestExpires(t *testing.T) {
	t.Parallel()
	s := serve(t, relay.ServerConfig{Expire: time.Second})
	fr, fw := newForwarder(t, s.Addr()), newForwarder(t, s.Addr())
	r, w := newReader(t, fr.addr(), "bob", relay.ReaderConfig{}), newWriter(t, fw.addr(), "ann")
	begun := time.Now()
	w.write(t, 1, 10)
	r.read(t, 10)
	fr.cut.Store(true)
	fw.cut.Store(true)
	sent := make(chan error, 1)
	go func() { sent <- w.send(11, 10) }()
	for _, role := range []relay.Role{relay.RoleReader, relay.RoleWriter} {
		e := wait(t, s.journal, func(e relay.LeaveEvent) bool { return e.Role == role })
		assert.Equal(t, relay.ReasonExpired, e.Reason)
		assert.GreaterOrEqual(t, time.Since(begun), time.Second)
	}
	for _, j := range []*journal{r.journal, w.journal} {
		assert.Contains(t, wait(t, j, down).Text, "no answer from")
		j.mark()
	}
	assert.Empty(t, s.Clients())
	fr.cut.Store(false)
	fw.cut.Store(false)
	require.NoError(t, <-sent)
	r.read(t, 20)
	r.stop(t)
	whole(t, r.messages(), 1, 20)
}

// A reader whose OnEvent blocks delays nobody, and gets everything once it goes on.
func TestBlockedReader(t *testing.T) {
	const messages = 20_000 // more than a reader holds
	s := serve(t, relay.ServerConfig{Cache: 64 << 10})
	release := make(chan struct{})
	slow := newReader(t, s.Addr(), "slow", relay.ReaderConfig{MaxMessages: messages, OnEvent: func(e relay.Event) {
		if e, ok := e.(relay.MessageEvent); ok && e.Seq == 1 {
			<-release
		}
	}})
	fast := newReader(t, s.Addr(), "fast", relay.ReaderConfig{MaxMessages: messages})
	w := newWriter(t, s.Addr(), "ann")
	begun := time.Now()
	w.write(t, 1, messages)
	require.NoError(t, fast.end(t))
	took := time.Since(begun)
	whole(t, fast.messages(), 1, messages)
	assert.Len(t, slow.read(t, 1), 1)
	begun = time.Now()
	close(release)
	require.NoError(t, slow.end(t))
	whole(t, slow.messages(), 1, messages)
	t.Logf("%v with the blocked reader, which took %v then; %+v", took, time.Since(begun), slow.Stats())
}

func TestFull(t *testing.T) {
	s := serve(t, relay.ServerConfig{MaxClients: 2})
	w, r := newWriter(t, s.Addr(), "ann"), newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	wait(t, w.journal, up)
	wait(t, r.journal, up)
	third := newReader(t, s.Addr(), "eve", relay.ReaderConfig{})
	link := wait(t, third.journal, anyOf[relay.LinkEvent])
	assert.False(t, link.Up)
	assert.Contains(t, link.Text, string(relay.ReasonFull))
	w.write(t, 1, 10)
	r.read(t, 10)
	r.stop(t)
	third.read(t, 10)
	assert.Positive(t, s.Stats().Refused[relay.ReasonFull])
	assert.EqualValues(t, 3, s.Stats().Registered)
}

func TestTexts(t *testing.T) {
	texts := []string{
		"", " ", "one", "\x00\x1b[31m<script>\u202e\n", "žluťoučký kůň 🐎", strings.Repeat("x", relay.MaxText),
		strings.Repeat("ž", relay.MaxText/2), strings.Repeat("🐎", relay.MaxText/4), "", "last",
	}
	s := serve(t, relay.ServerConfig{})
	longest := strings.Repeat("n", relay.MaxNameLen)
	w := newWriter(t, s.Addr(), longest)
	r := newReader(t, s.Addr(), longest, relay.ReaderConfig{MaxMessages: uint64(len(texts))})
	for _, text := range texts {
		require.NoError(t, w.Send(t.Context(), text))
	}
	for _, text := range []string{strings.Repeat("x", relay.MaxText+1), strings.Repeat("ž", relay.MaxText/2) + "x", strings.Repeat("x", 1<<20)} {
		err := w.Send(t.Context(), text)
		assert.ErrorIs(t, err, relay.ErrTextTooLong)
		assert.ErrorIs(t, err, relay.ErrConfig)
		assert.ErrorContains(t, err, fmt.Sprintf("%d bytes, a message has at most %d", len(text), relay.MaxText))
	}
	for _, text := range []string{"\xff", "x\xc3", "\xed\xa0\x80"} {
		err := w.Send(t.Context(), text)
		assert.ErrorIs(t, err, relay.ErrConfig)
		assert.NotErrorIs(t, err, relay.ErrTextTooLong)
		assert.ErrorContains(t, err, "not UTF-8")
	}
	require.NoError(t, r.end(t))
	for i, m := range r.messages() {
		assert.Equal(t, texts[i], m.Text)
		assert.Equal(t, longest, m.Username)
	}
	require.NoError(t, w.Flush(t.Context()))
	assert.Equal(t, relay.WriterStats{Written: 10, Stored: 10, Datagrams: w.Stats().Datagrams, Registered: 1}, w.Stats())
}

func TestConfig(t *testing.T) {
	taken, err := relay.NewServer(relay.ServerConfig{Listen: anyPort})
	require.NoError(t, err)
	defer taken.Close()
	_, err = relay.NewServer(relay.ServerConfig{Listen: taken.Addr()})
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.NotErrorIs(t, err, relay.ErrConfig)
	assert.ErrorContains(t, err, fmt.Sprintf("port %d is taken", taken.Addr().Port()))

	for name, cfg := range map[string]relay.ServerConfig{
		"MaxClients": {MaxClients: -1}, "MaxPerAddress": {MaxPerAddress: -1},
		"Pace":     {Pace: -1},
		"Cache":    {Cache: -1},
		"Expire":   {Expire: time.Second - 1},
		"hour":     {Expire: time.Hour + 1},
		"negative": {Expire: -time.Second},
	} {
		cfg.Listen = anyPort
		_, err := relay.NewServer(cfg)
		assert.ErrorIs(t, err, relay.ErrConfig, name)
	}
	good := func(name string) relay.ReaderConfig {
		return relay.ReaderConfig{Servers: []string{taken.Addr().String()}, Username: name}
	}
	for name, change := range map[string]func(*relay.ReaderConfig){
		"name":        func(c *relay.ReaderConfig) { c.Username = "" },
		"long name":   func(c *relay.ReaderConfig) { c.Username = strings.Repeat("x", relay.MaxNameLen+1) },
		"other name":  func(c *relay.ReaderConfig) { c.Username = "bob!" },
		"from":        func(c *relay.ReaderConfig) { c.From = relay.FromNow + 1 },
		"delay":       func(c *relay.ReaderConfig) { c.Delay = -1 },
		"port":        func(c *relay.ReaderConfig) { c.Servers = []string{anyPort.String()} },
		"unspecified": func(c *relay.ReaderConfig) { c.Servers = []string{"0.0.0.0:5"} },
		"multicast":   func(c *relay.ReaderConfig) { c.Servers = []string{"224.0.0.1:5"} },
	} {
		cfg := good("bob")
		change(&cfg)
		_, err := relay.NewReader(cfg)
		assert.ErrorIs(t, err, relay.ErrConfig, name)
		if cfg.From == 0 && cfg.Delay == 0 {
			_, err = relay.NewWriter(relay.WriterConfig{Servers: cfg.Servers, Username: cfg.Username})
			assert.ErrorIs(t, err, relay.ErrConfig, name)
		}
	}
	r, err := relay.NewReader(good("bob"))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	for _, from := range []string{"Now", "0", "-1", "1.0", "", "9223372036854775808"} {
		_, err = relay.ParseFrom(from)
		assert.ErrorIs(t, err, relay.ErrConfig, from)
	}
	for _, from := range []relay.From{relay.FromLast, relay.FromStart, relay.FromNow, 1, 1<<63 - 1} {
		parsed, err := relay.ParseFrom(from.String())
		require.NoError(t, err)
		assert.Equal(t, from, parsed)
	}
}

func TestClosed(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	w, r := newWriter(t, s.Addr(), "ann"), newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	w.write(t, 1, 1)
	r.read(t, 1)
	ctx := t.Context()
	for _, again := range []func(context.Context) error{s.Run, w.Run, r.Run} {
		assert.ErrorContains(t, again(ctx), "has run already")
	}
	r.kill(t)
	w.kill(t)
	s.kill(t)
	for _, c := range []interface{ Close() error }{s.Server, w.Writer, r.Reader} {
		assert.NoError(t, c.Close(), "once more")
	}
	assert.ErrorContains(t, s.Run(ctx), "has run already")

	// Closed before they ran.
	quiet, err := relay.NewServer(relay.ServerConfig{Listen: anyPort})
	require.NoError(t, err)
	require.NoError(t, quiet.Close())
	assert.ErrorIs(t, quiet.Run(ctx), net.ErrClosed)
}

// Run ends soon after its context, whoever is there.
func TestCancel(t *testing.T) {
	nobody := newForwarder(t, netip.MustParseAddrPort("127.0.7.3:9")) // nothing comes back
	nobody.cut.Store(true)
	for _, at := range []netip.AddrPort{nobody.addr(), nobody.server} {
		w, r := newWriter(t, at, "ann"), newReader(t, at, "bob", relay.ReaderConfig{})
		require.NoError(t, w.Send(t.Context(), "lost"))
		wait(t, w.journal, anyOf[relay.LinkEvent]) // it has tried for a while
		for _, c := range []*runner{w.runner, r.runner} {
			begun := time.Now()
			c.stop(t)
			assert.Less(t, time.Since(begun), time.Second)
		}
		assert.Equal(t, relay.WriterStats{Written: 1, Pending: 1}, w.Stats())
		assert.ErrorContains(t, w.Send(t.Context(), "x"), "has ended")
		assert.ErrorContains(t, w.Flush(t.Context()), "has ended")
	}
	canceled, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	s := serve(t, relay.ServerConfig{})
	w, err := relay.NewWriter(relay.WriterConfig{Servers: []string{s.Addr().String()}, Username: "ann"})
	require.NoError(t, err)
	defer w.Close()
	for i := range uint64(512) { // as many as there is room for
		number, err := w.Send(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, i+1, number)
	}
	_, err = w.Send(canceled, "x")
	assert.ErrorIs(t, err, why)
	assert.ErrorIs(t, w.Flush(canceled), why)
	assert.NoError(t, w.Run(canceled))
	r, err := relay.NewReader(relay.ReaderConfig{Servers: []string{s.Addr().String()}, Username: "bob"})
	require.NoError(t, err)
	defer r.Close()
	assert.NoError(t, r.Run(canceled))
	other, err := relay.NewServer(relay.ServerConfig{Listen: anyPort})
	require.NoError(t, err)
	defer other.Close()
	assert.NoError(t, other.Run(canceled))

	// A server that vanishes without a word.
	f := newForwarder(t, s.Addr())
	gone := newReader(t, f.addr(), "bob", relay.ReaderConfig{})
	wait(t, gone.journal, up)
	f.cut.Store(true)
	gone.stop(t) // within three seconds
	s.stop(t)
}

// A client that ends while it registers leaves nothing behind.
func TestLeavesWhileRegistering(t *testing.T) {
	log := newFaultyLog()
	asked, answer := make(chan struct{}), make(chan struct{})
	log.claimed = sync.OnceFunc(func() {
		close(asked)
		<-answer
	})
	s := serve(t, relay.ServerConfig{Log: log})
	r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	<-asked
	r.cancel()
	select {
	case <-r.ended: // it should wait for the server
	case <-time.After(300 * time.Millisecond):
	}
	close(answer)
	require.NoError(t, r.end(t))
	assert.Equal(t, relay.ReasonLeft, wait(t, s.journal, anyOf[relay.LeaveEvent]).Reason)
	assert.Empty(t, s.Clients())
}

// The counters say where everything is.
func TestStats(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	w, r := newWriter(t, s.Addr(), "ann"), newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	wait(t, r.journal, up)
	const messages = 700
	for i := range messages {
		require.NoError(t, w.Send(t.Context(), fmt.Sprint(i+1)))
		stats := w.Stats()
		require.Equal(t, stats.Written, stats.Stored+stats.Pending)
		require.EqualValues(t, i+1, stats.Written)
	}
	require.NoError(t, w.Flush(t.Context()))
	r.read(t, messages)
	clients := s.Clients()
	require.Len(t, clients, 2)
	assert.Equal(t, relay.RoleReader, clients[0].Role)
	assert.Equal(t, "bob", clients[0].Username)
	assert.Equal(t, r.Addr(), clients[0].Addr)
	assert.Equal(t, relay.RoleWriter, clients[1].Role)
	assert.Equal(t, w.Addr(), clients[1].Addr)
	assert.EqualValues(t, messages, clients[1].Messages)
	r.stop(t)
	w.stop(t)
	s.stop(t)
	server, reader, writer := s.Stats(), r.Stats(), w.Stats()
	assert.EqualValues(t, messages, server.Stored)
	assert.EqualValues(t, messages, server.Delivered)
	assert.EqualValues(t, 1, server.First)
	assert.EqualValues(t, messages, server.Last)
	assert.EqualValues(t, 2, server.Registered)
	assert.GreaterOrEqual(t, server.Challenged, uint64(2))
	assert.EqualValues(t, 2, server.Left[relay.ReasonLeft])
	assert.Zero(t, server.Readers+server.Writers)
	assert.Equal(t, server.Sent, reader.Datagrams+reader.KernelDropped)
	assert.EqualValues(t, messages, reader.Delivered)
	assert.EqualValues(t, messages, reader.Last)
	assert.EqualValues(t, messages+1, reader.Next)
	assert.EqualValues(t, messages, writer.Stored)
	assert.Zero(t, server.Malformed+server.SendErrors+server.FetchErrors+server.EventsDropped+reader.Malformed+writer.Malformed)
	summary := all[relay.ServerSummary](s.journal)
	require.Len(t, summary, 1)
	assert.Equal(t, server, summary[0].ServerStats)
	assert.Len(t, all[relay.JoinEvent](s.journal), 2)
	assert.Len(t, all[relay.LeaveEvent](s.journal), 2)
	assert.Len(t, all[relay.StartEvent](s.journal), 1)
}

// While a log cannot store, nothing is said to be stored, and when it can again nothing is lost or
// there twice, also of what it had stored when it failed.
func TestStoreFails(t *testing.T) {
	const messages = 300
	log := newFaultyLog()
	full := errors.New("no space left")
	calls, often := 0, make(chan struct{})
	log.append = func(ctx context.Context, records []relay.Record) ([]uint64, error) {
		if calls++; calls == 8 {
			close(often)
		}
		seqs, err := log.Log.Append(ctx, records[:len(records)*2/3])
		if err != nil || calls%2 == 0 {
			return nil, full // it has stored some and does not know
		}
		return seqs[:len(seqs)/2], full
	}
	s := serve(t, relay.ServerConfig{Log: log})
	r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{MaxMessages: messages})
	w := newWriter(t, s.Addr(), "ann")
	sent := make(chan error, 1)
	go func() { sent <- w.send(1, messages) }()
	failed := wait(t, s.journal, anyOf[relay.ErrorEvent])
	assert.ErrorIs(t, failed.Err, full)
	assert.Contains(t, failed.Text, "cannot be stored")
	failed = wait(t, w.journal, anyOf[relay.ErrorEvent])
	assert.Contains(t, failed.Text, full.Error())
	assert.Contains(t, failed.Text, "still trying")
	assert.False(t, failed.Ended)
	<-often
	log.set(func() { log.append = nil })
	require.NoError(t, <-sent)
	require.NoError(t, r.end(t))
	ended := func(e relay.ErrorEvent) bool { return e.Ended }
	assert.ErrorIs(t, wait(t, s.journal, ended).Err, full)
	assert.Contains(t, wait(t, w.journal, ended).Text, "stored again")
	whole(t, r.messages(), 1, messages)
	stored := storedOf(w)
	require.Len(t, stored, messages)
	for i, m := range r.messages() {
		require.Equal(t, fmt.Sprint(i+1), m.Text)
		require.Equal(t, m.Seq, stored[i].Seq)
	}
	_, last := log.Bounds()
	assert.EqualValues(t, messages, last)
}

// A log that cannot be read, followed or asked for a while delays, and that is all.
func TestLogFails(t *testing.T) {
	for _, method := range []string{"Read", "Follow", "Claim", "Stored", "SaveClient"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			log := newFaultyLog()
			s := serve(t, relay.ServerConfig{Log: log, Cache: 1})
			w := newWriter(t, s.Addr(), "ann")
			w.write(t, 1, 300)
			broken := errors.New("the disk is on fire")
			log.set(func() { log.fails[method] = broken })
			r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
			hers := s
			if method == "Follow" { // which is for messages of other servers
				hers = serve(t, relay.ServerConfig{Log: log.Log})
				defer hers.stop(t)
			}
			other := newWriter(t, hers.Addr(), "eve")
			sent := make(chan error, 1)
			go func() { sent <- other.send(1, 10) }()
			failed := wait(t, s.journal, anyOf[relay.ErrorEvent])
			assert.ErrorIs(t, failed.Err, broken)
			assert.False(t, failed.Ended)
			switch method {
			case "Claim", "SaveClient": // which keeps nobody from reading
				r.read(t, 300)
			case "Stored":
				assert.Contains(t, wait(t, other.journal, anyOf[relay.LinkEvent]).Text, string(relay.ReasonStore))
			}
			w.write(t, 301, 100) // one that is registered goes on
			log.set(func() { delete(log.fails, method) })
			require.NoError(t, <-sent)
			r.read(t, 410)
			r.stop(t)
			whole(t, r.messages(), 1, 410)
			assert.ErrorIs(t, wait(t, s.journal, func(e relay.ErrorEvent) bool { return e.Ended }).Err, broken)
			s.stop(t)
		})
	}
}

// While nothing can be stored, neither messages nor what is known of clients, all that is there is
// read: by a reader that comes, and by one that returns. Its place is saved when that works again.
func TestReadingGoesOn(t *testing.T) {
	const messages = 300
	log := newFaultyLog()
	s := serve(t, relay.ServerConfig{Log: log, Expire: time.Second})
	w := newWriter(t, s.Addr(), "ann")
	w.write(t, 1, messages)
	old := newReader(t, s.Addr(), "bob", relay.ReaderConfig{MaxMessages: 100})
	require.NoError(t, old.end(t))
	full := errors.New("no space left on device")
	log.set(func() {
		log.fails["Claim"], log.fails["SaveClient"] = full, full
		log.append = func(context.Context, []relay.Record) ([]uint64, error) { return nil, full }
	})
	bob, eve := newReader(t, s.Addr(), "bob", relay.ReaderConfig{}), newReader(t, s.Addr(), "eve", relay.ReaderConfig{})
	whole(t, bob.read(t, messages-100), 101, messages-100)
	whole(t, eve.read(t, messages), 1, messages)
	late := newWriter(t, s.Addr(), "joe")
	sent := make(chan error, 1)
	go func() { sent <- late.send(1, 1) }()
	assert.Contains(t, wait(t, late.journal, anyOf[relay.ErrorEvent]).Text, full.Error(), "a writer is told why")
	twin := newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	assert.Contains(t, wait(t, twin.journal, down).Text, "another reader is bob", "names belong to one as ever")
	twin.stop(t)
	about := func(what string, over bool) func(relay.ErrorEvent) bool {
		return func(e relay.ErrorEvent) bool {
			return strings.Contains(e.Text, what) && errors.Is(e.Err, full) && e.Ended == over
		}
	}
	wait(t, s.journal, about("known of clients", false))
	log.set(func() {
		clear(log.fails)
		log.append = nil
	})
	require.NoError(t, <-sent)
	bob.read(t, messages-100+1)
	eve.read(t, messages+1)
	wait(t, s.journal, about("known of clients", true))
	bob.kill(t)
	s.kill(t)
	s = serve(t, relay.ServerConfig{Log: log})
	next := newReader(t, s.Addr(), "bob", relay.ReaderConfig{})
	assert.Greater(t, wait(t, next.journal, up).Next, uint64(100), "its place was saved")
}

// Garbage, and datagrams that are damaged or repeated, disturb neither server nor clients, and are
// counted.
func TestGarbage(t *testing.T) {
	const messages = 2000
	s := serve(t, relay.ServerConfig{})
	// bad is what a forwarder sends beside what it carries.
	bad := func() func([]byte, func([]byte)) {
		sent := 0
		return func(b []byte, send func([]byte)) {
			var garbage [64]byte
			_, _ = rand.Read(garbage[:])
			send(garbage[:])
			send(b[:sent%len(b)])
			send(append(slices.Clone(b), 1))
			b = slices.Clone(b)
			for _, changed := range []int{0, 1, 2, 3} { // no such protocol, version or kind
				b[changed] ^= 0x80
				send(b)
				b[changed] ^= 0x80
			}
			b[4] ^= b[3] // somebody else's, another's for each kind, as it is answered with its ID
			send(b)
			b[4] ^= b[3]
			if b[3] != 1 { // a hello that is repeated costs its answer
				send(b)
			}
			sent++
		}
	}
	fr, fw := newForwarder(t, s.Addr()), newForwarder(t, s.Addr())
	for _, f := range []*forwarder{fr, fw} {
		f.mu.Lock()
		f.also = bad()
		f.mu.Unlock()
	}
	r, w := newReader(t, fr.addr(), "bob", relay.ReaderConfig{MaxMessages: messages}), newWriter(t, fw.addr(), "ann")
	w.write(t, 1, messages)
	require.NoError(t, r.end(t))
	w.stop(t)
	whole(t, r.messages(), 1, messages)
	for i, m := range r.messages() {
		require.Equal(t, fmt.Sprint(i+1), m.Text)
	}
	s.stop(t)
	stats := s.Stats()
	assert.EqualValues(t, messages, stats.Stored)
	assert.EqualValues(t, 2, stats.Registered)
	assert.Len(t, all[relay.LinkEvent](r.journal), 1, "the link was up all the time")
	assert.Len(t, all[relay.LinkEvent](w.journal), 1)
	assert.Positive(t, stats.Malformed)
	for what, c := range map[string]struct {
		*journal
		malformed uint64
		from      netip.AddrPort
	}{
		"server": {s.journal, stats.Malformed, netip.AddrPort{}},
		"reader": {r.journal, r.Stats().Malformed, fr.addr()},
		"writer": {w.journal, w.Stats().Malformed, fw.addr()},
	} {
		told, refusals := uint64(0), all[relay.RefusedEvent](c.journal)
		for _, e := range refusals {
			told += e.Count
			assert.NotEmpty(t, e.Reason)
			assert.True(t, e.From.Addr().IsLoopback())
			assert.True(t, what == "server" || e.From == c.from)
		}
		assert.Equal(t, c.malformed, told, "each is told, %s", what)
		assert.Less(t, len(refusals), 30, "and none again and again, %s", what)
	}
	assert.Positive(t, r.Stats().Malformed)
	assert.Positive(t, w.Stats().Malformed)
}

// Those who write at the same time know which event is whose.
func TestNumbers(t *testing.T) {
	s := serve(t, relay.ServerConfig{})
	w := newWriter(t, s.Addr(), "ann")
	var mu sync.Mutex
	sent := map[uint64]string{}
	var writing sync.WaitGroup
	for i := range 8 {
		writing.Go(func() {
			for k := range 50 {
				text := fmt.Sprint(i, " ", k)
				number, err := w.Writer.Send(context.Background(), text)
				assert.NoError(t, err)
				mu.Lock()
				sent[number] = text
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	require.NoError(t, w.Flush(t.Context()))
	stored := map[uint64]string{}
	for _, e := range storedOf(w) {
		stored[e.Number] = e.Text
	}
	assert.Len(t, stored, 400)
	assert.Equal(t, stored, sent)
	number, err := w.Writer.Send(t.Context(), "\xff")
	assert.Zero(t, number)
	assert.Error(t, err)
}

// A log that does not answer does not keep a server from ending.
func TestLogHangs(t *testing.T) {
	log := newFaultyLog()
	asked := make(chan struct{}, 100)
	log.append = func(ctx context.Context, _ []relay.Record) ([]uint64, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s := serve(t, relay.ServerConfig{Log: log})
	w := newWriter(t, s.Addr(), "ann")
	require.NoError(t, w.Send(t.Context(), "x"))
	<-asked
	s.stop(t)
	w.stop(t)
	assert.Zero(t, w.Stats().Stored)
	assert.EqualValues(t, 1, w.Stats().Pending)
}

func TestStrings(t *testing.T) {
	assert.Equal(t, "reader writer role 7", fmt.Sprint(relay.RoleReader, " ", relay.RoleWriter, " ", relay.Role(7)))
	assert.Equal(t, "9", relay.From(9).String())
	assert.Equal(t, "00000000000000ff", relay.ID(255).String())
	assert.Equal(t, uint64(math.MaxUint64), relay.GapEvent{From: 1, To: math.MaxUint64}.Messages())
}

// Servers that share a log are one relay: it does not matter which one a client uses.
func TestServersShareALog(t *testing.T) {
	t.Parallel()
	log := relay.NewMemory(0)
	cfg := relay.ServerConfig{Log: log, Expire: time.Second}
	a, b := serve(t, cfg), serve(t, cfg)
	wa, wb := newWriter(t, a.Addr(), "ann"), newWriter(t, b.Addr(), "eve")
	ra := newReader(t, a.Addr(), "bob", relay.ReaderConfig{})
	wait(t, ra.journal, up)
	other := newReader(t, b.Addr(), "bob", relay.ReaderConfig{}) // it has the name at the other
	assert.Contains(t, wait(t, other.journal, down).Text, "another")
	var written sync.WaitGroup
	for _, w := range []writer{wa, wb} {
		written.Go(func() { assert.NoError(t, w.send(1, 500)) })
	}
	written.Wait()
	ra.read(t, 1000)
	assert.ErrorIs(t, other.end(t), relay.ErrNameTaken)
	ra.stop(t)
	whole(t, ra.messages(), 1, 1000)

	rb := newReader(t, b.Addr(), "bob", relay.ReaderConfig{})
	assert.EqualValues(t, 1001, wait(t, rb.journal, up).Next, "it goes on at the other")
	wa.write(t, 501, 10)
	whole(t, rb.read(t, 10), 1001, 10)
	rb.stop(t)
	rb = newReader(t, b.Addr(), "bob", relay.ReaderConfig{From: relay.FromStart, MaxMessages: 1010})
	require.NoError(t, rb.end(t))
	require.Equal(t, ra.messages(), rb.messages()[:1000])
	assert.EqualValues(t, 510, a.Stats().Stored)
	assert.EqualValues(t, 500, b.Stats().Stored)
}
