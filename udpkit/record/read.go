package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// Packet is a datagram of a recording, or a segment of TCP.
type Packet struct {
	Number   int // of the packet in the file, from 1, as Wireshark counts
	At       time.Time
	From, To netip.AddrPort
	// Payload is the reader's. Truncated says that its end was not captured.
	Payload   []byte
	Truncated bool
	// Sent and Received are as the role saw it. Both are false in what another program captured.
	Sent, Received bool
	Verdict        string
	// TCP is nil for a datagram.
	TCP *service.Segment
}

// Read reads the datagrams of a recording, or of a capture as pcap or pcapng of other programs,
// such as tcpdump: over Ethernet, Wi-Fi, loopback, "any" or any other link that gopacket knows. It
// leaves out all that is not UDP, fragments too. A file whose end is missing, as of a program that
// was killed, ends where it does; any other fault ends the sequence with an error.
func Read(r io.Reader) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for p, err := range ReadAll(r) {
			if p.TCP == nil && !yield(p, err) {
				return
			}
		}
	}
}

// ReadAll is Read with the segments of TCP.
func ReadAll(r io.Reader) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		source, err := open(r)
		for n := 1; err == nil; n++ {
			var p Packet
			var data []byte
			var link gopacket.Decoder
			if data, link, err = source(&p); err == nil && p.decode(data, link) {
				if p.Number = n; !yield(p, nil) {
					return
				}
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			yield(Packet{}, fmt.Errorf("cannot read the recording: %w", err))
		}
	}
}

// open returns what reads the next packet: its bytes and their kind, and what is known besides.
func open(r io.Reader) (next func(*Packet) ([]byte, gopacket.Decoder, error), err error) {
	in := bufio.NewReader(r)
	magic, err := in.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("it is no pcap or pcapng file: it has %d bytes", len(magic))
	}
	if string(magic) != "\n\r\r\n" {
		old, err := pcapgo.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("it is no pcap or pcapng file: %w", err)
		}
		return func(p *Packet) ([]byte, gopacket.Decoder, error) {
			data, about, err := old.ReadPacketData()
			p.At, p.Truncated = about.Timestamp, about.CaptureLength < about.Length
			return data, old.LinkType(), err
		}, nil
	}
	ng, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, err
	}
	ours := ng.SectionInfo().Application == application
	return func(p *Packet) ([]byte, gopacket.Decoder, error) {
		data, about, options, err := ng.ReadPacketDataWithOptions()
		if err != nil {
			return nil, nil, err
		}
		by, err := ng.Interface(about.InterfaceIndex)
		if err != nil {
			return nil, nil, err
		}
		p.At, p.Truncated = about.Timestamp, about.CaptureLength < about.Length
		p.Verdict = strings.Join(options.Comments, "; ")
		p.Sent, p.Received = ours && by.Name == sentName, ours && by.Name == receivedName
		return data, by.LinkType, nil
	}, nil
}

// decode takes the headers off. It reports whether what is left is a datagram or a segment.
func (p *Packet) decode(data []byte, link gopacket.Decoder) bool {
	packet := gopacket.NewPacket(data, link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	var from, to uint16
	switch transport := packet.TransportLayer().(type) {
	case *layers.UDP:
		from, to, p.Payload = uint16(transport.SrcPort), uint16(transport.DstPort), transport.Payload
	case *layers.TCP:
		from, to, p.Payload = uint16(transport.SrcPort), uint16(transport.DstPort), transport.Payload
		p.TCP = &service.Segment{Seq: transport.Seq, Ack: transport.Ack, Flags: flags(transport)}
	default:
		return false
	}
	var source, target netip.Addr
	switch ip := packet.NetworkLayer().(type) {
	case *layers.IPv4:
		source, _ = netip.AddrFromSlice(ip.SrcIP)
		target, _ = netip.AddrFromSlice(ip.DstIP)
	case *layers.IPv6:
		source, _ = netip.AddrFromSlice(ip.SrcIP)
		target, _ = netip.AddrFromSlice(ip.DstIP)
	default:
		return false
	}
	p.From, p.To = netip.AddrPortFrom(source, from), netip.AddrPortFrom(target, to)
	return true
}

func flags(t *layers.TCP) (all byte) {
	for flag, set := range map[byte]bool{
		service.FlagFIN: t.FIN, service.FlagSYN: t.SYN, service.FlagRST: t.RST, service.FlagPSH: t.PSH, service.FlagACK: t.ACK,
	} {
		if set {
			all |= flag
		}
	}
	return all
}
