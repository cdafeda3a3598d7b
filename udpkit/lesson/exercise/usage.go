package exercise

import (
	"fmt"
	"time"
)

// Usage is what a function has cost so far, without what the goroutines that it starts cost.
type Usage struct {
	// CPU is the processor time, in its own code and in the system's on its behalf.
	CPU time.Duration
	// WakeUps is how often it has gone to sleep to be woken again: by a datagram, a timer, another
	// goroutine.
	WakeUps int64
}

// Usage returns what the function has cost so far. ok is false once it has ended, and on systems
// that do not tell it of one thread, which are all but Linux.
func (c *Call) Usage() (used Usage, ok bool) {
	if thread := c.thread.Load(); thread > 0 {
		return usageOf(thread)
	}
	return Usage{}, false
}

// Silence is a time in which a function has nothing to do.
type Silence struct {
	call  *Call
	began time.Time
	used  Usage
	ok    bool
}

// Silence begins one.
func (c *Call) Silence() Silence {
	used, ok := c.Usage()
	return Silence{c, time.Now(), used, ok}
}

// Disturbed says what the function has done in the silence so far if it may wake up so often a
// second, and should sleep otherwise; "" if it has slept, or the system does not tell. It forgives
// three times as many, and a fifth of a processor.
func (s Silence) Disturbed(perSecond int) (missing string) {
	used, ok := s.call.Usage()
	if !ok || !s.ok {
		return ""
	}
	took := time.Since(s.began)
	cpu, wakeUps := used.CPU-s.used.CPU, used.WakeUps-s.used.WakeUps
	switch {
	case cpu > took/5:
		return fmt.Sprintf("in %v of silence it kept a processor busy for %v", took.Round(time.Millisecond), cpu.Round(time.Millisecond))
	case wakeUps > int64(4*float64(perSecond)*took.Seconds()):
		return fmt.Sprintf("in %v of silence it woke up %d times", took.Round(time.Millisecond), wakeUps)
	}
	return ""
}
