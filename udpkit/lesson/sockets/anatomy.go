package sockets

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// The lengths of the headers in bytes: RFC 791 without options, and RFC 768.
const (
	IPHeaderLen  = 20
	UDPHeaderLen = 8
)

// Anatomy is a datagram as it travels.
type Anatomy struct {
	// Bytes are the IP header, the UDP header, and the payload.
	Bytes    []byte
	From, To netip.AddrPort
}

// Send sends a datagram from one socket of this machine to another one, and returns it as it
// travelled. Programs are not shown the headers: the system puts them on and takes them off. So
// they are put on again, by the same rules, around the addresses and the payload that really
// arrived.
func Send(payload string) (Anatomy, error) {
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return Anatomy{}, fmt.Errorf("cannot open a socket: %w", err)
	}
	defer receiver.Close() // everything is read
	sender, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return Anatomy{}, fmt.Errorf("cannot open a socket to send from: %w", err)
	}
	defer sender.Close()
	to := receiver.LocalAddr().(*net.UDPAddr).AddrPort()
	if _, err := sender.WriteToUDPAddrPort([]byte(payload), to); err != nil {
		return Anatomy{}, err
	}
	if err := receiver.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return Anatomy{}, err
	}
	buffer := make([]byte, len(payload)+1)
	n, from, err := receiver.ReadFromUDPAddrPort(buffer)
	if err != nil {
		return Anatomy{}, err
	}
	return Anatomy{dress(from, to, buffer[:n]), from, to}, nil
}

// dress puts the headers around a payload.
func dress(from, to netip.AddrPort, payload []byte) []byte {
	source, destination := from.Addr().As4(), to.Addr().As4()
	b := make([]byte, IPHeaderLen+UDPHeaderLen, IPHeaderLen+UDPHeaderLen+len(payload))
	b[0] = 4<<4 | IPHeaderLen/4
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	b[6] = 1 << 6 // do not cut it into fragments; so it needs no number of its own
	b[8] = 64     // routers that it may pass
	b[9] = 17     // UDP
	copy(b[12:], source[:])
	copy(b[16:], destination[:])
	binary.BigEndian.PutUint16(b[10:], checksum(b[:IPHeaderLen]))

	udp := b[IPHeaderLen:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(UDPHeaderLen+len(payload)))
	b = append(b, payload...)
	// The checksum covers the addresses too, which are in the other header.
	covered := append(append(append([]byte{}, source[:]...), destination[:]...), 0, 17, udp[4], udp[5])
	sum := checksum(append(covered, b[IPHeaderLen:]...))
	if sum == 0 {
		sum = 0xffff // 0 would mean that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
	return b
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
