package panel

import (
	"fmt"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// short returns a duration with three significant digits: 412µs, 1.24ms, 3.2s.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for ; d/unit >= 1000 || d/unit <= -1000; unit *= 10 {
	}
	if d.Abs() >= time.Minute {
		unit = time.Second
	}
	return d.Round(unit).String()
}

// tenths returns a waiting time that does not jitter in width while it counts.
func tenths(d time.Duration) string {
	if d = d.Round(100 * time.Millisecond); d >= time.Minute {
		return d.Truncate(time.Second).String()
	}
	return time.Time{}.Add(d).Format("5.0s")
}

// clock returns the time of the day, as it is here.
func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// timestamp returns a server's timestamp as the time of the day if it is of the
// same day as the receipt, and else as it was sent.
func timestamp(e udpkit.MessageEvent) string {
	sent, ok := udpkit.Message{Timestamp: e.Timestamp}.Time()
	if ok && sent.Local().Format(time.DateOnly) == e.ReceivedAt.Local().Format(time.DateOnly) {
		return clock(sent)
	}
	return Printable(e.Timestamp)
}

// plural returns the number and the noun: 1 message, 2 messages.
func plural[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
