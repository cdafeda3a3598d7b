package broadcastpanel_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// running is a role that runs beside the test.
type running struct {
	out    *paneltest.Buffer
	events chan udpkit.Event
	stop   context.CancelFunc
	err    chan error
}

func begin(t *testing.T, run func(ctx context.Context, on func(udpkit.Event), out *paneltest.Buffer) error) *running {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	r := &running{out: new(paneltest.Buffer), events: make(chan udpkit.Event, 1000), stop: stop, err: make(chan error, 1)}
	go func() { r.err <- run(ctx, r.on, r.out) }()
	t.Cleanup(stop)
	return r
}

// on keeps the first events; a test that wants more takes them as they come.
func (r *running) on(e udpkit.Event) {
	select {
	case r.events <- e:
	default:
	}
}

// wait returns the next event of a type.
func wait[E udpkit.Event](t *testing.T, r *running) E {
	t.Helper()
	for {
		select {
		case e := <-r.events:
			if e, ok := e.(E); ok {
				return e
			}
		case err := <-r.err:
			var want E
			require.FailNowf(t, "ended", "waiting for a %s: %v\n%s", want.Kind(), err, r.out)
		case <-time.After(10 * time.Second):
			var want E
			require.FailNowf(t, "nothing", "waiting for a %s\n%s", want.Kind(), r.out)
		}
	}
}

// end interrupts the role and returns what it showed.
func (r *running) end(t *testing.T) string {
	t.Helper()
	r.stop()
	require.NoError(t, <-r.err)
	return r.out.String()
}

// startClient runs a client on a free port of the loopback interface, and returns where a server
// reaches it.
func startClient(t *testing.T, cfg udpkit.ClientConfig, opt broadcastpanel.Options) (*running, udpkit.Targets) {
	t.Helper()
	cfg.Listen = netip.AddrPortFrom(loopback, 0)
	r := begin(t, func(ctx context.Context, on func(udpkit.Event), out *paneltest.Buffer) error {
		cfg.OnEvent = on
		if opt.Out == nil {
			opt.Out = out
		}
		return broadcastpanel.Client(ctx, cfg, opt)
	})
	return r, udpkit.ListTargets(wait[udpkit.StartEvent](t, r).Listen)
}

func startServer(t *testing.T, cfg udpkit.ServerConfig, opt broadcastpanel.Options) *running {
	t.Helper()
	cfg.Listen = netip.AddrPortFrom(loopback, 0)
	return begin(t, func(ctx context.Context, on func(udpkit.Event), out *paneltest.Buffer) error {
		cfg.OnEvent = on
		if opt.Out == nil {
			opt.Out = out
		}
		return broadcastpanel.Server(ctx, cfg, opt)
	})
}
