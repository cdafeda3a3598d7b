package sqlite

import (
	"context"
	"fmt"
	"net"
	"time"

	lite "zombiezen.com/go/sqlite"
)

// maxPause is how long a call waits at most before it looks whether another program still keeps the
// file locked.
const maxPause = 20 * time.Millisecond

// conn is a connection that one goroutine uses at a time: who has put its token into the channel.
// Whoever waits gets it in turn.
type conn struct {
	*lite.Conn
	token chan struct{}
}

func openConn(file string) (*conn, error) {
	c, err := lite.OpenConn(file, lite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(0) // see do
	return &conn{c, make(chan struct{}, 1)}, nil
}

// do calls f with the connection to itself, and again while another program has the file locked.
func (s *Store) do(ctx context.Context, c *conn, what string, f func(*lite.Conn) error) error {
	select {
	case c.token <- struct{}{}:
		defer func() { <-c.token }()
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	if err := s.ended(ctx, what); err != nil {
		return err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		err := f(c.Conn)
		if err == nil {
			return nil
		}
		if lite.ErrCode(err).ToPrimary() != lite.ResultBusy {
			if damaged(err) {
				s.noteDamage()
			}
			return s.failed(ctx, what, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		if err := s.ended(ctx, what); err != nil {
			return err
		}
	}
}

// write calls f in a transaction that is on the disk, or as good as that with SyncPeriodic, when it
// calls stored. Until that has returned nothing else is written.
func (s *Store) write(ctx context.Context, what string, f func(*lite.Conn) error, stored func()) error {
	return s.do(ctx, s.writer, what, func(c *lite.Conn) error {
		if err := s.storable(); err != nil {
			return err
		}
		err := step(c, "BEGIN IMMEDIATE")
		if err != nil {
			return s.unstored(err)
		}
		if err = f(c); err == nil {
			err = step(c, "COMMIT")
		}
		if err != nil {
			if !c.AutocommitEnabled() {
				_ = step(c, "ROLLBACK")
			}
			return s.unstored(err)
		}
		s.unsynced.Store(s.cfg.Sync == SyncPeriodic)
		stored()
		return nil
	})
}

// ended returns an error if the store is closed or ctx has ended.
func (s *Store) ended(ctx context.Context, what string) error {
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("%s in %s: %w", what, s.cfg.Dir, net.ErrClosed)
	case ctx.Err() != nil:
		return s.failed(ctx, what, ctx.Err())
	}
	return nil
}

// step runs a statement that returns nothing.
func step(c *lite.Conn, query string) error {
	statement, err := c.Prepare(query)
	if err == nil {
		_, err = statement.Step()
	}
	return err
}
