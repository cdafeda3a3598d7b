// Wrong: an echo client that shows what was typed, and never reads the reply.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func main() {
	conn, err := net.Dial("udp4", "127.0.0.1:"+os.Getenv("UDPKIT_PORT"))
	if err != nil {
		panic(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println("reply:", lines.Text())
		fmt.Fprint(conn, lines.Text())
	}
}
