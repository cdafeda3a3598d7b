package udpkit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// Every style receives the same, and ends the same way.
func ExampleNewReceiver() {
	for _, style := range udpkit.Styles() {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			fmt.Println(err)
			return
		}
		sender, err := net.DialUDP("udp4", nil, conn.LocalAddr().(*net.UDPAddr))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Fprint(sender, "hello")

		receiver, err := udpkit.NewReceiver(style, udpkit.ReceiverConfig{})
		if err != nil {
			fmt.Println(err)
			return
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		err = receiver.Receive(ctx, conn, func(d udpkit.Datagram) {
			fmt.Printf("%s: %q\n", style, d.Payload)
			cancel(errors.New("one is enough"))
		})
		fmt.Println(err)
		sender.Close()
		conn.Close()
	}
	// Output:
	// blocking: "hello"
	// one is enough
	// nonblocking: "hello"
	// one is enough
	// selector: "hello"
	// one is enough
	// goroutine: "hello"
	// one is enough
	// channel: "hello"
	// one is enough
}

// A waiting indicator hangs on OnIdle.
func ExampleReceiverConfig_onIdle() {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ticks := 0
	receiver, err := udpkit.NewReceiver(udpkit.SelectorStyle, udpkit.ReceiverConfig{
		IdleInterval: time.Millisecond,
		OnIdle: func(elapsed time.Duration) {
			fmt.Print(".")
			if ticks++; ticks == 3 {
				cancel()
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = receiver.Receive(ctx, conn, func(udpkit.Datagram) {})
	fmt.Println(err)
	// Output: ...context canceled
}

// One goroutine serves two sockets.
func ExampleSelector() {
	selector, err := udpkit.NewSelector()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer selector.Close()
	for _, name := range []string{"first", "second"} {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer conn.Close()
		err = selector.Register(conn, udpkit.Readable, func(events udpkit.Events) {
			buf := make([]byte, 100)
			n, _, err := conn.ReadFromUDPAddrPort(buf)
			fmt.Printf("%s socket is %v: %q %v\n", name, events, buf[:n], err)
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := conn.WriteTo([]byte("to myself"), conn.LocalAddr()); err != nil {
			fmt.Println(err)
			return
		}
		called, err := selector.Select(context.Background(), time.Minute)
		fmt.Println(called, err)
		defer selector.Unregister(conn) // before it is closed
	}
	called, err := selector.Select(context.Background(), time.Millisecond)
	fmt.Println(called, err)
	// Output:
	// first socket is readable: "to myself" <nil>
	// 1 <nil>
	// second socket is readable: "to myself" <nil>
	// 1 <nil>
	// 0 <nil>
}

func ExampleDatagrams() {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	for _, word := range []string{"one", "two", "stop", "three"} {
		if _, err := conn.WriteTo([]byte(word), conn.LocalAddr()); err != nil {
			fmt.Println(err)
			return
		}
	}
	for d, err := range udpkit.Datagrams(context.Background(), conn) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if string(d.Payload) == "stop" {
			break
		}
		fmt.Printf("%s\n", d.Payload)
	}
	// Output:
	// one
	// two
}

func ExampleParseStyle() {
	fmt.Println(udpkit.ParseStyle("Channel"))
	// Output: channel <nil>
}
