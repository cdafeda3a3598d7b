package sequence

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// inLabel are the fields that a label shows, by the kind of the datagram.
var inLabel = map[string][]string{
	"status": {"message_id", "state"}, "acknowledgement": {"message_id"}, "repair request": {"from", "to"},
	"hello": {"name"}, "bye": {"name"}, "text": {"text"}, "bytes": {"length"}, "sealed": {"length"},
	"relay hello": {"role", "name"}, "relay welcome": {"next"}, "relay refuse": {"reason"}, "relay pong": {"last"}, "relay write": {"first", "count"},
	"relay data": {"first", "count"}, "relay stored": {"last"}, "relay failed": {"text"}, "relay gap": {"first", "last"}, "relay ack": {"next"},
}

// describe says what a packet is. A piece of a stream is no datagram.
func describe(p record.Packet) dissect.Datagram {
	switch {
	case p.TCP == nil:
		return dissect.Of(p.Payload)
	case p.TCP.Flags&service.FlagSYN != 0:
		return dissect.Datagram{Kind: "connects"}
	case p.TCP.Flags&service.FlagRST != 0 && len(p.Payload) == 0:
		return dissect.Datagram{Kind: "breaks the connection"}
	case p.TCP.Flags&service.FlagFIN != 0 && len(p.Payload) == 0:
		return dissect.Datagram{Kind: "ends its side of the connection"}
	case utf8.Valid(p.Payload):
		return dissect.Datagram{Kind: "text", Fields: dissect.Fields{{Name: "text", Value: string(p.Payload)}}}
	}
	return dissect.Datagram{Kind: "bytes", Fields: dissect.Fields{{Name: "length", Value: len(p.Payload)}}}
}

// meaning is what a datagram says, in a few words.
func meaning(d dissect.Datagram) string {
	words := []string{d.Kind}
	for _, name := range inLabel[d.Kind] {
		if v, ok := value(d, name); ok {
			words = append(words, v)
		}
	}
	if len(words) == 3 && (d.Kind == "repair request" || d.Kind == "relay gap") {
		return fmt.Sprintf("%s %s to %s", d.Kind, words[1], words[2])
	}
	if d.Kind == "bytes" || d.Kind == "sealed" {
		return fmt.Sprintf("%s, %s bytes", d.Kind, words[1])
	}
	return strings.Join(words, " ")
}

func value(d dissect.Datagram, name string) (string, bool) {
	for _, f := range d.Fields {
		if f.Name == name {
			return fmt.Sprint(f.Value), true
		}
	}
	return "", false
}

// namesOf returns who the ends are, from what they send. Anybody can claim a name: the first
// one counts.
func namesOf(all []arrow) map[end]string {
	names := make(map[end]string)
	for _, a := range all {
		if _, ok := names[a.from]; ok || a.gap != "" {
			continue
		}
		d := describe(a.packet)
		switch d.Kind {
		case "status":
			names[a.from] = "server"
		case "acknowledgement", "repair request":
			id, _ := value(d, "client_id")
			names[a.from] = "client " + id
		case "hello", "bye":
			names[a.from], _ = value(d, "name")
		case "relay hello":
			role, _ := value(d, "role")
			name, _ := value(d, "name")
			names[a.from] = role + " " + name
		case "relay challenge", "relay welcome", "relay data", "relay stored", "relay pong":
			names[a.from] = "relay"
		}
	}
	return names
}
