package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// applicationID marks the file as a relay's log, for programs such as file(1): "udpk".
const applicationID = 0x7564706b

// migrations make the tables of version 1, and of each later version out of those of the one
// before. The version of a file is its user_version.
var migrations = []string{`
CREATE TABLE log (
	id        INTEGER PRIMARY KEY, -- a random number that names the log
	checksum  INTEGER NOT NULL,    -- of the id
	first     INTEGER NOT NULL,    -- messages before this number were discarded
	last      INTEGER NOT NULL,    -- the highest number of a message that was deleted
	deletions INTEGER NOT NULL     -- how many messages were changed or deleted, except by the relay
);
CREATE TABLE message (
	seq      INTEGER PRIMARY KEY, -- the sequence number
	writer   TEXT    NOT NULL,
	run      INTEGER NOT NULL,    -- of the writer, as a signed number
	number   INTEGER NOT NULL,    -- of the message within the run: 1, 2, 3 ...
	text     TEXT    NOT NULL,
	at       INTEGER NOT NULL,    -- nanoseconds since 1970
	checksum INTEGER NOT NULL,    -- CRC-32 of the other columns, see the package's documentation
	UNIQUE (run, number)
);
CREATE TABLE run ( -- the last message of each run of which messages were discarded
	run      INTEGER PRIMARY KEY,
	number   INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	checksum INTEGER NOT NULL
);
CREATE TABLE client (
	role       TEXT    NOT NULL, -- reader or writer
	name       TEXT    NOT NULL,
	addr       TEXT    NOT NULL, -- its last address
	run        INTEGER NOT NULL, -- its last run
	registered INTEGER NOT NULL, -- when it came first, nanoseconds since 1970
	seen       INTEGER NOT NULL, -- when it was heard last
	next       INTEGER NOT NULL, -- of a reader: the first message that it does not have
	checksum   INTEGER NOT NULL,
	PRIMARY KEY (role, name)
);
CREATE TRIGGER message_deleted AFTER DELETE ON message WHEN old.seq >= (SELECT first FROM log) BEGIN
	UPDATE log SET deletions = deletions + 1, last = max(last, old.seq);
END;
CREATE TRIGGER message_changed AFTER UPDATE ON message BEGIN
	UPDATE log SET deletions = deletions + 1, last = max(last, old.seq);
END;
`}

// recognize returns the version of a file and how many tables and indexes it has. Only a file that
// has none has version 0.
func recognize(c *lite.Conn) (version, tables int64, err error) {
	version, err = number(c, "PRAGMA user_version")
	if err != nil {
		return 0, 0, err
	}
	application, err := number(c, "PRAGMA application_id")
	if err != nil {
		return 0, 0, err
	}
	tables, err = number(c, "SELECT count(*) FROM sqlite_schema")
	switch empty := version == 0 && application == 0 && tables == 0; {
	case err != nil:
	case !empty && (application != applicationID || version < 1):
		err = fmt.Errorf("%w: %s is an SQLite file of another program", relay.ErrConfig, fileName)
	case version > int64(len(migrations)):
		err = fmt.Errorf("%w: it has format %d, of a later version of this program, which knows %d", relay.ErrConfig, version, len(migrations))
	}
	return version, tables, err
}

// setUp makes the tables, if that is allowed, or brings those of an earlier version up to date.
func setUp(c *lite.Conn, create bool) (err error) {
	version, tables, err := recognize(c)
	if err != nil {
		return err
	}
	if tables == 0 {
		if !create {
			return fmt.Errorf("%w: %s is empty and had messages; to begin anew, remove %s too", ErrDamaged, fileName, lockName)
		}
		// It cannot be set later.
		if err := sqlitex.ExecuteTransient(c, "PRAGMA auto_vacuum=INCREMENTAL", nil); err != nil {
			return err
		}
	}
	if err := sqlitex.ExecuteTransient(c, "PRAGMA journal_mode=WAL", nil); err != nil {
		return err
	}
	if version == int64(len(migrations)) {
		return checkSchema(c)
	}
	if err := migrate(c, version); err != nil {
		return err
	}
	// The log is not lost then if the file relay.db-wal is.
	return sqlitex.Execute(c, "PRAGMA wal_checkpoint(FULL)", nil)
}

