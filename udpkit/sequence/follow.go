package sequence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// patience is how long what was sent may take to be recorded by who receives it. Before that it
	// is not drawn as lost.
	patience = time.Second
	// lookEvery is the time between two looks at a file that may have grown.
	lookEvery = 100 * time.Millisecond
)

// never is later than all.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Follow draws recordings in a notebook as Show does, while they grow, until the context ends: the
// last 60 datagrams, the newest of them opened, at most ten times a second. A file need not be
// there yet. What a role records is in its file some 200 ms later.
func Follow(ctx context.Context, files ...string) error {
	if len(files) == 0 {
		return errNone
	}
	all := make([]*recording, len(files))
	for i := range all {
		all[i] = &recording{last: true}
	}
	var mu sync.Mutex // guards all
	return follow(ctx, func(settled time.Time) picture {
		mu.Lock()
		now := copies(all)
		mu.Unlock()
		return draw(now, nil, settled, maxSteps)
	}, func(ctx context.Context, news func()) error {
		ctx, end := context.WithCancel(ctx) // one that cannot be read ends all
		defer end()
		errs := make([]error, len(files))
		var reading sync.WaitGroup
		for i, name := range files {
			reading.Go(func() {
				file := &growing{ctx: ctx, name: name}
				defer file.close()
				err := all[i].read(file, func(add func()) {
					mu.Lock()
					add()
					mu.Unlock()
					news()
				})
				if err != nil {
					errs[i] = fmt.Errorf("%s: %w", name, err)
					end()
				}
			})
		}
		reading.Wait()
		return errors.Join(errs...)
	})
}

// follow draws whenever run tells news, and once more when it has returned.
func follow(ctx context.Context, draw func(settled time.Time) picture, run func(ctx context.Context, news func()) error) error {
	ended := make(chan struct{})
	v := newView(func() picture {
		select {
		case <-ended:
			p := draw(never)
			p.open(1)
			return p
		default:
		}
		p := draw(time.Now().Add(-patience))
		p.Growing = true
		p.open(len(p.Steps))
		return p
	})
	v.news()
	err := run(ctx, v.news)
	close(ended)
	return errors.Join(err, v.end())
}

// growing is a file that grows until a context ends, and that may not be there at first.
type growing struct {
	ctx  context.Context
	name string
	file *os.File
}

// Read implements io.Reader. It waits for what is written to the file.
func (g *growing) Read(b []byte) (int, error) {
	for ended := false; ; {
		n, err := g.read(b)
		switch {
		case n > 0:
			return n, nil
		case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrNotExist), ended:
			return 0, err
		}
		select {
		case <-g.ctx.Done():
			ended = true // there may be more since
		case <-time.After(lookEvery):
		}
	}
}

func (g *growing) read(b []byte) (n int, err error) {
	if g.file == nil {
		if g.file, err = os.Open(g.name); err != nil {
			g.file = nil
			return 0, err
		}
	}
	return g.file.Read(b)
}

func (g *growing) close() {
	if g.file != nil {
		_ = g.file.Close() // it was read only
	}
}
