package console

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

// Progress shows how far long work is. On a terminal that is one line, which changes in place: the
// share that is done, the time left, and the step. Elsewhere each step is a line.
type Progress struct {
	*Screen
	begun time.Time
	stop  chan struct{}
	drawn sync.WaitGroup

	mu        sync.Mutex
	what      string
	since     time.Time // when the step began
	done, all time.Duration
}

// NewProgress returns a Progress on out. End it.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{Screen: NewScreen(out), begun: time.Now(), stop: make(chan struct{})}
	p.drawn.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				p.mu.Lock()
				if p.what != "" {
					p.Status(format.Frame(), p.text(now))
				}
				p.mu.Unlock()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// Step begins a step. Of all the time that the work was expected to take, done is behind it; 0 for
// both if nothing is known of that.
func (p *Progress) Step(what string, done, all time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.since, p.done, p.all = what, time.Now(), done, all
	if !p.HasStatus() {
		_ = p.Print(p.text(p.since)) // what cannot be shown is no reason to stop
	}
}

// text returns the share that is done, the time left, and the step; the caller holds mu.
func (p *Progress) text(now time.Time) string {
	if p.all == 0 {
		if took := now.Sub(p.since); took >= time.Second {
			return fmt.Sprintf("%s (%v)", p.what, took.Round(time.Second))
		}
		return p.what
	}
	// How long it takes, as a share of what was expected. The first steps do not say much of that.
	believed := p.all / 10
	pace := float64(p.since.Sub(p.begun)+believed) / float64(p.done+believed)
	text := fmt.Sprintf("%.0f %%", 100*float64(p.done)/float64(p.all))
	if left := time.Duration(pace*float64(p.all-p.done)) - now.Sub(p.since); left >= time.Second {
		text += ", about " + left.Round(time.Second).String() + " left"
	}
	return text + ": " + p.what
}

// Done ends the step, and leaves a line that says how it went.
func (p *Progress) Done(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	word := "done"
	if err != nil {
		word = "failed"
	}
	_ = p.Print(fmt.Sprintf("%s: %s after %v", p.what, word, time.Since(p.since).Round(100*time.Millisecond)))
	p.what = ""
}

// End takes the line away. No method is called any more.
func (p *Progress) End() {
	close(p.stop)
	p.drawn.Wait()
	_ = p.Clear()
}
