package relay_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// A server, a writer and a reader. Port 0 keeps the example to itself.
func Example() {
	server, err := relay.NewServer(relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { fmt.Println("server:", server.Run(ctx)) })

	writer, err := relay.NewWriter(relay.WriterConfig{Server: server.Addr(), Username: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer writer.Close()
	writing, stop := context.WithCancel(ctx)
	written := make(chan error)
	go func() { written <- writer.Run(writing) }()
	for _, text := range []string{"one", "two", "three"} {
		if err := writer.Send(ctx, text); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("stored:", writer.Flush(ctx))
	stop()
	<-written

	reader, err := relay.NewReader(relay.ReaderConfig{
		Server: server.Addr(), Username: "bob", MaxMessages: 3,
		OnEvent: func(e relay.Event) {
			if m, ok := e.(relay.MessageEvent); ok {
				fmt.Println(m.Seq, m.Username, m.Text)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	fmt.Println("reader:", reader.Run(ctx))
	cancel()
	running.Wait()
	// Output:
	// stored: <nil>
	// 1 ann one
	// 2 ann two
	// 3 ann three
	// reader: <nil>
	// server: <nil>
}
