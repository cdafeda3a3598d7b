package relay

import (
	"io"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// flushEvery bounds what OnEvent gets between two calls of Flush, in bytes.
const flushEvery = 8 << 10

// deliver tells what is queued: at once, or with Delay that long after the first of a batch.
func (r *Reader) deliver(done <-chan struct{}) {
	var first time.Time // when the batch began; zero: there is none
	var batch []Event
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-r.queued:
		case <-timer.C:
		}
		r.mu.Lock()
		held := r.cfg.Delay > 0 && slices.ContainsFunc(r.queue, isMessage)
		if held {
			if first.IsZero() {
				first = time.Now()
			}
			if wait := r.cfg.Delay - time.Since(first); wait > 0 && r.waiting <= maxWaiting/2 {
				timer.Reset(wait)
				batch = r.hurry(batch[:0])
				r.mu.Unlock()
				for _, e := range batch {
					r.tell(e)
				}
				continue
			}
		}
		first = time.Time{}
		batch, r.queue = append(batch[:0], r.queue...), r.queue[:0]
		r.mu.Unlock()
		unsafe, text := 0, 0 // the events at the end of batch[:i] that were not flushed, and their text
		for i, e := range batch {
			select {
			case <-done:
				r.flush(batch[i-unsafe : i])
				r.untold(batch[i:])
				return
			default:
			}
			switch m := e.(type) {
			case MessageEvent:
				m.Last = i+1 == len(batch) || !isMessage(batch[i+1]) || r.stats.Delivered+uint64(unsafe)+1 == r.cfg.MaxMessages
				r.tell(m)
				unsafe, text = unsafe+1, text+len(m.Text)+relaywire.EntrySize
				if r.cfg.Flush != nil && !m.Last && text < flushEvery {
					continue
				}
			case GapEvent, LogEvent:
				r.tell(e)
				unsafe = 1 // the message before was the Last
			default:
				r.tell(e)
			}
			if !r.flush(batch[i+1-unsafe : i+1]) {
				r.untold(batch[i+1:])
				return
			}
			unsafe, text = 0, 0
		}
		clear(batch)
	}
}

// untold puts events back into the queue, for run to look at in the end.
func (r *Reader) untold(events []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = slices.Concat(events, r.queue)
}

// flush counts events that were told, if they are safe. It returns false if Run has to end then.
func (r *Reader) flush(events []Event) bool {
	if len(events) == 0 {
		return true
	}
	safe, err := len(events), error(nil)
	if r.cfg.Flush != nil {
		if safe, err = r.cfg.Flush(); safe < len(events) && err == nil {
			err = io.ErrShortWrite
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events[:max(0, min(safe, len(events)))] {
		switch e := e.(type) {
		case MessageEvent:
			r.done = e.Seq + 1
			r.stats.Delivered++
		case GapEvent:
			r.done = e.To + 1
			r.stats.Gaps++
			r.stats.Missing += e.Messages()
		case LogEvent:
			r.done = e.Next
		}
	}
	for _, e := range events {
		if isMessage(e) {
			r.waiting--
		}
	}
	if r.up && r.granted < maxWaiting/2 && r.waiting <= maxWaiting/2 {
		r.settle(true) // there is room again
	}
	if !r.unsaid {
		r.unsaid = true
		r.poke()
	}
	if err != nil || r.cfg.MaxMessages > 0 && r.stats.Delivered >= r.cfg.MaxMessages {
		r.fail(err)
		return false
	}
	return true
}

func isMessage(e Event) bool { _, ok := e.(MessageEvent); return ok }

// hurry takes what does not wait for a batch out of the queue, with mu held: what is neither a
// message nor a gap, which have their order.
func (r *Reader) hurry(batch []Event) []Event {
	r.queue = slices.DeleteFunc(r.queue, func(e Event) bool {
		switch e.(type) {
		case MessageEvent, GapEvent, LogEvent:
			return false
		}
		batch = append(batch, e)
		return true
	})
	return batch
}
