package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// checkable is the longest file that is checked whenever it is opened, which takes 2 ms for each
// MiB. What is wrong with a longer one shows when that part is read or written.
const checkable = 256 << 20

// check finds out whether SQLite can find all that is in the file.
func (s *Store) check() error {
	if info, err := os.Stat(s.file); err != nil || info.Size() > checkable {
		return err
	}
	return sqlitex.Execute(s.writer.Conn, "PRAGMA quick_check(1)", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
		if found := row.ColumnText(0); found != "ok" {
			return fmt.Errorf("%w: %s", ErrDamaged, found)
		}
		return nil
	}})
}

// repair copies all that is intact into a new file, and keeps the old one beside it under another
// name. The log's number is known from elsewhere in case its table is lost, 0 if not.
func (s *Store) repair(id, reached uint64) (err error) {
	s.disconnect()
	s.reader, s.keeper, s.writer = nil, nil, nil
	old, err := openConn(s.file)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }()
	// A file that is too short can be read then, as far as it goes.
	if err := sqlitex.ExecuteTransient(old.Conn, "PRAGMA writable_schema=ON", nil); err != nil {
		return err
	}
	n, err := number(old.Conn, "SELECT count(*) FROM sqlite_schema WHERE name IN ('log', 'message', 'run', 'client')")
	if err == nil && n != 4 {
		err = fmt.Errorf("%d of 4 are there", n)
	}
	if err != nil {
		return fmt.Errorf("%w: its tables cannot be read (%w)", ErrDamaged, err)
	}
	l, _ := readLog(old.Conn)
	if l.id == 0 {
		if l.id = id; id == 0 {
			return fmt.Errorf("%w: its number cannot be read", ErrDamaged)
		}
	}
	fresh := s.file + ".new"
	discard := func() error {
		for _, suffix := range []string{"", walSuffix, "-shm"} {
			if err := os.Remove(fresh + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	if err := discard(); err != nil {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	c, err := openConn(fresh)
	if err != nil {
		return err
	}
	err = setUp(c.Conn, true)
	var copied uint64
	if err == nil {
		copied, err = copyIntact(c.Conn, old.Conn, l, reached)
	}
	if err := errors.Join(err, c.Close()); err != nil {
		_ = discard()
		return fmt.Errorf("%w, and what is intact cannot be copied: %w", ErrDamaged, err)
	}
	_ = old.Close()
	kept := s.file + time.Now().UTC().Format(".damaged-20060102-150405.000")
	if err := os.Rename(s.file, kept); err != nil {
		return err
	}
	if err := os.Rename(s.file+walSuffix, kept+walSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(s.file + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, s.file); err != nil {
		return err
	}
	s.repaired = fmt.Sprintf("%s was damaged: what was intact, %d messages, is in a new file; the old one is %s", s.file, copied, kept)
	return s.connect()
}

// copyIntact copies what is intact from one file to another, and returns how many messages that is.
func copyIntact(to, from *lite.Conn, l logRow, reached uint64) (messages uint64, err error) {
	end, err := sqlitex.ImmediateTransaction(to)
	if err != nil {
		return 0, err
	}
	defer end(&err)
	insert, err := to.Prepare(insertMessage)
	if err != nil {
		return 0, err
	}
	last := max(reached, l.last)
	if newest, err := number(from, "SELECT max(seq) FROM message"); err == nil && newest < maxSeq {
		last = max(last, uint64(newest))
	}
	var buf []byte
	var lost skip
	for next := uint64(1); next <= last; {
		stop, n, was := error(nil), 0, next
		err := rows(from, next, last, maxRead, func(row *lite.Stmt) bool {
			var m message
			var intact bool
			n++
			if intact, buf = m.scan(row, buf); intact && m.seq >= next {
				if buf, stop = m.insert(insert, buf); lite.ErrCode(stop).ToPrimary() == lite.ResultConstraint {
					stop = insert.Reset() // it is there twice
				} else if stop == nil {
					messages, next, lost = messages+1, m.seq+1, 0
				}
			}
			return stop == nil
		})
		switch {
		case stop != nil:
			return messages, stop
		case damaged(err):
			next = lost.after(next)
		case err != nil:
			return messages, err
		case n < maxRead:
			next = last + 1
		case next == was: // all that came is damaged
			next++
		}
	}
	err = sqlitex.Execute(from, "SELECT run, number, seq, checksum FROM run", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
		columns := []any{row.ColumnInt64(0), row.ColumnInt64(1), row.ColumnInt64(2)}
		return copyRow(to, "run", columns, row)
	}})
	if err != nil && !damaged(err) {
		return messages, err
	}
	err = sqlitex.Execute(from, "SELECT role, name, addr, run, registered, seen, next, checksum FROM client", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
		columns := []any{row.ColumnText(0), row.ColumnText(1), row.ColumnText(2), row.ColumnInt64(3), row.ColumnInt64(4), row.ColumnInt64(5), row.ColumnInt64(6)}
		return copyRow(to, "client", columns, row)
	}})
	if err != nil && !damaged(err) {
		return messages, err
	}
	return messages, sqlitex.Execute(to, "UPDATE log SET id=?, checksum=?, first=?, last=?, deletions=?", &sqlitex.ExecOptions{
		Args: []any{int64(l.id), checksum(int64(l.id)), int64(max(1, l.first)), int64(last), int64(l.deletions) + 1},
	})
}

// copyRow copies a row with a checksum in its last column, if it is intact.
func copyRow(to *lite.Conn, table string, columns []any, row *lite.Stmt) error {
	sum := row.ColumnInt64(len(columns))
	if sum != checksum(columns...) {
		return nil
	}
	query := "INSERT OR IGNORE INTO " + table + " VALUES (?" + strings.Repeat(", ?", len(columns)) + ")"
	return sqlitex.Execute(to, query, &sqlitex.ExecOptions{Args: append(columns, sum)})
}

// Repaired says what Open has done with a file that was damaged, and where that is kept; "" if it
// was not.
func (s *Store) Repaired() string { return s.repaired }
