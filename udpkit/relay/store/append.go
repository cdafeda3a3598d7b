package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// A record is stored once even if it comes twice: from a writer that got no answer, at another
// server, after a restart. JetStream can refuse a message that it has already, by an identifier,
// but remembers those for minutes only. Comparing sequence numbers has no such limit: each run of a
// writer has a subject of its own, whose last message says how far the run has got.
//
// With an embedded server nobody else appends, so the last sequence number of the log is known. A
// record is published on condition that it is still the same, the next on condition that it is one
// more, and so on: none can be stored without those before it. They are sent together, only the
// last one is acknowledged, and then the disk is synced once.
//
// With a cluster, others append at the same time. There a call is one atomic batch, of which the
// first record of each run has the condition that the last message of its subject is the one that
// is known.

const (
	// maxBatch is how many messages a batch may have in JetStream.
	maxBatch = 1000
	// maxRuns is how many runs are remembered; others are asked for.
	maxRuns = 8192
	// maxStored is how many records of a run are looked for: more than a writer sends before it has
	// an answer.
	maxStored = 4096
)

// position is how far a run has got.
type position struct {
	number uint64 // of its last record, 0 if there is none
	seq    uint64 // of that, 0 if it is not kept
	old    bool   // there may be more by now
}

var (
	// errOutrun means that what was known of the log is not true any more.
	errOutrun = errors.New("another server was faster")
	// errBehind means that a server of the cluster does not have what its leader has.
	errBehind = errors.New("a server of the cluster is behind")
)

// Append stores records and returns their sequence numbers.
func (s *Store) Append(ctx context.Context, records []relay.Record) (seqs []uint64, err error) {
	for _, r := range records {
		err := errors.Join(relay.CheckUsername(r.Username), relay.CheckText(r.Text))
		if r.Number == 0 || r.Run == 0 {
			err = errors.Join(err, fmt.Errorf("%w: a record without number or run", relay.ErrConfig))
		}
		if err != nil {
			return nil, err
		}
	}
	err = s.try(ctx, "store messages", func(ctx context.Context) error {
		if s.local != nil {
			works, done, err := s.local.begin(ctx)
			if err != nil {
				return err
			}
			defer done()
			ctx = works
		}
		for len(seqs) < len(records) {
			chunk := records[len(seqs):]
			if s.local == nil {
				chunk = chunk[:min(len(chunk), maxBatch)]
			}
			got, err := s.appendChunk(ctx, chunk)
			if err != nil {
				s.forget(chunk)
				if cause := context.Cause(ctx); cause != nil {
					err = cause
				}
				return err
			}
			seqs = append(seqs, got...)
		}
		return nil
	})
	return seqs, err
}

// forget has runs looked up again.
func (s *Store) forget(records []relay.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		if p, ok := s.runs[r.Run]; ok {
			p.old = true
			s.runs[r.Run] = p
		}
	}
}

func (s *Store) remember(run relay.ID, p position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) >= maxRuns {
		clear(s.runs)
	}
	s.runs[run] = p
}

// position returns how far a run has got.
func (s *Store) position(ctx context.Context, run relay.ID) (position, error) {
	s.mu.Lock()
	p, ok := s.runs[run]
	s.mu.Unlock()
	if ok && !p.old {
		return p, nil
	}
	m, err := s.lastBySubject(ctx, s.cfg.Name, s.runSubject(run))
	if err != nil || m.Seq == 0 {
		return position{number: p.number}, err // nothing of it is kept
	}
	r, err := s.decode(m.Seq, m.Data)
	return position{number: r.Number, seq: m.Seq}, err
}

// appendChunk stores records that fit into one batch.
func (s *Store) appendChunk(ctx context.Context, records []relay.Record) ([]uint64, error) {
	if s.local != nil && !s.local.sure {
		if err := s.findTail(ctx); err != nil {
			return nil, err
		}
	}
	runs := make(map[relay.ID]position)
	for _, r := range records {
		if _, ok := runs[r.Run]; !ok {
			p, err := s.position(ctx, r.Run)
			if err != nil {
				return nil, err
			}
			runs[r.Run] = p
		}
	}
	seqs := make([]uint64, len(records))
	var messages []*nats.Msg
	var fresh []int // indices of what is not stored yet
	began := make(map[relay.ID]bool)
	for i, r := range records {
		p := runs[r.Run]
		if r.Number <= p.number {
			continue
		}
		runs[r.Run] = position{number: r.Number, seq: p.seq}
		m := &nats.Msg{
			Subject: s.runSubject(r.Run), Header: nats.Header{},
			Data: appendRecord(make([]byte, 0, recordOverhead+len(r.Text)), r),
		}
		if s.local != nil {
			m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(s.local.tail+uint64(len(messages)), 10)}
		} else if !began[r.Run] {
			m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(p.seq, 10)}
			began[r.Run] = true
		}
		messages = append(messages, m)
		fresh = append(fresh, i)
	}
	if len(messages) > 0 {
		var last uint64
		var err error
		if s.local != nil {
			last, err = s.publishLocal(ctx, messages)
		} else {
			last, err = s.publishBatch(ctx, messages)
		}
		if err != nil {
			return nil, err
		}
		for i, index := range fresh {
			seqs[index] = last - uint64(len(fresh)-1-i)
			run := records[index].Run
			runs[run] = position{number: runs[run].number, seq: seqs[index]}
		}
		s.advance(last)
	}
	for run, p := range runs {
		s.remember(run, p)
	}
	return seqs, s.findDuplicates(ctx, records, seqs)
}

