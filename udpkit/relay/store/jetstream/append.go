package jetstream

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// A record is stored once even if it comes twice: from a writer that got no answer, at another
// server, after a restart. JetStream can refuse a message that it has already, by an identifier,
// but remembers those for minutes only, and in memory. Comparing sequence numbers has no such
// limit: each run of a writer has a subject of its own, whose last message says how far the run has
// got. A call is one atomic batch, of which the first record of each run has the condition that the
// last message of its subject is the one that is known.

const (
	// maxBatch is how many messages a batch may have in JetStream.
	maxBatch = 1000
	// maxRuns is how many runs are remembered; others are asked for.
	maxRuns = 8192
	// maxStored is how many records of a run are looked for: more than a writer sends before it has
	// an answer.
	maxStored = 4096
	// maxNumbers is of how many numbers at most the places are told: a message may claim any.
	maxNumbers = 1 << 24
)

// position is how far a run has got.
type position struct {
	number uint64 // of its last record, 0 if there is none
	seq    uint64 // of that, 0 if it is not kept
	end    uint64 // the last message of its subject, which may not be a relay's
	old    bool   // there may be more by now
}

// Append stores records and returns their sequence numbers.
func (l *Log) Append(ctx context.Context, records []relay.Record) (seqs []uint64, err error) {
	for _, r := range records {
		if err := r.Check(); err != nil {
			return nil, err
		}
	}
	err = l.try(ctx, "store messages", func(ctx context.Context) error {
		for len(seqs) < len(records) {
			chunk := records[len(seqs):]
			chunk = chunk[:min(len(chunk), maxBatch)]
			got, err := l.appendChunk(ctx, chunk)
			if err != nil {
				l.forget(chunk)
				return err
			}
			seqs = append(seqs, got...)
		}
		return nil
	})
	return seqs, err
}

// forget has runs looked up again.
func (l *Log) forget(records []relay.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		if p, ok := l.runs[r.Run]; ok {
			p.old = true
			l.runs[r.Run] = p
		}
	}
}

func (l *Log) remember(run relay.ID, p position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.runs) >= maxRuns {
		clear(l.runs)
	}
	l.runs[run] = p
}

// position returns how far a run, with this subject, has got.
func (l *Log) position(ctx context.Context, run relay.ID, subject string) (position, error) {
	l.mu.Lock()
	p, ok := l.runs[run]
	l.mu.Unlock()
	if ok && !p.old {
		return p, nil
	}
	m, err := l.lastBySubject(ctx, l.cfg.Name, subject)
	p.seq, p.end, p.old = 0, m.seq, false
	if err != nil || m.seq == 0 {
		return p, err // nothing of it is kept
	}
	note := func(m stored) {
		if r, err := l.decode(m); err == nil && r.Number >= p.number {
			p.number, p.seq = r.Number, m.seq
		}
	}
	if note(m); p.seq == 0 { // it is not a relay's, but there may be others before it
		first, _ := l.Bounds()
		err = l.each(ctx, subject, first, m.seq, note)
	}
	return p, err
}

// each calls do with the messages of a subject between two sequence numbers.
func (l *Log) each(ctx context.Context, subject string, start, end uint64, do func(stored)) error {
	for start <= end {
		messages, err := l.get(ctx, start, end, subject, maxRead)
		if err != nil || len(messages) == 0 {
			return err
		}
		for _, m := range messages {
			do(m)
			start = m.seq + 1
		}
	}
	return nil
}

// appendChunk stores records that fit into one batch.
func (l *Log) appendChunk(ctx context.Context, records []relay.Record) ([]uint64, error) {
	runs := make(map[relay.ID]position)
	seqs := make([]uint64, len(records))
	var messages []*nats.Msg
	var fresh []int // indices of what is not stored yet
	began := make(map[string]bool)
	for i, r := range records {
		subject := l.subject(r.Username, r.Run)
		p, ok := runs[r.Run]
		if !ok {
			var err error
			if p, err = l.position(ctx, r.Run, subject); err != nil {
				return nil, err
			}
			runs[r.Run] = p
		}
		if r.Number <= p.number {
			continue
		}
		runs[r.Run] = position{number: r.Number, seq: p.seq, end: p.end}
		m := l.encode(r)
		if !began[subject] {
			m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(p.end, 10)}
			began[subject] = true
		}
		messages = append(messages, m)
		fresh = append(fresh, i)
	}
	if len(messages) > 0 {
		last, err := l.publish(ctx, messages)
		if err != nil {
			return nil, err
		}
		for i, index := range fresh {
			seqs[index] = last - uint64(len(fresh)-1-i)
			run := records[index].Run
			runs[run] = position{number: runs[run].number, seq: seqs[index], end: seqs[index]}
		}
		l.advance(last)
	}
	for run, p := range runs {
		l.remember(run, p)
	}
	return seqs, l.findDuplicates(ctx, records, seqs)
}

