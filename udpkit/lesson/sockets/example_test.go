package sockets_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/sockets"
)

func ExampleExplain() {
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	sockets.Explain("create and bind a socket", err)
	err = socket.Close()
	sockets.Explain("close it", err)
	// Output:
	// ✓ create and bind a socket: no error
	// ✓ close it: no error
}

func ExampleRecord() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "talk.json")
	err = sockets.Record(context.Background(), file, func(server, client *sockets.Socket) error {
		if _, err := client.WriteTo([]byte("hello"), server.LocalAddr()); err != nil {
			return err
		}
		_, _, err := server.ReadFrom(make([]byte, 1500))
		return err
	})
	tape, readErr := sockets.ReadTape(file)
	if err != nil || readErr != nil {
		fmt.Println(err, readErr)
		return
	}
	for _, d := range tape.Datagrams {
		fmt.Printf("the %s said %q, and it arrived: %v\n", d.From, d.Text, d.Arrived > d.At)
	}
	// Output:
	// the client said "hello", and it arrived: true
}

func ExampleSend() {
	a, err := sockets.Send("hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(a.Bytes), "bytes, of which", sockets.IPHeaderLen+sockets.UDPHeaderLen, "are headers")
	// Output:
	// 33 bytes, of which 28 are headers
}
