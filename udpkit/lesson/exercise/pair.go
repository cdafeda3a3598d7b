package exercise

import (
	"errors"
	"fmt"
	"net"
)

// Pair opens two UDP sockets on the loopback interface: what is written to the first is read from
// the second. The caller closes both.
func Pair() (sender, receiver *net.UDPConn, err error) {
	receiver, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open a socket: %w", err)
	}
	sender, err = net.DialUDP("udp4", nil, receiver.LocalAddr().(*net.UDPAddr))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot open a socket to send from: %w", err), receiver.Close())
	}
	return sender, receiver, nil
}

// Stranger opens a socket that nobody has asked anything: what is sent from it is no answer, and a
// connected socket gets nothing of it. The caller closes it.
func Stranger() (net.PacketConn, error) {
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket: %w", err)
	}
	return socket, nil
}
