package jetstream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// Headers of a message, see the package's documentation.
const (
	writerHeader = "Udpkit-Writer"
	runHeader    = "Udpkit-Run"
	numberHeader = "Udpkit-Number"
	timeHeader   = "Udpkit-Time"
)

// The subjects, and the names of the streams.

func (l *Log) clientsStream() string { return l.cfg.Name + "-clients" }
func (l *Log) namesStream() string   { return l.cfg.Name + "-names" }

func (l *Log) subject(username string, run relay.ID) string {
	return l.cfg.Name + ".m." + username + "." + run.String()
}
func (l *Log) allSubjects() string            { return l.cfg.Name + ".m.*.*" }
func (l *Log) nameSubject(name string) string { return l.cfg.Name + ".n." + name }
func (l *Log) storedSubject() string          { return l.cfg.Name + ".stored" }
func (l *Log) clientSubject(role relay.Role, username string) string {
	return l.cfg.Name + ".c." + role.String() + "." + username
}

// stored is a message of a stream.
type stored struct {
	seq     uint64 // 0: there is none
	subject string
	header  nats.Header // nil too if it cannot be read
	data    []byte
}

// encode returns the message for a record. Whoever appends has checked the record.
func (l *Log) encode(r relay.Record) *nats.Msg {
	return &nats.Msg{
		Subject: l.subject(r.Username, r.Run), Data: []byte(r.Text),
		Header: nats.Header{
			writerHeader: {r.Username},
			runHeader:    {r.Run.String()},
			numberHeader: {strconv.FormatUint(r.Number, 10)},
			timeHeader:   {r.At.UTC().Format(time.RFC3339Nano)},
		},
	}
}

// decode is the inverse of encode. The error says why the message is not a relay's.
func (l *Log) decode(m stored) (r relay.Record, err error) {
	for _, key := range []string{writerHeader, runHeader, numberHeader, timeHeader} {
		if m.header.Get(key) == "" {
			return relay.Record{}, fmt.Errorf("it has no header %s", key)
		}
	}
	run, err := strconv.ParseUint(m.header.Get(runHeader), 16, 64)
	if err != nil || run == 0 {
		return relay.Record{}, fmt.Errorf("its %s is %q", runHeader, m.header.Get(runHeader))
	}
	r = relay.Record{Run: relay.ID(run), Username: m.header.Get(writerHeader), Text: string(m.data)}
	if r.Number, err = strconv.ParseUint(m.header.Get(numberHeader), 10, 64); err != nil || r.Number == 0 {
		return relay.Record{}, fmt.Errorf("its %s is %q", numberHeader, m.header.Get(numberHeader))
	}
	r.At, err = time.Parse(time.RFC3339Nano, m.header.Get(timeHeader))
	if err != nil || r.At.Year() < 1700 || r.At.Year() > 2200 { // which can be told to readers
		return relay.Record{}, fmt.Errorf("its %s is %q", timeHeader, m.header.Get(timeHeader))
	}
	if err := r.Check(); err != nil {
		return relay.Record{}, err
	}
	if m.subject != l.subject(r.Username, r.Run) {
		return relay.Record{}, fmt.Errorf("its subject %q is not that of its headers", m.subject)
	}
	return r, nil
}