// findDuplicates fills in the sequence numbers of records that were stored before.
func (s *Store) findDuplicates(ctx context.Context, records []relay.Record, seqs []uint64) error {
	lowest := make(map[relay.ID]uint64)
	for i, r := range records {
		if n := lowest[r.Run]; seqs[i] == 0 && (n == 0 || r.Number < n) {
			lowest[r.Run] = r.Number
		}
	}
	for run, from := range lowest {
		_, known, err := s.stored(ctx, run, from)
		if err != nil {
			return err
		}
		for i, r := range records {
			if r.Run == run && seqs[i] == 0 && r.Number-from < uint64(len(known)) {
				seqs[i] = known[r.Number-from]
			}
		}
	}
	return nil
}

// findTail finds the last sequence number of the embedded log, once everything that was published
// before has been dealt with: an Append may have returned before it was. All that is there is
// synced then.
func (s *Store) findTail(ctx context.Context) error {
	// This is refused, when its turn comes.
	_, err := s.js.PublishMsg(ctx, nats.NewMsg(s.runSubject(0)), jetstream.WithExpectLastSequence(1<<63))
	if !hasCode(err, codeWrongLastSequence) {
		return err
	}
	state, err := s.state(ctx)
	if err != nil {
		return err
	}
	if _, last := s.Bounds(); state.LastSeq < last {
		return s.local.broken(fmt.Errorf("messages %d to %d are lost", state.LastSeq+1, last))
	}
	if s.cfg.Sync == SyncAlways && state.LastSeq > 0 {
		if err := s.local.final(s.local.blocks.sync()); err != nil {
			return err
		}
	}
	s.local.tail, s.local.sure = state.LastSeq, true
	s.advance(state.LastSeq)
	return nil
}

// skipLost uses up the sequence numbers of messages that are lost at the end of the embedded log,
// so that they are a gap to readers and nothing else.
func (s *Store) skipLost(ctx context.Context, state jetstream.StreamState) (jetstream.StreamState, error) {
	lost := s.local.reached - min(s.local.reached, state.LastSeq)
	switch {
	case lost > 0 && !s.local.rebuilt:
		return state, errRebuild // the server may be wrong about the end
	case lost > DefaultMaxMessages:
		return state, fmt.Errorf("%w: it ends with message %d and had %d more", ErrDamaged, state.LastSeq, lost)
	}
	subject := s.cfg.Name + ".m.lost"
	for s.local.tail = state.LastSeq; lost > 0; {
		messages := make([]*nats.Msg, min(lost, maxBatch))
		for i := range messages {
			messages[i] = nats.NewMsg(subject)
			messages[i].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(s.local.tail+uint64(i), 10))
		}
		if _, err := s.publishLocal(ctx, messages); err != nil {
			return state, err
		}
		lost -= uint64(len(messages))
	}
	// This may have been begun before, and have got as far as this.
	stream, err := s.js.Stream(ctx, s.cfg.Name)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		return state, err
	}
	return s.state(ctx)
}

// publishLocal stores messages that have their place in the embedded log, and syncs.
func (s *Store) publishLocal(ctx context.Context, messages []*nats.Msg) (last uint64, err error) {
	s.local.sure = false // until it has worked
	for _, m := range messages[:len(messages)-1] {
		if err := s.nc.PublishMsg(m); err != nil {
			return 0, err
		}
	}
	ack, err := s.js.PublishMsg(ctx, messages[len(messages)-1])
	switch {
	case hasCode(err, codeWrongLastSequence):
		return 0, errOutrun
	case err != nil:
		s.local.log.kick() // it may not have been heard
		return 0, err
	case ack.Sequence != s.local.tail+uint64(len(messages)):
		return 0, fmt.Errorf("%w: message %d is stored as %d", ErrDamaged, s.local.tail+uint64(len(messages)), ack.Sequence)
	}
	if s.cfg.Sync == SyncAlways {
		err := s.local.blocks.sync()
		if err == nil && s.local.blocks.current == 0 {
			err = fmt.Errorf("%w: no messages in %s", ErrDamaged, s.local.blocks.dir)
		}
		if err := s.local.final(err); err != nil {
			return 0, err
		}
	}
	s.local.tail, s.local.sure = ack.Sequence, true
	s.local.reach(ack.Sequence)
	return ack.Sequence, nil
}

