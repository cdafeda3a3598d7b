package udpkit_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// Events as records of log/slog. A JSON handler writes their fields as a Journal does.
func ExampleClientConfig_slog() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{} // the events have times of their own
			}
			return a
		},
	}))
	cfg := udpkit.ClientConfig{OnEvent: func(e udpkit.Event) {
		level := slog.LevelInfo
		switch e.(type) {
		case udpkit.GapEvent, udpkit.TimeoutEvent:
			level = slog.LevelWarn
		case udpkit.ErrorEvent:
			level = slog.LevelError
		}
		logger.Log(context.Background(), level, e.Kind(), "event", e)
	}}

	// What a client would call while it runs.
	cfg.OnEvent(udpkit.GapEvent{Server: netip.MustParseAddrPort("192.0.2.7:50312"), From: 5, To: 6})
	// Output: {"level":"WARN","msg":"gap","event":{"server":"192.0.2.7:50312","from":5,"to":6,"at":"0001-01-01T00:00:00Z"}}
}
