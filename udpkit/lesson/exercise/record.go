package exercise

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Often says how often, in words.
func Often(times int) string {
	switch times {
	case 0:
		return "not at all"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", times)
}

// Mark is what [CatchUp] asks. The server sends it back.
const Mark = "have you read all?"

// CatchUp returns once a server has read all that was sent to it before, or a second later.
func CatchUp(server net.Addr) {
	conn, err := net.Dial("udp4", server.String())
	if err != nil {
		return // then the record may lack the last ones
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // an error ends the read
	_, _ = conn.Write([]byte(Mark))
	_, _ = conn.Read(make([]byte, len(Mark)))
}

// most bounds a record: this many questions, and the times of this many copies of each.
const most = 100

// Record is what a server has heard: which questions, how often and when. It judges a client that
// has to ask again: what reaches the server cannot be made up. The zero value is empty. Its methods
// may be called by any goroutine.
type Record struct {
	mu        sync.Mutex
	questions map[string]*question
}

// question is what is known of one.
type question struct {
	heard    []time.Time
	times    int
	replied  bool
	needless int // copies that came after a reply had been sent
}

// Heard notes that a question has come, and returns how often it has come by now.
func (r *Record) Heard(text string) (times int) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.questions[text]
	if q == nil {
		if len(r.questions) == most {
			return 1 // nobody asks for it
		}
		if r.questions == nil {
			r.questions = make(map[string]*question)
		}
		q = &question{}
		r.questions[text] = q
	}
	if q.times++; q.times <= most {
		q.heard = append(q.heard, now)
	}
	if q.replied {
		q.needless++
	}
	return q.times
}

// Replies notes that a reply to a question is about to be sent.
func (r *Record) Replies(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.questions[text]; q != nil {
		q.replied = true
	}
}

// Times returns how often a question has come, and whether a reply was sent.
func (r *Record) Times(text string) (times int, replied bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.questions[text]; q != nil {
		return q.times, q.replied
	}
	return 0, false
}

// Hasty says what is wrong with a client that did not wait for the reply before it asked again; ""
// if it did. It began to ask at the time began and has to wait for wait. Four fifths of that are
// enough: a busy machine may let a copy come late, but never early.
func (r *Record) Hasty(text string, began time.Time, wait time.Duration) (missing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.questions[text]
	if q == nil {
		return ""
	}
	for i := len(q.heard) - 1; i > 0; i-- {
		if q.heard[i].Sub(began) < time.Duration(i)*wait*4/5 {
			return fmt.Sprintf("%q came %d times within %v. Wait %v for the reply; only if it has not come, ask again",
				text, i+1, q.heard[i].Sub(q.heard[0]).Round(time.Microsecond), wait)
		}
	}
	return ""
}

// Slow says what is wrong with a client that waits far longer than wait before it asks again, each
// time that it does so; "" if it does not. Once in time is enough: a busy machine lets copies come
// late.
func (r *Record) Slow(wait time.Duration) (missing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	shortest := time.Duration(0)
	for _, q := range r.questions {
		for i := 1; i < len(q.heard); i++ {
			if pause := q.heard[i].Sub(q.heard[i-1]); shortest == 0 || pause < shortest {
				shortest = pause
			}
		}
	}
	if shortest <= 2*wait {
		return ""
	}
	return fmt.Sprintf("no question was asked again sooner than after %v: wait %v", shortest.Round(time.Millisecond), wait)
}

// Needless says what is wrong with a client that keeps asking although the reply has been sent; ""
// if it does not. A few copies are forgiven: where the machine is busy, a reply may come too late.
func (r *Record) Needless(forgiven int) (missing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := 0
	for _, q := range r.questions {
		all += q.needless
	}
	if all <= forgiven {
		return ""
	}
	return fmt.Sprintf("%d of the questions came after their replies had been sent. Read while you wait: whoever has the reply need not ask again", all)
}