// Headers of an atomic batch, see NATS' ADR 50.
const (
	batchID     = "Nats-Batch-Id"
	batchSeq    = "Nats-Batch-Sequence"
	batchCommit = "Nats-Batch-Commit"
)

// publishBatch stores messages in a cluster, all or none.
func (s *Store) publishBatch(ctx context.Context, messages []*nats.Msg) (last uint64, err error) {
	if len(messages) > 1 {
		id := nats.NewInbox()[len(nats.InboxPrefix):]
		for i, m := range messages {
			m.Header[batchID] = []string{id}
			m.Header[batchSeq] = []string{strconv.Itoa(i + 1)}
			if i < len(messages)-1 {
				if err := s.nc.PublishMsg(m); err != nil {
					return 0, err
				}
			} else {
				m.Header[batchCommit] = []string{"1"}
			}
		}
	}
	ack, err := s.js.PublishMsg(ctx, messages[len(messages)-1], jetstream.WithRetryAttempts(0))
	if hasCode(err, codeWrongLastSequence, codeBusyLastSequence, codeIncompleteBatch, codeTooManyBatches) {
		return 0, errOutrun
	}
	if err != nil {
		return 0, err
	}
	// The others need not ask when they hear of it; if they do not, they ask.
	_ = s.nc.Publish(s.storedSubject(), strconv.AppendUint(nil, ack.Sequence, 10))
	return ack.Sequence, nil
}

// Stored returns how far a run has got, and where the records from number from on are, 0 for those
// that are not kept or of which 4096 more came after.
func (s *Store) Stored(ctx context.Context, run relay.ID, from uint64) (last uint64, seqs []uint64, err error) {
	err = s.try(ctx, "look for messages", func(ctx context.Context) error {
		if s.local != nil { // what is being stored may not be on the disk yet
			select {
			case s.local.appending <- struct{}{}:
				defer func() { <-s.local.appending }()
			case <-ctx.Done():
				return ctx.Err()
			}
			if !s.local.sure {
				if err := s.findTail(ctx); err != nil {
					return err
				}
			}
		}
		s.forget([]relay.Record{{Run: run}}) // another server may have had it
		last, seqs, err = s.stored(ctx, run, from)
		return err
	})
	return last, seqs, err
}

func (s *Store) stored(ctx context.Context, run relay.ID, from uint64) (uint64, []uint64, error) {
	p, err := s.position(ctx, run)
	if err != nil {
		return 0, nil, err
	}
	from = max(from, 1)
	if from > p.number {
		return p.number, nil, nil
	}
	seqs := make([]uint64, p.number+1-from)
	seqs[len(seqs)-1] = p.seq
	within := seqs[max(len(seqs), maxStored)-maxStored:] // which begins with this:
	from = p.number + 1 - uint64(len(within))
	first, _ := s.Bounds()
	// They begin that many messages back, or further if others wrote too.
	for back := uint64(len(within)); len(within) > 1 && p.seq >= first; back *= 4 {
		start := first
		if p.seq-first > back {
			start = p.seq - back
		}
		all, err := s.collect(ctx, run, from, start, p.seq, within)
		if err != nil {
			return 0, nil, err
		}
		if all || start == first {
			break
		}
	}
	return p.number, seqs, nil
}

// collect puts the sequence numbers of a run's records from number from on into seqs, as far as
// they are between start and end. It reports whether that was all.
func (s *Store) collect(ctx context.Context, run relay.ID, from, start, end uint64, seqs []uint64) (all bool, err error) {
	for start < end {
		messages, err := s.get(ctx, getRequest{Seq: start, NextFor: s.runSubject(run), Batch: min(len(seqs), maxRead)})
		if err != nil {
			return false, err
		}
		if len(messages) == 0 { // but there is one at end
			return false, errBehind
		}
		for _, m := range messages {
			r, err := s.decode(m.Seq, m.Data)
			if err != nil {
				return false, err
			}
			all = all || r.Number <= from
			if r.Number >= from && r.Number-from < uint64(len(seqs)) {
				seqs[r.Number-from] = m.Seq
			}
			start = m.Seq + 1
		}
	}
	return all, nil
}
