// Package dissect says what a datagram of any system of this module is, field by field: for who
// looks at a recording or a capture. It has a dissector for Wireshark, which says the same there.
package dissect

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// Datagram is what a payload is.
type Datagram struct {
	// Kind is its name: "status", "acknowledgement", "repair request", "time", "hello" or "bye" of
	// a beacon, "relay" and the name of a frame, "sealed", "text" or "bytes".
	Kind string
	// Protection is how a key protects it. Nothing is verified.
	Protection key.Protection
	Fields     Fields
}

// Fields are those of a datagram in the order in which they lie in it, under the names that the
// JSON lines of the systems have.
type Fields []Field

// Field is one of them.
type Field struct {
	Name  string
	Value any // a string, a number, a bool, or JSON
}

// MarshalJSON returns an object.
func (f Fields) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, field := range f {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, field.Name), ':')
		value, err := json.Marshal(field.Value)
		if err != nil {
			return nil, err
		}
		b = append(b, value...)
	}
	return append(b, '}'), nil
}

// String returns the fields in one line. Text from the network is quoted.
func (f Fields) String() string {
	var parts []string
	for _, field := range f {
		switch v := field.Value.(type) {
		case string:
			parts = append(parts, fmt.Sprintf("%s=%q", field.Name, v))
		case json.RawMessage:
			parts = append(parts, fmt.Sprintf("%s=%q", field.Name, []byte(v)))
		default:
			parts = append(parts, fmt.Sprintf("%s=%v", field.Name, v))
		}
	}
	return strings.Join(parts, " ")
}

// Of says what a payload is. The result holds no part of it.
func Of(payload []byte) Datagram {
	content, protection := key.Inspect(payload)
	d := Datagram{Protection: protection}
	switch {
	case protection == key.Sealed:
		d.Kind, d.Fields = "sealed", Fields{{"length", len(payload)}}
	case d.status(content), d.question(content, len(payload)), d.acknowledgement(content), d.time(content), d.hello(content), d.relay(content):
	case utf8.Valid(content):
		d.Kind, d.Fields = "text", Fields{{"text", string(content)}}
	default:
		d.Kind, d.Fields = "bytes", Fields{{"length", len(payload)}}
	}
	return d
}

func (d *Datagram) status(b []byte) bool {
	m, err := udpkit.DecodeMessage(b)
	if err != nil {
		return false
	}
	d.Kind = "status"
	d.Fields = Fields{{"timestamp", m.Timestamp}, {"state", string(m.State)}, {"message_id", m.ID}}
	d.epoch(m.Epoch)
	if m.Interval > 0 {
		d.add("interval_ms", m.Interval.Milliseconds())
	}
	if m.Repair {
		d.add("repair", true)
	}
	if m.Clock {
		d.add("clock", true)
	}
	if m.Data != nil {
		d.add("data", m.Data)
	}
	if m.End {
		d.add("end", true)
	}
	return true
}

func (d *Datagram) add(name string, value any) { d.Fields = append(d.Fields, Field{name, value}) }

// list adds a list of JSON if there is something in it.
func (d *Datagram) list(name string, each []Fields) {
	if len(each) == 0 {
		return
	}
	if b, err := json.Marshal(each); err == nil { // always: there are numbers, texts and times
		d.add(name, json.RawMessage(b))
	}
}

func (d *Datagram) epoch(e udpkit.Epoch) {
	if e != 0 {
		d.add("epoch", e.String())
	}
}

func (d *Datagram) question(b []byte, size int) bool {
	q, ok := udpkit.DecodeQuestion(b, size)
	if ok {
		d.Kind = "repair request"
		d.Fields = Fields{{"client_id", q.ClientID}, {"from", q.From}, {"to", q.To}}
		d.epoch(q.Epoch)
	}
	return ok
}

func (d *Datagram) acknowledgement(b []byte) bool {
	a, err := udpkit.DecodeAck(b)
	if err != nil {
		return false
	}
	d.Kind = "acknowledgement"
	d.Fields = Fields{{"client_id", a.ClientID}, {"message_id", a.MessageID}}
	d.epoch(a.Epoch)
	if a.Clock != 0 {
		d.add("time_id", a.Clock.String())
	}
	return true
}

func (d *Datagram) time(b []byte) bool {
	a, ok := udpkit.DecodeTime(b)
	if ok {
		d.Kind = "time"
		d.Fields = Fields{{"time_id", a.Clock.String()}, {"received", a.Received.Format(time.RFC3339Nano)}, {"sent", a.Sent.Format(time.RFC3339Nano)}}
	}
	return ok
}

