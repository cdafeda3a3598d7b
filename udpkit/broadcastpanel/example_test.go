package broadcastpanel_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// A server, in a terminal, to the clients on this machine only.
func ExampleServer() {
	targets, err := udpkit.ParseTargets("127.255.255.255:37999")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := panel.Interrupt()
	defer stop()
	count := 0
	err = broadcastpanel.Server(ctx, udpkit.ServerConfig{
		Targets:     targets,
		MaxMessages: 1,
		AckWait:     1, // nobody listens: do not wait for answers
		OnEvent:     func(udpkit.Event) { count++ },
	}, broadcastpanel.Options{Out: new(paneltest.Buffer)})
	fmt.Println(count, "events:", "start, sent, summary;", "error:", err)
	// Output: 3 events: start, sent, summary; error: <nil>
}

// A client that is told to end at once.
func ExampleClient() {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	out := new(paneltest.Buffer)
	err := broadcastpanel.Client(ctx, udpkit.ClientConfig{
		ID:     "example",
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
	}, broadcastpanel.Options{Out: out})
	fmt.Println("shown:", out.String() != "", "error:", err)
	// Output: shown: true error: <nil>
}
