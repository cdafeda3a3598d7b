// Wrong: an echo server that answers from another socket.
package main

import (
	"net"
	"os"
)

func main() {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:"+os.Getenv("UDPKIT_PORT"))
	if err != nil {
		panic(err)
	}
	answers, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	buffer := make([]byte, 65535)
	for {
		n, client, err := conn.ReadFrom(buffer)
		if err != nil {
			continue
		}
		answers.WriteTo(buffer[:n], client)
	}
}
