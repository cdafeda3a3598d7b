// Package lastly ends what a program has started even if the program itself ends at once.
package lastly

import "sync"

var (
	mu   sync.Mutex
	ends = map[*byte]func(){}
)

// Start calls start, and has End call end from then on, until over is called. If start fails so
// does it, and there is nothing to end.
func Start(start func() error, end func()) (over func(), err error) {
	mu.Lock()
	defer mu.Unlock()
	if err := start(); err != nil {
		return nil, err
	}
	key := new(byte)
	ends[key] = end
	return func() {
		mu.Lock()
		defer mu.Unlock()
		delete(ends, key)
	}, nil
}

// End ends everything that was started, at the same time. From then on nothing is started any more:
// the program ends.
func End() {
	mu.Lock()
	var all sync.WaitGroup
	for _, end := range ends {
		all.Go(end)
	}
	all.Wait()
}