func (d *Datagram) hello(b []byte) bool {
	h, err := beacon.Decode(b)
	if err != nil {
		return false
	}
	d.Kind = "hello"
	if h.Bye {
		d.Kind = "bye"
	}
	d.Fields = Fields{{"name", h.Name}}
	if h.ID != 0 {
		d.add("id", h.ID.String())
	}
	return true
}

var frames = [...]string{
	relaywire.Hello: "hello", relaywire.Challenge: "challenge", relaywire.Welcome: "welcome", relaywire.Refuse: "refuse", relaywire.Reset: "reset",
	relaywire.Ping: "ping", relaywire.Pong: "pong", relaywire.Leave: "leave", relaywire.Bye: "bye", relaywire.Write: "write",
	relaywire.Stored: "stored", relaywire.Failed: "failed", relaywire.Data: "data", relaywire.Gap: "gap", relaywire.Ack: "ack",
}

func (d *Datagram) relay(b []byte) bool {
	f, err := relaywire.Parse(b)
	if cut := len(b) - key.BinarySigned; err != nil && cut > 0 {
		if f, err = relaywire.Parse(b[:cut]); err == nil {
			d.Protection = key.Signed
		}
	}
	if err != nil {
		return false
	}
	d.Kind = "relay " + frames[f.Kind]
	d.Fields = Fields{{"id", fmt.Sprintf("%016x", f.ID)}}
	var each []Fields
	switch f.Kind {
	case relaywire.Hello:
		role := "reader"
		if f.Role == relaywire.RoleWriter {
			role = "writer"
		}
		from := [...]string{relaywire.FromLast: "last", relaywire.FromStart: "start", relaywire.FromNow: "now", relaywire.FromAt: "at"}[f.From]
		d.Fields = append(d.Fields, Fields{{"try", f.Try}, {"role", role}, {"name", f.Name}, {"from", from}, {"at", f.At}, {"log", f.Log}}...)
		d.add("cookie", f.Cookie != relaywire.Cookie{})
	case relaywire.Welcome:
		d.Fields = append(d.Fields, Fields{{"try", f.Try}, {"next", f.Next}, {"first", f.First}, {"last", f.Last}, {"log", f.Log}, {"expire_ms", f.Expire.Milliseconds()}}...)
	case relaywire.Refuse:
		d.Fields = append(d.Fields, Fields{{"reason", f.Reason}, {"expire_ms", f.Expire.Milliseconds()}}...)
	case relaywire.Pong, relaywire.Gap:
		d.Fields = append(d.Fields, Fields{{"first", f.First}, {"last", f.Last}}...)
	case relaywire.Leave:
		d.add("done", f.Done)
	case relaywire.Write:
		d.Fields = append(d.Fields, Fields{{"first", f.First}, {"count", f.Count}}...)
		for number, text := range f.Texts() {
			each = append(each, Fields{{"number", number}, {"text", string(text)}})
		}
		d.list("messages", each)
	case relaywire.Data:
		d.Fields = append(d.Fields, Fields{{"first", f.First}, {"count", f.Count}}...)
		for m := range f.Messages() {
			at := time.Unix(0, m.At).UTC()
			each = append(each, Fields{{"number", m.Seq}, {"at", at}, {"name", string(m.Name)}, {"text", string(m.Text)}})
		}
		d.list("messages", each)
	case relaywire.Stored:
		d.Fields = append(d.Fields, Fields{{"last", f.Last}, {"runs", f.Count}}...)
		for i := range f.Count {
			run := f.Run(i)
			each = append(each, Fields{{"number", run.Number}, {"count", run.Count}, {"seq", run.Seq}})
		}
		d.list("stored", each)
	case relaywire.Failed:
		d.Fields = append(d.Fields, Fields{{"first", f.First}, {"text", string(f.Entries)}}...)
	case relaywire.Ack:
		d.Fields = append(d.Fields, Fields{{"next", f.Next}, {"done", f.Done}, {"last", f.Last}, {"window", f.Window}, {"missing", f.Count}}...)
		for i := range f.Count {
			missing := f.Missing(i)
			each = append(each, Fields{{"offset", missing.Offset}, {"count", missing.Count}})
		}
		d.list("ranges", each)
	}
	return true
}
