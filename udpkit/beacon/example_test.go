package beacon_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
)

// Two beacons on one machine find each other. The port and the target keep the example to itself;
// without them they would be heard on every network.
func Example() {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	const port = 23400
	loopback := []netip.AddrPort{netip.MustParseAddrPort("127.255.255.255:0")}

	ann, err := beacon.New(beacon.Config{
		Name: "ann", Port: port, Targets: loopback, Interval: 10 * time.Millisecond,
		OnEvent: func(e beacon.Event) {
			if e, ok := e.(beacon.PeerEvent); ok {
				fmt.Println(e.Peer.Name, e.Change)
				if e.Change == beacon.Left {
					stop()
				}
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ann.Close()
	bob, err := beacon.New(beacon.Config{
		Name: "bob", Port: port, Targets: loopback, Interval: 10 * time.Millisecond, MaxRuntime: 100 * time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()

	done := make(chan error)
	go func() { done <- bob.Run(ctx) }()
	if err := ann.Run(ctx); err != nil {
		fmt.Println(err)
	}
	if err := <-done; err != nil {
		fmt.Println(err)
	}
	for _, p := range bob.Peers() {
		fmt.Println("bob knows", p.Name, "at", p.Addr.Addr())
	}
	// Output:
	// bob appeared
	// bob left
	// bob knows ann at 127.0.0.1
}

func ExampleDecode() {
	for _, text := range []string{"HELLO|", "HELLO|ann", "BYE|ann|9f86d081884c7d65", "HOWDY|", "BYE|ann"} {
		h, err := beacon.Decode([]byte(text))
		fmt.Printf("%q %v %v %v\n", h.Name, h.ID, h.Bye, err)
	}
	// Output:
	// ""  false <nil>
	// "ann"  false <nil>
	// "ann" 9f86d081884c7d65 true <nil>
	// ""  false malformed datagram: it begins neither with HELLO| nor with BYE|
	// ""  false malformed datagram: a goodbye needs an id
}

func ExampleAppendHello() {
	datagram, err := beacon.AppendHello(nil, beacon.Hello{Name: "ann", ID: 0x9f86d081884c7d65})
	fmt.Printf("%s %v\n", datagram, err)
	_, err = beacon.AppendHello(nil, beacon.Hello{Name: "a|b"})
	fmt.Println(err)
	// Output:
	// HELLO|ann|9f86d081884c7d65 <nil>
	// invalid configuration: the name "a|b" has the character U+007C, which is not allowed
}