// findDuplicates fills in the sequence numbers of records that were stored before.
func (l *Log) findDuplicates(ctx context.Context, records []relay.Record, seqs []uint64) (err error) {
	type place struct {
		from uint64 // the number of the record that the first of seqs is of
		seqs []uint64
	}
	known := make(map[relay.ID]place)
	for i, r := range records {
		if seqs[i] != 0 {
			continue
		}
		p, ok := known[r.Run]
		if !ok || r.Number < p.from {
			p.from = r.Number
			if _, p.seqs, err = l.stored(ctx, r.Run, l.subject(r.Username, r.Run), p.from); err != nil {
				return err
			}
			known[r.Run] = p
		}
		if at := r.Number - p.from; at < uint64(len(p.seqs)) {
			seqs[i] = p.seqs[at]
		}
	}
	return nil
}

// Headers of an atomic batch, see NATS' ADR 50.
const (
	batchID     = "Nats-Batch-Id"
	batchSeq    = "Nats-Batch-Sequence"
	batchCommit = "Nats-Batch-Commit"
)

// publish stores messages, all or none.
func (l *Log) publish(ctx context.Context, messages []*nats.Msg) (last uint64, err error) {
	if len(messages) > 1 {
		id := nats.NewInbox()[len(nats.InboxPrefix):]
		for i, m := range messages {
			m.Header[batchID] = []string{id}
			m.Header[batchSeq] = []string{strconv.Itoa(i + 1)}
			if i < len(messages)-1 {
				if err := l.nc.PublishMsg(m); err != nil {
					return 0, err
				}
			} else {
				m.Header[batchCommit] = []string{"1"}
			}
		}
	}
	ack, err := l.js.PublishMsg(ctx, messages[len(messages)-1], jetstream.WithRetryAttempts(0))
	if hasCode(err, codeWrongLastSequence, codeBusyLastSequence, codeIncompleteBatch, codeTooManyBatches) {
		if _, err := l.look(ctx); err != nil { // it may be another log by now
			return 0, err
		}
		return 0, errOutrun
	}
	if err != nil {
		return 0, err
	}
	// The others need not ask when they hear of it; if they do not, they ask.
	_ = l.nc.Publish(l.storedSubject(), strconv.AppendUint(nil, ack.Sequence, 10))
	return ack.Sequence, nil
}

// Stored returns how far a run has got, and where the records from number from on are, 0 for those
// that are not kept or of which 4096 more came after.
func (l *Log) Stored(ctx context.Context, run relay.ID, from uint64) (last uint64, seqs []uint64, err error) {
	err = l.try(ctx, "look for messages", func(ctx context.Context) error {
		l.forget([]relay.Record{{Run: run}})                            // another server may have had it
		last, seqs, err = l.stored(ctx, run, l.subject("*", run), from) // whoever it is of
		return err
	})
	return last, seqs, err
}

func (l *Log) stored(ctx context.Context, run relay.ID, subject string, from uint64) (uint64, []uint64, error) {
	p, err := l.position(ctx, run, subject)
	if err != nil {
		return 0, nil, err
	}
	from = max(from, 1)
	if from > p.number || p.number-from >= maxNumbers {
		return p.number, nil, nil
	}
	seqs := make([]uint64, p.number+1-from)
	seqs[len(seqs)-1] = p.seq
	within := seqs[max(len(seqs), maxStored)-maxStored:] // which begins with this:
	from = p.number + 1 - uint64(len(within))
	first, _ := l.Bounds()
	// They begin that many messages back, or further if others wrote too.
	for back := uint64(len(within)); len(within) > 1 && p.end >= first; back *= 4 {
		start := first
		if p.end-first > back {
			start = p.end - back
		}
		all := false
		err := l.each(ctx, subject, start, p.end, func(m stored) {
			r, err := l.decode(m)
			all = all || err == nil && r.Number <= from
			if err == nil && r.Number >= from && r.Number-from < uint64(len(within)) {
				within[r.Number-from] = m.seq
			}
		})
		if err != nil {
			return 0, nil, err
		}
		if all || start == first {
			break
		}
	}
	return p.number, seqs, nil
}
