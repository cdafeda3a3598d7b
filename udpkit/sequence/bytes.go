package sequence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// span is a run of a payload's bytes, and the field that they are.
type span struct{ Place, Bytes, Name, Value string }

const (
	maxHex   = 8   // bytes of a field that are shown beside it
	maxValue = 300 // columns
)

// spans explains every byte of a payload, in order.
func spans(payload []byte, d dissect.Datagram) []span {
	e := explained{payload: payload, values: make(map[string]any, len(d.Fields))}
	for _, f := range d.Fields {
		e.values[f.Name] = f.Value
	}
	switch {
	case strings.HasPrefix(d.Kind, "relay "):
		e.relay(d.Protection)
	case d.Protection == key.Sealed:
		e.add(len(payload), "encrypted")
	case d.Kind == "bytes" || d.Kind == "text":
		e.add(len(payload), d.Kind)
	case bytes.HasPrefix(bytes.TrimSpace(payload), []byte("{")):
		e.object()
	case d.Kind == "time":
		e.time(d.Protection)
	default:
		e.line(d)
	}
	return e.list
}

// explained is what is made of a payload.
type explained struct {
	payload []byte
	values  map[string]any
	at      int
	list    []span
}

// add gives the next n bytes a name, and what is known of the field's value.
func (e *explained) add(n int, name string) {
	if n = min(n, len(e.payload)-e.at); n <= 0 {
		return
	}
	run := e.payload[e.at : e.at+n]
	s := span{Place: strconv.Itoa(e.at), Name: name, Bytes: fmt.Sprintf("% x", run[:min(n, maxHex)])}
	if n > 1 {
		s.Place += fmt.Sprintf("–%d", e.at+n-1)
	}
	if n > maxHex {
		s.Bytes += " …"
	}
	if v, ok := e.values[name]; ok {
		if raw, isJSON := v.(json.RawMessage); isJSON {
			v = string(raw)
		}
		s.Value = console.Cut(panel.Printable(fmt.Sprint(v)), maxValue)
	}
	e.list = append(e.list, s)
	e.at += n
}

func (e *explained) rest(name string) { e.add(len(e.payload)-e.at, name) }

// object explains the members of a JSON object, each with the punctuation before it.
func (e *explained) object() {
	decoder := json.NewDecoder(bytes.NewReader(e.payload))
	_, err := decoder.Token()
	for err == nil && decoder.More() {
		var name json.Token
		if name, err = decoder.Token(); err != nil {
			break
		}
		var value json.RawMessage
		if err = decoder.Decode(&value); err == nil {
			text, _ := name.(string)
			if _, known := e.values[text]; !known {
				e.values[text] = value
			}
			e.add(int(decoder.InputOffset())-e.at, text) // it is one of those that a status may have, or mac
		}
	}
	e.rest("end of the object")
}

// line explains a line of text, in which the fields are in order between fixed words.
func (e *explained) line(d dissect.Datagram) {
	for _, f := range d.Fields {
		value := []byte(fmt.Sprint(f.Value))
		if i := bytes.Index(e.payload[e.at:], value); i >= 0 && len(value) > 0 {
			e.add(i, "fixed text")
			e.add(len(value), f.Name)
		}
	}
	if d.Protection == key.Signed {
		e.rest("signature")
	}
	e.rest("fixed text")
}

// time explains a server's answer, of which the times are shown otherwise than they are written.
func (e *explained) time(protection key.Protection) {
	e.add(len("Time "), "fixed text")
	for i, name := range []string{"time_id", "received", "sent"} {
		if i > 0 {
			e.add(1, "fixed text")
		}
		rest := e.payload[e.at:]
		end := bytes.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && (i > 0 || r < 'a' || r > 'f') })
		if end < 0 {
			end = len(rest)
		}
		e.add(end, name)
	}
	if protection == key.Signed {
		e.rest("signature")
	}
}

// field is a place of a relay's frame; 0 bytes stand for all that is left.
type field struct {
	name string
	size int
}

// layouts are the frames of the relay after their header, as package relaywire writes them.
var layouts = [...][]field{
	relaywire.Hello: {
		{"try", 4}, {"role", 1}, {"from", 1}, {"at", 8}, {"log", 8}, {"cookie", relaywire.CookieSize}, {"length of the name", 1},
	},
	relaywire.Challenge: {{"cookie", relaywire.CookieSize}},
	relaywire.Welcome:   {{"try", 4}, {"next", 8}, {"first", 8}, {"last", 8}, {"log", 8}, {"expire_ms", 4}, {"checksum", 4}},
	relaywire.Refuse:    {{"reason", 1}, {"expire_ms", 4}},
	relaywire.Pong:      {{"first", 8}, {"last", 8}},
	relaywire.Gap:       {{"first", 8}, {"last", 8}},
	relaywire.Leave:     {{"done", 8}},
	relaywire.Write:     {{"first", 8}, {"count", 1}, {"messages", 0}},
	relaywire.Stored:    {{"last", 8}, {"runs", 1}, {"what is stored besides", 0}},
	relaywire.Failed:    {{"first", 8}, {"length of the text", 1}, {"text", 0}},
	relaywire.Data:      {{"first", 8}, {"count", 2}, {"messages", 0}},
	relaywire.Ack:       {{"next", 8}, {"done", 8}, {"last", 8}, {"window", 4}, {"missing", 1}, {"what is missing", 0}},
}

func (e *explained) relay(p key.Protection) {
	whole := e.payload
	if p == key.Signed {
		e.payload = whole[:len(whole)-key.BinarySigned]
	}
	kind := relaywire.Kind(whole[3])
	for _, f := range []field{{"“ur”, of the relay", 2}, {"version", 1}, {"kind of frame", 1}, {"id", 8}} {
		e.add(f.size, f.name)
	}
	if int(kind) < len(layouts) {
		for _, f := range layouts[kind] {
			if f.size == 0 {
				f.size = len(e.payload)
			}
			e.add(f.size, f.name)
		}
	}
	if kind == relaywire.Hello {
		e.add(int(whole[e.at-1]), "name")
		e.rest("zeros, so that the answer is no longer")
	}
	e.rest("not known")
	e.payload = whole
	e.rest("signature")
}
