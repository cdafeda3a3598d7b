package broadcastpanel

import (
	"fmt"
	"runtime"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// timestamp returns a server's timestamp as the time of the day if it is of the same day as the
// receipt, and else as it was sent.
func timestamp(e udpkit.MessageEvent) string {
	sent, ok := udpkit.Message{Timestamp: e.Timestamp}.Time()
	if ok && sent.Local().Format(time.DateOnly) == e.ReceivedAt.Local().Format(time.DateOnly) {
		return format.Millis(sent)
	}
	return panel.Printable(e.Timestamp)
}

// data returns the beginning of what a server's message carries of its own.
func data(e udpkit.MessageEvent) string {
	return console.Cut(panel.Printable(string(e.Data)), 80)
}

// latency returns how long a message was under way, as far as the clocks tell; "" if its timestamp
// could not be read.
func latency(e udpkit.MessageEvent) string {
	switch {
	case e.Clock.Error > 0:
		return format.Short(e.Latency) + " ± " + format.Short(e.Clock.Error)
	case e.Latency != 0:
		return format.Short(e.Latency) + " if both clocks agree"
	}
	return ""
}

// apart reports whether the clocks of a message's server and of the client are known to differ.
func apart(e udpkit.MessageEvent) bool { return e.Clock.Ahead.Abs() > e.Clock.Error }

// clocks says how both clocks differ.
func clocks(e udpkit.MessageEvent) string {
	switch {
	case apart(e):
		return "clocks " + format.Short(e.Clock.Ahead.Abs()) + " apart"
	case e.Clock.Error > 0:
		return "clocks agree"
	}
	return "clocks not compared"
}

// percent returns a part, from 0 to 1.
func percent(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) }

// smallBuffer reports whether the system granted less than half of the receive buffer that was
// asked for.
func smallBuffer(granted int) bool { return granted > 0 && granted < udpkit.ReadBufferSize/2 }

// buffer returns the size of a receive buffer, and what to do if it is small; "" if the system did
// not tell.
func buffer(granted int) string {
	switch {
	case granted == 0:
		return ""
	case !smallBuffer(granted):
		return format.Bytes(granted)
	}
	text := format.Bytes(granted) + " of the " + format.Bytes(udpkit.ReadBufferSize) + " asked for"
	switch runtime.GOOS {
	case "linux":
		text += ": raise net.core.rmem_max"
	case "darwin", "freebsd", "dragonfly":
		text += ": raise kern.ipc.maxsockbuf"
	}
	return text
}
