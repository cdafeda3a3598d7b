package udpkit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// A server and a client on one machine. Port 0 and 127.255.255.255 keep the example to itself;
// without them the server broadcasts to every network.
func Example() {
	ctx := context.Background()
	client, err := udpkit.NewClient(udpkit.ClientConfig{
		ID:          "ann",
		Listen:      netip.MustParseAddrPort("0.0.0.0:0"),
		MaxMessages: 4,
		OnEvent: func(e udpkit.Event) {
			if m, ok := e.(udpkit.MessageEvent); ok {
				fmt.Println(m.MessageID, m.State)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	server, err := udpkit.NewServer(udpkit.ServerConfig{
		Targets:     udpkit.ListTargets(netip.MustParseAddrPort("127.255.255.255:0")),
		Port:        client.Addr().Port(),
		Interval:    10 * time.Millisecond,
		MaxMessages: 4,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	done := make(chan error)
	go func() { done <- client.Run(ctx) }()
	if err := server.Run(ctx); err != nil {
		fmt.Println(err)
	}
	if err := <-done; err != nil {
		fmt.Println(err)
	}
	for _, c := range server.Clients() {
		fmt.Printf("%s acknowledged %d, lost %.0f %%\n", c.ID, c.Acks, 100*c.Loss())
	}
	fmt.Println("missed:", client.Stats().Missed)
	// Output:
	// 1 ACTIVE
	// 2 STANDBY
	// 3 MAINTENANCE
	// 4 ERROR
	// ann acknowledged 4, lost 0 %
	// missed: 0
}

// A message can carry the sender's own part. A client that does not know it ignores it.
func ExampleServer_SetData() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var server *udpkit.Server
	client, err := udpkit.NewClient(udpkit.ClientConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		OnEvent: func(e udpkit.Event) {
			if m, ok := e.(udpkit.MessageEvent); ok && m.Epoch == server.Epoch() {
				fmt.Printf("%s\n", m.Data)
				cancel()
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	server, err = udpkit.NewServer(udpkit.ServerConfig{Targets: udpkit.ListTargets(client.Addr())})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	fmt.Println(server.SetData([]byte(`{"load": 0.5, "disks": [1, 2]}`)))
	done := make(chan error)
	go func() { done <- client.Run(ctx) }()
	fmt.Println(server.Run(ctx), <-done)
	// Output:
	// <nil>
	// {"load":0.5,"disks":[1,2]}
	// <nil> <nil>
}

func ExampleDecodeMessage() {
	m, err := udpkit.DecodeMessage([]byte(`{"timestamp":"2026-11-21T12:00:00","state":"ACTIVE","message_id":7}`))
	fmt.Println(m.ID, m.State, err)
	_, err = udpkit.DecodeMessage([]byte(`{"timestamp":"2026-11-21T12:00:00","state":"ACTIVE","state":"ERROR","message_id":7}`))
	fmt.Println(err, errors.Is(err, udpkit.ErrMalformed))
	// Output:
	// 7 ACTIVE <nil>
	// malformed datagram: a key is there twice true
}

func ExampleAppendAck() {
	text, err := udpkit.AppendAck(nil, udpkit.Ack{ClientID: "ann", MessageID: 7})
	fmt.Printf("%s %v\n", text, err)
	ack, err := udpkit.DecodeAck(text)
	fmt.Println(ack.ClientID, ack.MessageID, err)
	// Output:
	// Client ann received message 7 <nil>
	// ann 7 <nil>
}

func ExampleParseTargets() {
	targets, err := udpkit.ParseTargets("192.168.1.255,10.0.0.7:5000,limited")
	if err != nil {
		fmt.Println(err)
		return
	}
	addrs, err := targets.Resolve(37020)
	fmt.Println(addrs, err)
	// Output: [192.168.1.255:37020 10.0.0.7:5000 255.255.255.255:37020] <nil>
}

func ExampleReadJournal() {
	var file bytes.Buffer
	journal := udpkit.NewJournal(&file) // a client's OnEvent writes to it
	server := netip.MustParseAddrPort("10.0.0.1:5000")
	for _, e := range []udpkit.Event{udpkit.MessageEvent{MessageID: 1, State: udpkit.StateActive, Server: server}, udpkit.GapEvent{Server: server, From: 2, To: 4}} {
		if err := journal.Write(e); err != nil {
			fmt.Println(err)
		}
	}
	for e, err := range udpkit.ReadJournal(&file) {
		switch e := e.(type) {
		case udpkit.MessageEvent:
			fmt.Println("message", e.MessageID, e.State, e.Server)
		case udpkit.GapEvent:
			fmt.Println("missing", e.From, "to", e.To)
		case nil:
			fmt.Println(err)
		}
	}
	// Output:
	// message 1 ACTIVE 10.0.0.1:5000
	// missing 2 to 4
}
