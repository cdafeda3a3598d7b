package concurrency

import (
	"encoding/binary"
	"strings"
	"time"
)

// Packet is what was seen of one IPv4 packet on the wire.
type Packet struct {
	// Sent and Arrived are times since the conversation began.
	Sent    time.Duration `json:"sent_ns"`
	Arrived time.Duration `json:"arrived_ns"`
	// Answer reports whether it went from the server to the client.
	Answer bool `json:"answer"`
	// Flags are those of TCP: "SYN", "SYN ACK", "ACK", "FIN ACK"; none for UDP. PSH is left out.
	Flags string `json:"flags,omitempty"`
	// IP, Header and Data are the bytes of the IP header, of the TCP or UDP header, and of the
	// data.
	IP     int `json:"ip"`
	Header int `json:"header"`
	Data   int `json:"data"`
}

// Size returns the number of all its bytes.
func (p Packet) Size() int { return p.IP + p.Header + p.Data }

const (
	ipHeader  = 20 // RFC 791, section 3.1, without options
	udpHeader = 8  // RFC 768
	tcpHeader = 20 // RFC 9293, section 3.1, without options

	protocolTCP, protocolUDP = 6, 17
)

// tcpFlags are the bits of the 14th byte of a TCP header, those that are shown.
var tcpFlags = []struct {
	bit  byte
	name string
}{{1 << 1, "SYN"}, {1 << 0, "FIN"}, {1 << 2, "RST"}, {1 << 4, "ACK"}}

// parse reads an IPv4 packet that holds TCP or UDP, whole; ok is false for anything else. to is the
// destination port.
func parse(b []byte) (p Packet, to uint16, ok bool) {
	if len(b) < ipHeader || b[0]>>4 != 4 {
		return p, 0, false
	}
	p.IP = int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	fragment := binary.BigEndian.Uint16(b[6:]) & 0x3fff // offset, and "more fragments"
	if p.IP < ipHeader || total > len(b) || total < p.IP+udpHeader || fragment != 0 {
		return p, 0, false
	}
	segment := b[p.IP:total]
	switch b[9] {
	case protocolUDP:
		p.Header = udpHeader
	case protocolTCP:
		if len(segment) < tcpHeader {
			return p, 0, false
		}
		p.Header = int(segment[12]>>4) * 4
		var names []string
		for _, f := range tcpFlags {
			if segment[13]&f.bit != 0 {
				names = append(names, f.name)
			}
		}
		p.Flags = strings.Join(names, " ")
		if p.Header < tcpHeader || p.Header > len(segment) {
			return p, 0, false
		}
	default:
		return p, 0, false
	}
	p.Data = len(segment) - p.Header
	return p, binary.BigEndian.Uint16(segment[2:]), true
}

// reflect turns a packet around: what was sent to the other end of the wire comes from there. No
// checksum changes, as each is a sum in which both addresses occur.
func reflect(b []byte) {
	var from [4]byte
	copy(from[:], b[12:16])
	copy(b[12:16], b[16:20])
	copy(b[16:20], from[:])
}
