package sqlite

import (
	"context"
	"net"

	lite "zombiezen.com/go/sqlite"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// maxRead bounds what is read from the log at once.
const maxRead = 1024

// Read returns messages from number from on.
func (s *Store) Read(ctx context.Context, from uint64, max int) (messages []relay.Message, err error) {
	var lost skip
	for next := from; ; {
		first, last := s.Bounds()
		if next < first {
			next = first
		}
		if next > last || max < 1 {
			return nil, s.do(ctx, s.reader, "read messages", func(*lite.Conn) error { return nil })
		}
		err := s.do(ctx, s.reader, "read messages", func(c *lite.Conn) (err error) {
			messages, next, err = read(c, next, last, min(max, maxRead))
			if damaged(err) { // what is lost is a gap
				s.noteDamage()
				next, err = lost.after(next), nil
			}
			return err
		})
		if err != nil || len(messages) > 0 {
			return messages, err
		}
	}
}

// read returns messages with the numbers from from to last, at most limit, as far as there is no
// hole in between, and from where to read on.
func read(c *lite.Conn, from, last uint64, limit int) (messages []relay.Message, next uint64, err error) {
	next = last + 1
	var buf []byte
	n := 0
	err = rows(c, from, last, limit, func(row *lite.Stmt) bool {
		var m message
		var intact bool
		intact, buf = m.scan(row, buf)
		switch n++; {
		case len(messages) > 0 && (!intact || m.seq != next):
			return false
		case intact:
			messages = append(messages, relay.Message{Seq: m.seq, Username: m.Username, Text: m.Text, At: m.At})
			next = m.seq + 1
		case n == limit && m.seq >= from && m.seq < last: // all of them are damaged
			next = m.seq + 1
		}
		return true
	})
	switch {
	case len(messages) > 0: // what is wrong after them is for the next call
		return messages, next, nil
	case err != nil:
		return nil, from, err
	}
	return nil, next, nil
}

// skip counts the messages in a row that cannot be read.
type skip int

// after returns from where to try again: the next number, until more have failed than a page of
// SQLite's says where to find, and then ever further ones, as the log may go on for long.
func (n *skip) after(number uint64) uint64 {
	const page = 20_000
	if *n++; *n <= page {
		return number + 1
	}
	return number + 1<<min(*n-page, 60)
}

// rows calls each with the messages from from to last, at most limit, until it returns false.
func rows(c *lite.Conn, from, last uint64, limit int, each func(row *lite.Stmt) bool) error {
	rows, err := c.Prepare("SELECT " + messageColumns + " FROM message WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?")
	if err != nil {
		return err
	}
	rows.BindInt64(1, int64(from))
	rows.BindInt64(2, int64(last))
	rows.BindInt64(3, int64(limit))
	for {
		more, err := rows.Step()
		if err != nil || !more {
			return err
		}
		if !each(rows) {
			return rows.Reset()
		}
	}
}

// Follow delivers messages as they are stored.
func (s *Store) Follow(ctx context.Context, have func() uint64, deliver func([]relay.Message)) error {
	for {
		s.mu.Lock()
		grown := s.grown
		s.mu.Unlock()
		messages, err := s.Read(ctx, have()+1, maxRead)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			deliver(messages)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return s.failed(ctx, "follow the log", net.ErrClosed)
		case <-grown:
		}
	}
}
