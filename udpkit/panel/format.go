package panel

import (
	"fmt"
	"runtime"
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

// smallBuffer tells whether the system granted less than half of the receive
// buffer that was asked for.
func smallBuffer(granted int) bool { return granted > 0 && granted < udpkit.ReadBufferSize/2 }

// buffer returns the size of a receive buffer, and what to do if it is small; ""
// if the system did not tell.
func buffer(granted int) string {
	if !smallBuffer(granted) {
		return size(granted)
	}
	text := size(granted) + " of the " + size(udpkit.ReadBufferSize) + " asked for"
	switch runtime.GOOS {
	case "linux":
		text += ": raise net.core.rmem_max"
	case "darwin", "freebsd", "dragonfly":
		text += ": raise kern.ipc.maxsockbuf"
	}
	return text
}

// size returns a number of bytes, "" for 0.
func size(n int) string {
	switch {
	case n == 0:
		return ""
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20))
}

// plural returns the number and the noun: 1 message, 2 messages.
func plural[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
