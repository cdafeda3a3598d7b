package relaypanel_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
)

// A server, a writer with two lines to write, and a reader. Here nobody looks on; in a notebook the
// zero value of Options shows each as a live panel.
func Example() {
	nobody := relaypanel.Options{Out: io.Discard}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started, ended := make(chan netip.AddrPort, 1), make(chan error)
	go func() {
		ended <- relaypanel.Server(ctx, relay.ServerConfig{
			Listen: netip.MustParseAddrPort("127.0.0.1:0"),
			OnEvent: func(e relay.Event) {
				if e, ok := e.(relay.StartEvent); ok {
					started <- e.Local
				}
			},
		}, nobody)
	}()
	server := <-started

	err := relaypanel.Writer(ctx, relay.WriterConfig{Servers: []string{server.String()}, Username: "ann"}, relaypanel.Options{Out: io.Discard, Say: []string{"hello", "goodbye"}})
	fmt.Println("writer:", err)
	err = relaypanel.Reader(ctx, relay.ReaderConfig{
		Servers: []string{server.String()}, Username: "bob", MaxMessages: 2,
		OnEvent: func(e relay.Event) {
			if m, ok := e.(relay.MessageEvent); ok {
				fmt.Println(m.Seq, m.Username, m.Text)
			}
		},
	}, nobody)
	fmt.Println("reader:", err)
	cancel()
	fmt.Println("server:", <-ended)
	// Output:
	// writer: <nil>
	// 1 ann hello
	// 2 ann goodbye
	// reader: <nil>
	// server: <nil>
}