// migrate makes what a version lacks.
func migrate(c *lite.Conn, version int64) (err error) {
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return err
	}
	defer end(&err)
	for _, script := range migrations[version:] {
		if err := sqlitex.ExecuteScript(c, script, nil); err != nil {
			return err
		}
	}
	if version == 0 {
		id := relay.NewID()
		err := sqlitex.Execute(c, "INSERT INTO log VALUES (?, ?, 1, 0, 0)", &sqlitex.ExecOptions{Args: []any{int64(id), checksum(int64(id))}})
		if err != nil {
			return err
		}
	}
	return sqlitex.ExecuteScript(c, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, len(migrations)), nil)
}

// checkSchema finds out whether the tables and triggers are as they were made. SQLite itself takes
// a name that has changed, or what a trigger does, for what somebody wants.
func checkSchema(c *lite.Conn) error {
	made, err := lite.OpenConn(":memory:", lite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { _ = made.Close() }()
	for _, script := range migrations {
		if err := sqlitex.ExecuteScript(made, script, nil); err != nil {
			return err
		}
	}
	want, err := schema(made)
	if err != nil {
		return err
	}
	is, err := schema(c)
	if err != nil {
		return err
	}
	for what, text := range want {
		if found, ok := is[what]; !ok || found != text {
			return fmt.Errorf("%w: the %s is not as it was made", ErrDamaged, what)
		}
	}
	return nil
}

// schema returns the texts that make a database's tables, indexes and triggers, by their names.
func schema(c *lite.Conn) (map[string]string, error) {
	texts := make(map[string]string)
	err := sqlitex.Execute(c, "SELECT type || ' ' || name, sql FROM sqlite_schema", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
		texts[row.ColumnText(0)] = row.ColumnText(1)
		return nil
	}})
	return texts, err
}

// number returns the first column of the first row of a query, 0 if there is none or it is NULL.
func number(c *lite.Conn, query string, args ...any) (n int64, err error) {
	err = sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(row *lite.Stmt) error {
		n = row.ColumnInt64(0)
		return nil
	}})
	return n, err
}

// checksum is the CRC-32 of columns: integers as 8 bytes each, most significant first, and texts
// with their length before them, in the same way.
func checksum(columns ...any) int64 {
	var sum uint32
	var b [8]byte
	for _, column := range columns {
		switch column := column.(type) {
		case int64:
			binary.BigEndian.PutUint64(b[:], uint64(column))
			sum = crc32.Update(sum, crc32.IEEETable, b[:])
		case string:
			binary.BigEndian.PutUint64(b[:], uint64(len(column)))
			sum = crc32.Update(crc32.Update(sum, crc32.IEEETable, b[:]), crc32.IEEETable, []byte(column))
		}
	}
	return int64(sum)
}

// message is a row of the table.
type message struct {
	seq uint64
	relay.Record
}

const messageColumns = "seq, writer, run, number, text, at, checksum"

// checksum returns what the row's last column has to be. It is that of all columns before it, put
// together in buf.
func (m *message) checksum(buf []byte) (sum int64, used []byte) {
	b := binary.BigEndian.AppendUint64(buf[:0], m.seq)
	b = append(binary.BigEndian.AppendUint64(b, uint64(len(m.Username))), m.Username...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Run))
	b = binary.BigEndian.AppendUint64(b, m.Number)
	b = append(binary.BigEndian.AppendUint64(b, uint64(len(m.Text))), m.Text...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.At.UnixNano()))
	return int64(crc32.ChecksumIEEE(b)), b
}

// scan reads a row of messageColumns. It reports whether the row is as it was stored.
func (m *message) scan(row *lite.Stmt, buf []byte) (intact bool, used []byte) {
	m.seq = uint64(row.ColumnInt64(0))
	m.Record = relay.Record{
		Username: row.ColumnText(1), Run: relay.ID(row.ColumnInt64(2)), Number: uint64(row.ColumnInt64(3)),
		Text: row.ColumnText(4), At: time.Unix(0, row.ColumnInt64(5)),
	}
	sum, buf := m.checksum(buf)
	return sum == row.ColumnInt64(6), buf
}

// damaged reports whether SQLite has found the file to be not as it was left.
func damaged(err error) bool {
	switch lite.ErrCode(err).ToPrimary() {
	case lite.ResultCorrupt, lite.ResultNotADB:
		return true
	}
	return errors.Is(err, ErrDamaged)
}
