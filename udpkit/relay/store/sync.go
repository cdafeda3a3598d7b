package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// blocks syncs what nats-server appends to the files of a stream's messages. The server could sync
// each message by itself. That takes a system call and a sync for each; this takes one for each
// call of Append, and one for the directory when a file is new, which the server leaves to the file
// system.
//
// What a file is called, and that the highest number is the one that is written to, is the server's
// business. A test checks that it is still so.
type blocks struct {
	dir     string
	current int // the number of the file that was written to last, 0 if not known
}

const blockSuffix = ".blk"

func (b *blocks) name(number int) string {
	return filepath.Join(b.dir, strconv.Itoa(number)+blockSuffix)
}

// sync returns once all that was written is on the disk. There is a current file then if there are
// any.
func (b *blocks) sync() error {
	if b.current > 0 {
		if err := syncFile(b.name(b.current)); errors.Is(err, fs.ErrNotExist) {
			b.current = 0 // all its messages are discarded
		} else if err != nil {
			return err
		}
	}
	numbers := []int{b.current + 1}
	if b.current == 0 {
		var err error
		if numbers, err = b.numbers(); err != nil {
			return err
		}
	}
	fresh := false
	for len(numbers) > 0 {
		number := numbers[0]
		numbers = numbers[1:]
		if err := syncFile(b.name(number)); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		b.current, fresh = number, true
		if len(numbers) == 0 {
			numbers = []int{number + 1}
		}
	}
	if fresh {
		return syncDir(b.dir)
	}
	return nil
}

func (b *blocks) numbers() (numbers []int, err error) {
	entries, err := os.ReadDir(b.dir)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), blockSuffix); ok {
			if number, err := strconv.Atoi(name); err == nil {
				numbers = append(numbers, number)
			}
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// syncFile has the system write a file to the disk.
func syncFile(name string) error {
	f, err := os.OpenFile(name, syncFlag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncTree has the system write all files below a directory to the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			return nil
		case err != nil:
			return err
		case d.IsDir():
			err = syncDir(path)
		case d.Type().IsRegular():
			err = syncFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
