package chat_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
)

// A server and two clients, until all are stopped by the context.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server, err := chat.NewServer(chat.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()

	ann, err := chat.Dial(ctx, chat.ClientConfig{Server: server.Addr(), Name: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ann.Close()
	bob, err := chat.Dial(ctx, chat.ClientConfig{
		Server: server.Addr(),
		OnEvent: func(e chat.Event) {
			m, ok := e.(chat.MessageEvent)
			switch {
			case !ok:
			case strings.HasPrefix(m.Text, "* you are"):
				ann.Send("hello")
			case !strings.HasPrefix(m.Text, "* "): // no notice
				fmt.Println(m.Text)
				cancel()
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()
	go ann.Run(ctx)
	fmt.Println(bob.Run(ctx), <-ended)
	// Output:
	// ann: hello
	// <nil> <nil>
}

// A client that cannot connect says what to look at.
func ExampleDial() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := chat.Dial(ctx, chat.ClientConfig{})
	fmt.Println(err)
	// Output: cannot connect to the chat server at 127.0.0.1:8000: is the server running, and are address and port right? (dial tcp 127.0.0.1:8000: operation was canceled)
}

// Everything that an operator does.
func ExampleServer() {
	server, err := chat.NewServer(chat.ServerConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		OnEvent: func(e chat.Event) {
			if m, ok := e.(chat.MessageEvent); ok {
				fmt.Printf("%s: %s\n", m.From, m.Text)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	fmt.Println(server.Say("hello everybody"), len(server.Who()))
	cancel()
	fmt.Println(server.Run(ctx))
	fmt.Println(server.Stats().Said)
	// Output:
	// <nil> 0
	// server: hello everybody
	// <nil>
	// 1
}

// What was sent in two pieces arrives as the messages that it was.
func ExampleReader() {
	sender, receiver := net.Pipe()
	go func() {
		for _, piece := range []string{"first me", "ssage\nsec", "ond message\n"} {
			sender.Write([]byte(piece))
		}
		sender.Close()
	}()
	lines := chat.NewReader(receiver, chat.ReaderConfig{})
	for {
		text, err := lines.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(text)
	}
	// Output:
	// first message
	// second message
	// EOF
}

func ExampleCheckName() {
	fmt.Println(chat.CheckName("ann"))
	fmt.Println(chat.CheckName("server"))
	// Output:
	// <nil>
	// invalid configuration: the name "server" is reserved, or looks like "server", which is
}

func ExampleClean() {
	fmt.Println(chat.Clean("\x1b[31mred\tor not"))
	// Output: �[31mred or not
}
