// Package format writes numbers, times and sizes as all panels show them.
package format

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Frames are the pictures of a waiting indicator, in turn.
var Frames = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// Frame returns the picture for now: it turns around once a second.
func Frame() string { return Frames[time.Now().UnixMilli()/100%int64(len(Frames))] }

// Short returns a duration with three significant digits: 412µs, 1.24ms, 3.2s; from a minute on in
// seconds.
func Short(d time.Duration) string {
	unit := time.Duration(1)
	for ; d/unit >= 1000 || d/unit <= -1000; unit *= 10 {
	}
	if d.Abs() >= time.Minute {
		unit = time.Second
	}
	return d.Round(unit).String()
}

// Clock returns the local time of day, with the date unless it is today's.
func Clock(t time.Time) string {
	t = t.Local()
	if time.Now().Format(time.DateOnly) != t.Format(time.DateOnly) {
		return t.Format(time.DateTime)
	}
	return t.Format(time.TimeOnly)
}

// Millis returns the local time of day with milliseconds.
func Millis(t time.Time) string { return t.Local().Format("15:04:05.000") }

// Tenths returns a waiting time that does not jitter in width while it counts.
func Tenths(d time.Duration) string {
	if d = d.Round(100 * time.Millisecond); d >= time.Minute {
		return d.Truncate(time.Second).String()
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// Ago returns for how long something has been, with tenths of a second below a minute.
func Ago(now, then time.Time) string { return Tenths(max(0, now.Sub(then))) }

// Number returns a number with commas between thousands.
func Number[N int | uint64](n N) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Plural returns the number and the noun: 1 message, 2 messages.
func Plural[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// Rate formats how many come in a second; 0, as long as that is not known, is a dash.
func Rate(perSecond float64) string {
	switch {
	case perSecond <= 0:
		return "-"
	case perSecond >= 1000:
		return Number(int(perSecond))
	}
	return fmt.Sprintf("%.3g", perSecond)
}

// Jitter formats how much a time varies; 0, as long as that is not known, is a dash.
func Jitter(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return Short(d)
}

// NotZero returns the text, "" if the number that it is about is 0.
func NotZero(n uint64, text string) string {
	if n == 0 {
		return ""
	}
	return text
}

// Summary returns labels and values in turn as lines, each after a newline, with the values from
// that column on. An empty value is left out.
func Summary(column int, pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(&b, "\n  %-*s %s", column-3, pairs[i], pairs[i+1])
		}
	}
	return b.String()
}

// Bytes returns a size in B, KiB, MiB or GiB, with three significant digits, or four from 1000 on.
func Bytes[N int | uint64](n N) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for ; size >= 1<<10 && unit < 2; unit++ {
		size /= 1 << 10
	}
	digits := 3
	if size >= 1000 {
		digits = 4
	}
	return fmt.Sprintf("%s %ciB", strconv.FormatFloat(size, 'g', digits, 64), "KMG"[unit])
}

// Percent returns a share of 1 with this many digits behind the point: 12 %, < 0.01 %.
func Percent(share float64, digits int) string {
	if least := math.Pow10(-digits); 0 < share && 100*share < least {
		return fmt.Sprintf("< %.*f %%", digits, least)
	}
	return fmt.Sprintf("%.*f %%", digits, 100*share)
}

// Reasons lists counters in a fixed order behind a label; "" if there are none.
func Reasons[R ~string](counts map[R]uint64, label string) string {
	list := make([]string, 0, len(counts))
	for r, n := range counts {
		list = append(list, fmt.Sprintf("%d %s", n, r))
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return label + strings.Join(list, ", ")
}

// Reason returns what an error says to a person: of what the net package has to say only the
// reason, without the names of system calls and the sockets' addresses.
func Reason(err error) string {
	text := err.Error()
	if op := new(net.OpError); errors.As(err, &op) && op.Err != nil {
		reason := op.Err
		if call := new(os.SyscallError); errors.As(reason, &call) {
			reason = call.Err
		}
		text = strings.ReplaceAll(text, op.Error(), reason.Error())
	}
	return text
}

// Newest returns the last elements of a list, the newest, as many as there is room for.
func Newest[T any](list []T, most int) []T { return list[max(0, len(list)-most):] }

// Ongoing returns a list of failures that go on, one for each thing that fails, after one more was
// told: the newest is the last one. It is a new list.
func Ongoing[E any](list []E, e E, ended bool, same func(was E) bool) []E {
	list = slices.DeleteFunc(slices.Clone(list), same)
	if !ended {
		list = append(list, e)
	}
	return list
}
