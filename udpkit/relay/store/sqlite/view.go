package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// Messages returns the messages of the log in a directory from number from on, as far as they are
// kept and intact, whether a relay runs with it or not. After an error, which is the last, there
// are no more.
func Messages(ctx context.Context, dir string, from uint64) iter.Seq2[relay.Message, error] {
	return func(yield func(relay.Message, error) bool) {
		c, err := view(dir)
		if err != nil {
			yield(relay.Message{}, err)
			return
		}
		defer c.Close()
		newest, err := number(c, "SELECT max(seq) FROM message")
		last := uint64(newest)
		var lost skip
		for next := from; err == nil && next <= last; {
			if err = context.Cause(ctx); err != nil {
				break
			}
			var messages []relay.Message
			if messages, next, err = read(c, next, last, maxRead); damaged(err) {
				next, err = lost.after(next), nil
			}
			for _, m := range messages {
				lost = 0
				if !yield(m, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(relay.Message{}, fmt.Errorf("read the log in %s: %w", dir, err))
		}
	}
}

// Backup copies the log in a directory to a file, as it is at this moment, whether a relay runs
// with it or not. The copy can be opened as a log if it is the file relay.db of another directory.
// A file that exists is not overwritten: the error wraps fs.ErrExist then.
func Backup(ctx context.Context, dir, file string) (err error) {
	c, err := view(dir)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(file)
			err = fmt.Errorf("back up the log in %s: %w", dir, err)
		}
	}()
	c.SetInterrupt(ctx.Done())
	if err := sqlitex.Execute(c, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{file}}); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	return f.Sync()
}

// Backup copies the log to a file, while messages are stored. See the function Backup.
func (s *Store) Backup(ctx context.Context, file string) error { return Backup(ctx, s.cfg.Dir, file) }

// view opens the log in a directory, to be read.
func view(dir string) (*lite.Conn, error) {
	name := filepath.Join(dir, fileName)
	if _, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("there is no log in %s: %w", dir, err)
	}
	c, err := lite.OpenConn(name, lite.OpenReadWrite)
	if err != nil {
		return nil, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	c.SetBusyTimeout(5 * time.Second)
	version, _, err := recognize(c)
	if err == nil && version == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	return c, nil
}
