package measure

import "time"

// Rate is how often something comes, over the last 10 to 20 s, or between the last two if that is
// longer. The zero value is ready.
type Rate struct {
	last  mark
	marks [2]mark // it is counted from the first
}

// mark is how many had come at a time.
type mark struct {
	at    time.Time
	count uint64
}

// markAfter is the least time between two marks.
const markAfter = 10 * time.Second

// Note takes the time when one has come.
func (r *Rate) Note(now time.Time) {
	r.last = mark{now, r.last.count + 1}
	switch {
	case r.last.count == 1:
		r.marks = [2]mark{r.last, r.last}
	case now.Sub(r.marks[1].at) >= markAfter:
		r.marks = [2]mark{r.marks[1], r.last}
	}
}

// PerSecond returns how many come in a second, 0 if that is not known yet.
func (r *Rate) PerSecond() float64 {
	elapsed := r.last.at.Sub(r.marks[0].at)
	if elapsed <= 0 {
		return 0
	}
	return float64(r.last.count-r.marks[0].count) / elapsed.Seconds()
}

// Jitter is how much a time varies from one to the next, smoothed as in RFC 3550, 6.4.1. The zero
// value is ready.
type Jitter struct {
	last  time.Duration
	known bool
	mean  float64
}

// Note takes the next time. One that differs by more than an hour, as by a clock that was set, does
// not count.
func (j *Jitter) Note(d time.Duration) {
	by := float64(d) - float64(j.last)
	by = max(by, -by)
	if j.known && by <= float64(time.Hour) {
		j.mean += (by - j.mean) / 16
	}
	j.last, j.known = d, true
}

// Mean returns the smoothed difference.
func (j *Jitter) Mean() time.Duration { return time.Duration(j.mean) }
