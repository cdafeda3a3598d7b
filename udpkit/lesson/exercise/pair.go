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
