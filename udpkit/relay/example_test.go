package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

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

	writer, err := relay.NewWriter(relay.WriterConfig{Servers: []string{server.Addr().String()}, Username: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer writer.Close()
	writing, stop := context.WithCancel(ctx)
	written := make(chan error)
	go func() { written <- writer.Run(writing) }()
	for _, text := range []string{"one", "two", "three"} {
		if _, err := writer.Send(ctx, text); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("stored:", writer.Flush(ctx))
	stop()
	<-written

	reader, err := relay.NewReader(relay.ReaderConfig{
		Servers: []string{server.Addr().String()}, Username: "bob", MaxMessages: 3,
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

func ExampleCheckUsername() {
	fmt.Println(relay.CheckUsername("ann-1"))
	err := relay.CheckUsername("ann smith")
	fmt.Println(err, errors.Is(err, relay.ErrConfig))
	// Output:
	// <nil>
	// invalid configuration: the name "ann smith": a name is a letter, then letters, digits, - and _ (a to z only) true
}

// A line that is too long is refused before it is sent.
func ExampleCheckText() {
	fmt.Println(relay.CheckText("hello"))
	err := relay.CheckText(strings.Repeat("x", relay.MaxText+1))
	fmt.Println(err, errors.Is(err, relay.ErrTextTooLong))
	fmt.Println(relay.CheckText("\xff"))
	// Output:
	// <nil>
	// invalid configuration: text too long: 1001 bytes, a message has at most 1000 true
	// invalid configuration: the text is not UTF-8
}

func ExampleParseFrom() {
	from, err := relay.ParseFrom("start")
	fmt.Println(from == relay.FromStart, err)
	_, err = relay.ParseFrom("yesterday")
	fmt.Println(err)
	// Output:
	// true <nil>
	// invalid configuration: a reader cannot begin at "yesterday", choose last, start, now or the number of a message
}

// A log that keeps three messages. Servers that are given the same log are one relay; here it is
// used without any.
func ExampleNewMemory() {
	log := relay.NewMemory(3)
	ctx := context.Background()
	run := relay.NewID()
	for i := range 5 {
		seqs, err := log.Append(ctx, []relay.Record{{Run: run, Number: uint64(i + 1), Username: "ann", Text: fmt.Sprint("line ", i+1)}})
		if err != nil {
			fmt.Println(err)
		}
		fmt.Print(seqs, " ")
	}
	seqs, err := log.Append(ctx, []relay.Record{{Run: run, Number: 5, Username: "ann", Text: "line 5"}})
	fmt.Println("and once more:", seqs, err)
	fmt.Println(log.Bounds())
	messages, err := log.Read(ctx, 1, 10)
	for _, m := range messages {
		fmt.Println(m.Seq, m.Username, m.Text)
	}
	fmt.Println(err)
	// Output:
	// [1] [2] [3] [4] [5] and once more: [5] <nil>
	// 3 5
	// 3 ann line 3
	// 4 ann line 4
	// 5 ann line 5
	// <nil>
}

// A server, until its context ends.
func ExampleNewServer() {
	server, err := relay.NewServer(relay.ServerConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), // port 0: a free one
		OnEvent: func(e relay.Event) {
			fmt.Println(e.Kind())
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // in a program: signal.NotifyContext
	fmt.Println(server.Run(ctx), len(server.Clients()), server.Stats().Last)
	// Output:
	// start
	// summary
	// <nil> 0 0
}

// What is not stored when the writer ends is lost, and is known.
func ExampleWriter_Flush() {
	server, err := relay.NewServer(relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close() // it never runs: nobody answers
	writer, err := relay.NewWriter(relay.WriterConfig{Servers: []string{server.Addr().String()}, Username: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer writer.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- writer.Run(ctx) }()
	number, err := writer.Send(ctx, "hello")
	fmt.Println("sent:", number, err)
	fmt.Println("stored:", writer.Flush(ctx))
	fmt.Println("ended:", <-ended)
	fmt.Println("not stored:", writer.Stats().Pending)
	// Output:
	// sent: 1 <nil>
	// stored: context deadline exceeded
	// ended: <nil>
	// not stored: 1
}

// A reader that begins with the oldest message, and gets what comes within a tenth of a second
// together.
func ExampleNewReader() {
	log := relay.NewMemory(0)
	server, err := relay.NewServer(relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Log: log})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	for i, text := range []string{"one", "two", "three"} {
		if _, err := log.Append(ctx, []relay.Record{{Run: 1, Number: uint64(i + 1), Username: "ann", Text: text}}); err != nil {
			fmt.Println(err)
		}
	}
	var batch []string
	reader, err := relay.NewReader(relay.ReaderConfig{
		Servers: []string{server.Addr().String()}, Username: "bob", From: relay.FromStart, Delay: 100 * time.Millisecond, MaxMessages: 3,
		OnEvent: func(e relay.Event) {
			switch e := e.(type) {
			case relay.MessageEvent:
				if batch = append(batch, e.Text); e.Last {
					fmt.Println(strings.Join(batch, ", "))
					batch = nil
				}
			case relay.GapEvent:
				fmt.Println(e.Messages(), "messages are lost")
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	fmt.Println(reader.Run(ctx), reader.Stats().Delivered)
	cancel()
	fmt.Println(<-ended)
	// Output:
	// one, two, three
	// <nil> 3
	// <nil>
}
