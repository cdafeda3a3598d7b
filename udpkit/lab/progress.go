package lab

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// step announces a step that may take long and returns what to call at its end. On a terminal a spinner and the elapsed
// time show in place meanwhile; elsewhere one line is printed at the start and one at the end.
func step(w io.Writer, name string) (end func(error)) {
	start := time.Now()
	result := func(err error) string {
		word := "done"
		if err != nil {
			word = "failed"
		}
		return fmt.Sprintf("%s: %s after %s", name, word, time.Since(start).Round(100*time.Millisecond))
	}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		fmt.Fprintf(w, "%s ...\n", name)
		return func(err error) { fmt.Fprintln(w, result(err)) }
	}
	stop, stopped := make(chan struct{}), sync.WaitGroup{}
	stopped.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			fmt.Fprintf(w, "\r%c %s (%s)\x1b[K", `|/-\`[i%4], name, time.Since(start).Round(time.Second))
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func(err error) {
		close(stop)
		stopped.Wait()
		fmt.Fprintf(w, "\r%s\x1b[K\n", result(err))
	}
}
