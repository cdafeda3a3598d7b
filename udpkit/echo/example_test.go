package echo_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
)

// A server and a client that sends it lines. Port 0 keeps the example to itself.
func Example() {
	server, err := echo.NewServer(echo.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()

	client, err := echo.NewClient(echo.ClientConfig{Server: server.Addr()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	keyboard := strings.NewReader("Hello\nHello again\nEXIT\nnever sent\n")
	err = client.Lines(ctx, keyboard, func(line string, r echo.Reply, err error) error {
		fmt.Printf("%s -> %s %v\n", line, r.Payload, err)
		return nil
	})
	fmt.Println(client.Stats().Answered, err)
	cancel()
	fmt.Println(<-done)
	// Output:
	// Hello -> Hello <nil>
	// Hello again -> Hello again <nil>
	// 2 <nil>
	// <nil>
}

func ExampleSend() {
	responder, err := echo.NewResponder(echo.ResponderConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- responder.Run(ctx) }()

	reply, err := echo.Send(ctx, responder.Addr(), []byte("Hello, Server!"), time.Second)
	fmt.Printf("%s %v\n", reply.Payload, err)
	cancel()
	fmt.Println(<-done)
	responder.Close()

	_, err = echo.Send(context.Background(), responder.Addr(), []byte("Still there?"), time.Second)
	fmt.Println(errors.Is(err, echo.ErrNoServer) || errors.Is(err, echo.ErrTimeout))
	// Output:
	// Message received <nil>
	// <nil>
	// true
}

// Five clients at once, each of which makes 20 ms of work: the last one waits for 100 ms if the
// server takes one after the other, and else for 20.
func ExampleLoad() {
	for _, mode := range echo.Modes() {
		responder, err := echo.NewResponder(echo.ResponderConfig{
			Listen: netip.MustParseAddrPort("127.0.0.1:0"),
			Mode:   mode,
			Work:   20 * time.Millisecond,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- responder.Run(ctx) }()
		exchanges, err := echo.Load(ctx, responder.Addr(), 5, 10*time.Second)
		var sent, answered []time.Time
		for _, e := range exchanges {
			sent, answered = append(sent, e.Sent), append(answered, e.Answered)
		}
		// From the first question to the last answer.
		took := slices.MaxFunc(answered, time.Time.Compare).Sub(slices.MinFunc(sent, time.Time.Compare))
		fmt.Println(mode, err, took >= 20*time.Millisecond, mode == echo.Concurrent || took >= 100*time.Millisecond)
		cancel()
		<-done
		responder.Close()
	}
	// Output:
	// sequential <nil> true true
	// concurrent <nil> true true
}

func ExampleParseMode() {
	fmt.Println(echo.ParseMode("Sequential"))
	fmt.Println(echo.ParseMode("quantum"))
	// Output:
	// sequential <nil>
	//  invalid configuration: unknown mode "quantum": choose sequential or concurrent
}
