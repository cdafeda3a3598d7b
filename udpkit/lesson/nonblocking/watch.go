package nonblocking

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// The timetable of a [Watch], the same for every style: two datagrams, a long silence, three
// datagrams in a row, a silence, the end.
const (
	watchTime = 4 * time.Second
	// tickEvery makes at least one tick fall into each square of the strip, also where a style
	// looks up only every 20 ms.
	tickEvery = 60 * time.Millisecond
	square    = 100 * time.Millisecond
)

var sendAt = []time.Duration{
	700 * time.Millisecond, 900 * time.Millisecond,
	2800 * time.Millisecond, 2900 * time.Millisecond, 3000 * time.Millisecond,
}

// Watch lets a style receive for four seconds. A sender in the same program keeps to a fixed
// timetable; then the context is cancelled. Meanwhile the notebook shows a waiting indicator that
// moves only when the receiver itself calls OnIdle, and in the end a strip of all that happened.
// The recording is kept in file as the newest of its style; an empty name keeps nothing.
func Watch(ctx context.Context, style udpkit.Style, file string) error {
	w := newWatch(style, nil)
	show := exercise.NewShow(page.Lookup("watch"), plain, w.data(false))
	w.changed = func() { show.News(w.data(false)) }
	err := w.run(ctx, watchTime, sendAt)
	if err = errors.Join(err, show.End(w.data(true))); err != nil || ctx.Err() != nil {
		return err
	}
	return w.record.keep(file)
}

// watch is one run, and what is shown of it.
type watch struct {
	style   udpkit.Style
	changed func() // something new can be drawn
	length  time.Duration

	mu      sync.Mutex
	start   time.Time
	record  Recording
	waiting time.Duration // what OnIdle said last
	lines   []line
}

// line is a datagram in the list.
type line struct {
	At   time.Duration
	Text string
}

func newWatch(style udpkit.Style, changed func()) *watch {
	return &watch{style: style, changed: changed, length: watchTime, start: time.Now(), record: Recording{Style: style}}
}

// run receives on the calling goroutine, as the reader of the notebook would.
func (w *watch) run(ctx context.Context, length time.Duration, timetable []time.Duration) error {
	sockets, err := newPair()
	if err != nil {
		return err
	}
	defer sockets.close()
	receiver, err := udpkit.NewReceiver(w.style, udpkit.ReceiverConfig{OnIdle: w.tick, IdleInterval: tickEvery, BufferSize: bufferSize})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	measure.Sleep(ctx, settle) // for what is about to end
	before := runtime.NumGoroutine()
	w.mu.Lock()
	w.length, w.start = length, time.Now()
	w.mu.Unlock()
	sent := make(chan error, 1)
	go func() { sent <- w.send(ctx, cancel, sockets, timetable, before) }()
	err = receiver.Receive(ctx, sockets.receiver, w.handle)
	returned, ended := time.Since(w.start), ctx.Err() != nil
	cancel()
	failed := <-sent
	left := max(0, goroutines(before)-before) // somebody else's may have ended meanwhile

	w.mu.Lock()
	defer w.mu.Unlock()
	w.record.Ended, w.record.Left = err.Error(), left
	if w.record.Cancelled == 0 { // interrupted
		w.record.Cancelled = returned
	}
	w.record.Return = returned - w.record.Cancelled
	if !ended {
		return errors.Join(err, failed)
	}
	return failed
}

// send keeps to the timetable, and then cancels.
func (w *watch) send(ctx context.Context, cancel context.CancelFunc, sockets pair, timetable []time.Duration, before int) error {
	for i, at := range timetable {
		if !measure.Sleep(ctx, time.Until(w.start.Add(at))) {
			return nil
		}
		w.mu.Lock()
		w.record.Sent = append(w.record.Sent, time.Since(w.start))
		if i == 0 {
			w.record.Extra = runtime.NumGoroutine() - before - 1 // without this one
		}
		w.mu.Unlock()
		if _, err := fmt.Fprintf(sockets.sender, "datagram %d", i+1); err != nil {
			cancel()
			return err
		}
	}
	if !measure.Sleep(ctx, time.Until(w.start.Add(w.length))) {
		return nil
	}
	// On a busy machine the last datagram may still be on its way.
	for late := time.Now(); time.Since(late) < time.Second && !w.all(len(timetable)) && measure.Sleep(ctx, settle); {
	}
	w.mu.Lock()
	w.record.Cancelled = time.Since(w.start)
	w.mu.Unlock()
	cancel()
	return nil
}

// all reports whether this many datagrams have been handled.
func (w *watch) all(sent int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.record.Handled) >= sent
}

// tick is the OnIdle of the receiver: nothing else moves the indicator.
func (w *watch) tick(elapsed time.Duration) {
	w.mu.Lock()
	w.record.Ticks = append(w.record.Ticks, time.Since(w.start))
	w.waiting = elapsed
	w.mu.Unlock()
	w.changed()
}

func (w *watch) handle(d udpkit.Datagram) {
	w.mu.Lock()
	at := time.Since(w.start)
	w.record.Handled = append(w.record.Handled, at)
	w.lines = append(w.lines, line{at, string(d.Payload)})
	w.waiting = 0
	w.mu.Unlock()
	w.changed()
}

// watchData is what the template shows.
type watchData struct {
	Recording
	Final   bool
	Waiting time.Duration
	Frame   string
	Lines   []line
	Strip   strip
	Still   time.Duration // the longest standstill
}

func (w *watch) data(final bool) watchData {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := watchData{Recording: w.record, Final: final, Waiting: w.waiting, Lines: w.lines}
	d.Frame = format.Frames[len(w.record.Ticks)%len(format.Frames)]
	d.Strip = newStrip(w.record, w.length)
	d.Still = w.record.Standstill()
	return d
}

// strip is a recording in squares of a tenth of a second.
type strip struct {
	Ticks, Handled []bool
	Seconds        []int
}

func newStrip(r Recording, length time.Duration) strip {
	n := int((length + square - 1) / square)
	mark := func(times []time.Duration) []bool {
		marks := make([]bool, n)
		for _, t := range times {
			if i := int(t / square); i < n {
				marks[i] = true
			}
		}
		return marks
	}
	s := strip{Ticks: mark(r.Ticks), Handled: mark(r.Handled)}
	for i := 0; i < n; i += int(time.Second / square) {
		s.Seconds = append(s.Seconds, i*int(square)/int(time.Second))
	}
	return s
}
