package sqlite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	lite "zombiezen.com/go/sqlite"
)

// space is how much must be free on the disk for storing to begin again.
const space = 1 << 20

// errFailing marks what keeps anything from being stored until a person has seen to it.
var errFailing = errors.New("nothing can be stored any more, see to the disk and start again")

// storable returns why nothing can be stored now.
func (s *Store) storable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// unstored takes note of an error in storing if it is the disk's: nothing is stored then until heal
// has found that it can be.
func (s *Store) unstored(err error) error {
	switch lite.ErrCode(err).ToPrimary() {
	case lite.ResultFull:
		err = fmt.Errorf("%w (%w)", syscall.ENOSPC, err)
	case lite.ResultIOErr, lite.ResultReadOnly, lite.ResultCantOpen:
		if why := s.probe(); why != nil { // the system says better what to do
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

// heal has messages stored again if the disk has room.
func (s *Store) heal() {
	if err := s.storable(); err == nil || errors.Is(err, errFailing) || s.probe() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(s.failure, errFailing) {
		s.failure = nil
	}
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

// present returns an error if the files are not there any more: SQLite would go on writing to them.
func (s *Store) present() error {
	for _, name := range []string{s.file, s.file + walSuffix} {
		if removed(name) {
			return s.final(fmt.Errorf("%s was removed", name))
		}
	}
	return nil
}

// sync has the system write what was stored to the disk.
func (s *Store) sync() {
	f, err := os.OpenFile(s.file+walSuffix, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		_ = s.final(err)
	}
}
