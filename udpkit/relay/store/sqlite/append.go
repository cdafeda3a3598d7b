package sqlite

import (
	"context"
	"fmt"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// maxRuns is how many runs are remembered; others are looked up.
const maxRuns = 8192

const insertMessage = "INSERT INTO message (" + messageColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?)"

// Append stores records and returns their sequence numbers.
func (s *Store) Append(ctx context.Context, records []relay.Record) (seqs []uint64, err error) {
	for _, r := range records {
		if err := r.Check(); err != nil {
			return nil, err
		}
	}
	var runs map[relay.ID]uint64
	var last uint64
	err = s.write(ctx, "store messages", func(c *lite.Conn) (err error) {
		runs = make(map[relay.ID]uint64, 1)
		seqs, last, err = s.insert(c, records, runs)
		return err
	}, func() { s.advance(last, runs, len(records)) })
	if err != nil {
		return nil, err
	}
	return seqs, nil
}

// insert stores what is not stored yet. It returns the sequence numbers of all, the last that is
// given, and in runs how far the runs have got then.
func (s *Store) insert(c *lite.Conn, records []relay.Record, runs map[relay.ID]uint64) (seqs []uint64, last uint64, err error) {
	if err := s.present(); err != nil {
		return nil, 0, err
	}
	_, last = s.Bounds()
	insert, err := c.Prepare(insertMessage)
	if err != nil {
		return nil, 0, err
	}
	seqs = make([]uint64, len(records))
	again := make(map[relay.ID]uint64) // the lowest number of those that were stored before
	for i, r := range records {
		reached, ok := runs[r.Run]
		if !ok {
			if reached, err = s.reached(c, r.Run); err != nil {
				return nil, 0, err
			}
			runs[r.Run] = reached
		}
		if r.Number <= reached {
			if lowest, ok := again[r.Run]; !ok || r.Number < lowest {
				again[r.Run] = r.Number
			}
			continue
		}
		last++
		m := message{last, r}
		if s.buf, err = m.insert(insert, s.buf); lite.ErrCode(err).ToPrimary() == lite.ResultConstraint {
			// The index is damaged, or another program has stored something: look finds that out.
			s.version = -1
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if err != nil {
			return nil, 0, err
		}
		seqs[i], runs[r.Run] = last, r.Number
	}
	for run, from := range again {
		known := make(map[uint64]uint64)
		err := numbers(c, run, from, func(number, seq uint64) { known[number] = seq })
		if err != nil {
			return nil, 0, err
		}
		for i, r := range records {
			if r.Run == run && seqs[i] == 0 {
				seqs[i] = known[r.Number]
			}
		}
	}
	return seqs, last, nil
}

// insert inserts a row.
func (m *message) insert(statement *lite.Stmt, buf []byte) ([]byte, error) {
	sum, buf := m.checksum(buf)
	statement.BindInt64(1, int64(m.seq))
	statement.BindText(2, m.Username)
	statement.BindInt64(3, int64(m.Run))
	statement.BindInt64(4, int64(m.Number))
	statement.BindText(5, m.Text)
	statement.BindInt64(6, m.At.UnixNano())
	statement.BindInt64(7, sum)
	if _, err := statement.Step(); err != nil {
		return buf, err
	}
	return buf, statement.Reset()
}

// advance takes note of what was stored, and wakes those who follow.
func (s *Store) advance(last uint64, runs map[relay.ID]uint64, records int) {
	s.mu.Lock()
	if len(s.runs)+len(runs) > maxRuns {
		clear(s.runs)
	}
	for run, number := range runs {
		s.runs[run] = number
	}
	grown := last > s.last
	if grown {
		s.last = last
		s.wakeFollowers()
	}
	s.mu.Unlock()
	if grown {
		s.note()
		if s.unmoved.Add(3+int64(records)/10) > movable || s.surplus() >= stepMessages { // about so many pages
			s.wake()
		}
	}
}

// wakeFollowers has those who follow look, with mu held.
func (s *Store) wakeFollowers() {
	close(s.grown)
	s.grown = make(chan struct{})
}

// reached returns how far a run has got.
func (s *Store) reached(c *lite.Conn, run relay.ID) (uint64, error) {
	s.mu.Lock()
	known, ok := s.runs[run]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	var m message
	intact := true
	err := sqlitex.Execute(c, "SELECT "+messageColumns+" FROM message WHERE run=? ORDER BY number DESC LIMIT 1", &sqlitex.ExecOptions{
		Args: []any{int64(run)}, ResultFunc: func(row *lite.Stmt) error {
			intact, _ = m.scan(row, nil)
			return nil
		}})
	if err == nil && !intact { // the number is from the index: is it the message's?
		var found int64
		found, err = number(c, "SELECT number FROM message NOT INDEXED WHERE seq=? AND run=?", int64(m.seq), int64(run))
		if err == nil && uint64(found) != m.Number {
			err = fmt.Errorf("%w: message %d is not what the index has", ErrDamaged, m.seq)
		}
	}
	if err != nil {
		return 0, err
	}
	reached := m.Number
	err = sqlitex.Execute(c, "SELECT run, number, seq, checksum FROM run WHERE run=?", &sqlitex.ExecOptions{
		Args: []any{int64(run)}, ResultFunc: func(row *lite.Stmt) error {
			number, seq := row.ColumnInt64(1), row.ColumnInt64(2)
			if row.ColumnInt64(3) == checksum(row.ColumnInt64(0), number, seq) {
				reached = max(reached, uint64(number))
			}
			return nil
		}})
	return reached, err
}

// numbers calls f with the numbers, from from on, and the sequence numbers of the messages of a run
// that are kept.
func numbers(c *lite.Conn, run relay.ID, from uint64, f func(number, seq uint64)) error {
	return sqlitex.Execute(c, "SELECT number, seq FROM message WHERE run=? AND number>=?", &sqlitex.ExecOptions{
		Args: []any{int64(run), int64(min(from, 1<<63-1))}, ResultFunc: func(row *lite.Stmt) error {
			f(uint64(row.ColumnInt64(0)), uint64(row.ColumnInt64(1)))
			return nil
		}})
}

// Stored returns how far a run has got, and where the records from number from on are, 0 for those
// that are not kept.
func (s *Store) Stored(ctx context.Context, run relay.ID, from uint64) (last uint64, seqs []uint64, err error) {
	err = s.do(ctx, s.reader, "look for messages", func(c *lite.Conn) (err error) {
		if last, err = s.reached(c, run); err != nil {
			return err
		}
		seqs = nil
		if from = max(from, 1); from > last {
			return nil
		}
		seqs = make([]uint64, last+1-from)
		return numbers(c, run, from, func(number, seq uint64) {
			if number <= last {
				seqs[number-from] = seq
			}
		})
	})
	return last, seqs, err
}
