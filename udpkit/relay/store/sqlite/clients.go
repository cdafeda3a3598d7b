package sqlite

import (
	"context"
	"time"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// Client returns what was saved of a client. What is damaged is as good as not saved.
func (s *Store) Client(ctx context.Context, role relay.Role, username string) (r relay.ClientRecord, err error) {
	err = s.do(ctx, s.reader, "look for a client", func(c *lite.Conn) error {
		return sqlitex.Execute(c, "SELECT addr, run, registered, seen, next, checksum FROM client WHERE role=? AND name=?", &sqlitex.ExecOptions{
			Args: []any{role.String(), username}, ResultFunc: func(row *lite.Stmt) error {
				run, registered, seen, next := row.ColumnInt64(1), row.ColumnInt64(2), row.ColumnInt64(3), row.ColumnInt64(4)
				if row.ColumnInt64(5) == checksum(role.String(), username, row.ColumnText(0), run, registered, seen, next) {
					r = relay.ClientRecord{
						Role: role, Username: username, Addr: row.ColumnText(0), Run: relay.ID(run),
						Registered: moment(registered), Seen: moment(seen), Next: uint64(next),
					}
				}
				return nil
			}})
	})
	return r, err
}

// SaveClient keeps what is known of a client.
func (s *Store) SaveClient(ctx context.Context, r relay.ClientRecord) error {
	columns := []any{r.Role.String(), r.Username, r.Addr, int64(r.Run), nanoseconds(r.Registered), nanoseconds(r.Seen), int64(r.Next)}
	columns = append(columns, checksum(columns...))
	return s.write(ctx, "save a client", func(c *lite.Conn) error {
		return sqlitex.Execute(c, "INSERT OR REPLACE INTO client VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &sqlitex.ExecOptions{Args: columns})
	}, func() {})
}

// nanoseconds and moment turn a time into a column and back. The zero time is 0.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// Claim gives a name to an owner. Names need no file: one process has the log, and when it ends all
// are free.
func (s *Store) Claim(ctx context.Context, name string, owner relay.ID, ttl time.Duration) error {
	if err := s.ended(ctx, "claim a name"); err != nil {
		return err
	}
	return s.names.Claim(ctx, name, owner, ttl)
}

// Release gives back a name.
func (s *Store) Release(ctx context.Context, name string, owner relay.ID) error {
	if err := s.ended(ctx, "release a name"); err != nil {
		return err
	}
	return s.names.Release(ctx, name, owner)
}
