package sqlite

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// polling is how often the keeper looks for what nobody tells it: messages that are too old,
	// and what other programs have changed.
	polling = 250 * time.Millisecond
	// healing is the pause between two looks whether there is room on the disk again.
	healing = 500 * time.Millisecond
	// pruning is how often the runs and clients that are remembered are counted.
	pruning = time.Minute

	// movable is at how many pages the keeper moves what was written to relay.db-wal to its place:
	// 8 MiB.
	movable = 2000
	// Nothing else can be written while a step of the keeper's is, so that it is a small one: so
	// many messages are discarded in it, or so many pages given back.
	stepMessages = 500
	stepPages    = 64
	// spare is how many empty pages stay in the file, for what comes next.
	spare = 256
	// maxRemembered is how many runs of which nothing is kept, and clients, are remembered: those
	// that were heard last.
	maxRemembered = 100_000
)

// keep does what has to be done now and then, until the store is closed.
func (s *Store) keep() {
	tick := time.NewTicker(polling)
	defer tick.Stop()
	var synced, healed, pruned time.Time
	due := func(last *time.Time, after time.Duration) bool {
		if time.Since(*last) < after {
			return false
		}
		*last = time.Now()
		return true
	}
	for {
		ticked := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.kick:
		case <-tick.C:
			ticked = true
		}
		// What fails here is tried again, and whoever stores messages is told of the disk.
		if ticked {
			_ = s.look()
			if due(&healed, healing) {
				s.heal()
			}
			if due(&synced, syncInterval) && s.unsynced.Swap(false) {
				s.sync()
			}
			if due(&pruned, pruning) {
				_ = s.prune("run", "seq")
				_ = s.prune("client", "seen")
			}
		}
		for s.trim(ticked) {
		}
		if ticked {
			for s.vacuum() {
			}
		}
		if s.unmoved.Load() > movable {
			s.move()
		}
	}
}

// look takes note of what other programs have changed.
func (s *Store) look() error {
	return s.do(s.ctx, s.writer, "look at the log", func(c *lite.Conn) error {
		if version, err := number(c, "PRAGMA data_version"); err != nil || version == s.version {
			return err
		}
		err := s.load()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wakeFollowers()
		return err
	})
}

// surplus returns how many messages are in the file that are not to be kept.
func (s *Store) surplus() uint64 {
	first, _ := s.Bounds()
	s.mu.Lock()
	defer s.mu.Unlock()
	return first - min(first, s.first)
}

// trim discards the oldest messages that are not to be kept any more, a few. It reports whether
// there may be more.
func (s *Store) trim(all bool) (more bool) {
	surplus := s.surplus()
	first, last := s.Bounds()
	from := first - surplus // only this goroutine makes it more
	if surplus < stepMessages && !all || surplus == 0 && s.cfg.MaxAge == 0 || from > last {
		return false
	}
	var oldest time.Time // that is kept
	if s.cfg.MaxAge > 0 {
		oldest = time.Now().Add(-s.cfg.MaxAge)
	}
	runs := make(map[relay.ID]message) // the last of each
	end := from
	err := s.do(s.ctx, s.reader, "look for old messages", func(c *lite.Conn) error {
		clear(runs)
		var pending []message
		var buf []byte
		return rows(c, from, last, stepMessages, func(row *lite.Stmt) bool {
			var m message
			var intact bool
			if intact, buf = m.scan(row, buf); !intact {
				return true
			}
			// The clock may have gone wrong for a while, so that a message that is not old enough
			// is before one that is.
			if pending = append(pending, m); m.seq < first || m.At.Before(oldest) {
				for _, m := range pending {
					runs[m.Run] = message{seq: m.seq, Record: relay.Record{Number: m.Number}}
				}
				pending, end = pending[:0], m.seq+1
			}
			return true
		})
	})
	if end = max(end, min(first, from+stepMessages)); err != nil || end == from {
		return false
	}
	err = s.write(s.ctx, "discard old messages", func(c *lite.Conn) error {
		for run, m := range runs {
			columns := []any{int64(run), int64(m.Number), int64(m.seq)}
			columns = append(columns, checksum(columns...))
			if err := sqlitex.Execute(c, "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?)", &sqlitex.ExecOptions{Args: columns}); err != nil {
				return err
			}
		}
		for _, query := range []string{"UPDATE log SET first=?", "DELETE FROM message WHERE seq<?"} {
			if err := sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: []any{int64(end)}}); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.first = end
		s.unmoved.Add(stepPages)
	})
	return err == nil
}

// vacuum gives back empty pages, a few. It reports whether there are more.
func (s *Store) vacuum() (more bool) {
	var empty int64
	err := s.do(s.ctx, s.reader, "count empty pages", func(c *lite.Conn) (err error) {
		empty, err = number(c, "PRAGMA freelist_count")
		return err
	})
	if err != nil || empty <= spare {
		return false
	}
	return nil == s.write(s.ctx, "give back space", func(c *lite.Conn) error {
		return sqlitex.Execute(c, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", stepPages), nil)
	}, func() { s.unmoved.Add(2 * stepPages) })
}

// prune forgets those rows of a table that have the smallest values in a column, if they are too
// many.
func (s *Store) prune(table, column string) error {
	var surplus []int64
	err := s.do(s.ctx, s.reader, "count what is remembered", func(c *lite.Conn) error {
		surplus = surplus[:0]
		if n, err := number(c, "SELECT count(*) FROM "+table); err != nil || n <= maxRemembered {
			return err
		}
		return sqlitex.Execute(c, fmt.Sprintf("SELECT rowid FROM %s ORDER BY %s DESC LIMIT -1 OFFSET %d", table, column, maxRemembered), &sqlitex.ExecOptions{
			ResultFunc: func(row *lite.Stmt) error {
				surplus = append(surplus, row.ColumnInt64(0))
				return nil
			}})
	})
	for chunk := range slices.Chunk(surplus, stepMessages) {
		err = errors.Join(err, s.write(s.ctx, "forget what is old", func(c *lite.Conn) error {
			for _, row := range chunk {
				if err := sqlitex.Execute(c, "DELETE FROM "+table+" WHERE rowid=?", &sqlitex.ExecOptions{Args: []any{row}}); err != nil {
					return err
				}
			}
			return nil
		}, func() {}))
	}
	return err
}

// move moves what was written to the file relay.db-wal to its place in relay.db: most of it while
// others write on, and the rest while they wait, so that SQLite begins that file anew.
func (s *Store) move() {
	s.unmoved.Store(0)
	checkpoint := func(c *lite.Conn) (left int64, err error) {
		err = sqlitex.Execute(c, "PRAGMA wal_checkpoint(PASSIVE)", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
			left = row.ColumnInt64(1) - row.ColumnInt64(2)
			return nil
		}})
		return left, err
	}
	_ = s.do(s.ctx, s.keeper, "move messages to their place", func(c *lite.Conn) error {
		before := int64(math.MaxInt64)
		for {
			left, err := checkpoint(c)
			if err != nil {
				return err
			}
			if left < movable/10 {
				break
			}
			if left >= before { // somebody reads what must not be overwritten yet
				return nil
			}
			before = left
		}
		return s.do(s.ctx, s.writer, "move messages to their place", func(*lite.Conn) error {
			_, err := checkpoint(c)
			return err
		})
	})
}

func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
