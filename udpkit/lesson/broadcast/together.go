package broadcast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// Listen opens a UDP socket on a port of all IPv4 interfaces that it shares with every other socket
// opened like this; port 0 takes a free one. A broadcast reaches all of them. The caller closes it.
func Listen(ctx context.Context, port uint16) (*net.UDPConn, error) {
	return udp.Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), port), udp.Options{Reuse: true})
}

// While runs a function, and others beside it until it has returned: then their context ends. It
// waits for all, and returns their errors joined.
func While(ctx context.Context, first func(context.Context) error, others ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	errs := make([]error, len(others)+1)
	var running sync.WaitGroup
	for i, other := range others {
		running.Go(func() { errs[i+1] = other(ctx) })
	}
	errs[0] = first(ctx)
	cancel()
	running.Wait()
	return errors.Join(errs...)
}

// Tell returns a function for OnEvent of a client or a server, which prints a line for what the
// lesson is about: messages, acknowledgements, gaps, and what was refused.
func Tell(who string) func(udpkit.Event) {
	return func(e udpkit.Event) {
		if line := tell(e); line != "" {
			fmt.Printf("%-7s %s\n", who, line) // in one piece, whoever else prints
		}
	}
}

func tell(e udpkit.Event) string {
	switch e := e.(type) {
	case udpkit.SentEvent:
		return fmt.Sprintf("has sent message %d, %s", e.MessageID, panel.Printable(string(e.State)))
	case udpkit.AckEvent:
		return fmt.Sprintf("hears that %s has message %d", panel.Printable(e.ClientID), e.MessageID)
	case udpkit.MessageEvent:
		return fmt.Sprintf("has message %d, %s", e.MessageID, panel.Printable(string(e.State)))
	case udpkit.GapEvent:
		return fmt.Sprintf("misses messages %d to %d", e.From, e.To)
	case udpkit.RefusedEvent:
		return "refuses a datagram: " + e.Reason
	}
	return ""
}
