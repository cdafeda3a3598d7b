// A right broadcast client.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
)

func main() {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:"+os.Getenv("UDPKIT_PORT"))
	if err != nil {
		panic(err)
	}
	seen := make(map[string]bool)
	buffer := make([]byte, 65535)
	for {
		n, server, err := conn.ReadFrom(buffer)
		var m struct {
			ID    *uint64 `json:"message_id"`
			State string  `json:"state"`
		}
		if err != nil || json.Unmarshal(buffer[:n], &m) != nil || m.ID == nil {
			continue
		}
		if key := fmt.Sprint(server, *m.ID); !seen[key] {
			seen[key] = true
			fmt.Println(m.State, *m.ID)
		}
		fmt.Fprintf(writer{conn, server}, "Client gopher received message %d", *m.ID)
	}
}

type writer struct {
	conn net.PacketConn
	to   net.Addr
}

func (w writer) Write(b []byte) (int, error) { return w.conn.WriteTo(b, w.to) }
