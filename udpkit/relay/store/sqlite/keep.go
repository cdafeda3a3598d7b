package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	lite "zombiezen.com/go/sqlite"
)

const (
	// polling is how often the keeper looks at what no call of this process tells.
	polling = 250 * time.Millisecond
	// moveAfter is how many messages are stored before the keeper moves them to their places in the
	// file: a few MiB.
	moveAfter = 4096
	// space is how much must be free on the disk for storing to begin again.
	space = 1 << 20
)

// errFailing marks what keeps anything from being stored until a person has seen to it.
var errFailing = errors.New("nothing can be stored any more, see to the disk and start again")

// storable returns why nothing can be stored now.
func (s *Store) storable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// unstored takes note of an error in storing, if it is the disk's: nothing is stored then until
// there is room.
func (s *Store) unstored(err error) error {
	switch lite.ErrCode(err).ToPrimary() {
	case lite.ResultFull:
		err = fmt.Errorf("%w (%w)", syscall.ENOSPC, err)
	case lite.ResultIOErr, lite.ResultReadOnly, lite.ResultCantOpen:
		if why := s.probe(); why != nil {
			err = fmt.Errorf("%w (%w)", why, err)
		}
	default:
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
	}
	return err
}

// final takes note of an error that ends all storing.
func (s *Store) final(err error) error {
	err = fmt.Errorf("%w: %w", errFailing, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(s.failure, errFailing) {
		s.failure = err
	}
	return err
}

// ended returns an error if the store is closed or ctx has ended.
func (s *Store) ended(ctx context.Context, what string) error {
	switch {
	case ctx.Err() != nil:
		return s.failed(ctx, what, ctx.Err())
	case s.ctx.Err() != nil:
		return s.failed(ctx, what, net.ErrClosed)
	}
	return nil
}

// probe returns the system's error if there is no room for new messages, or the disk cannot be
// written to.
func (s *Store) probe() error {
	f, err := os.CreateTemp(s.cfg.Dir, "space-")
	if err != nil {
		return err
	}
	b := make([]byte, space)
	_, _ = rand.Read(b) // so that no file system compresses it
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the file does not matter
	}
	return err
}

func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// keep does what has to be done now and then, until the store is closed.
func (s *Store) keep() {
	<-s.ctx.Done()
}
