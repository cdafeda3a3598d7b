package udpkit

import (
	"bytes"
	"strconv"
)

// RepairRing is how many of its newest messages a server can send again.
const RepairRing = 1024

// questionSize is the length of a question in bytes, with spaces at its end: an answer is at most
// three times as long as the question, and the longest message has to fit. With a key its token is
// in that length.
const questionSize = (MaxMessageSize + 2) / 3

// question asks a server for messages that are missing.
type question struct {
	client   string
	from, to uint64 // ids, both included
	epoch    Epoch
}

// The text of a question: "Client <id> misses messages <from> to <to> epoch <epoch>" and spaces.
const (
	questionMiddle = " misses messages "
	questionTo     = " to "
)

// append appends the question, longer by overhead when it is sent.
func (q question) append(dst []byte, overhead int) []byte {
	start := len(dst)
	dst = append(append(append(dst, ackPrefix...), q.client...), questionMiddle...)
	dst = strconv.AppendUint(dst, q.from, 10)
	dst = strconv.AppendUint(append(dst, questionTo...), q.to, 10)
	dst = q.epoch.append(append(dst, ackEpoch...))
	return append(dst, bytes.Repeat([]byte(" "), max(0, start+questionSize-overhead-len(dst)))...)
}

// parseQuestion reads what append writes, from a datagram of that size; ok is false for anything
// else.
func parseQuestion(b []byte, size int) (q question, ok bool) {
	if size != questionSize {
		return q, false
	}
	rest, ok := bytes.CutPrefix(bytes.TrimRight(b, " "), []byte(ackPrefix))
	cut := bytes.LastIndex(rest, []byte(questionMiddle)) // the id may hold any text
	if !ok || cut <= 0 || cut > MaxClientIDLen {
		return q, false
	}
	q.client = string(rest[:cut])
	rest, epoch, ok := bytes.Cut(rest[cut+len(questionMiddle):], []byte(ackEpoch))
	if !ok {
		return q, false
	}
	from, to, ok := bytes.Cut(rest, []byte(questionTo))
	if !ok {
		return q, false
	}
	if q.from, ok = parseID(from); !ok {
		return q, false
	}
	if q.to, ok = parseID(to); !ok || q.to < q.from {
		return q, false
	}
	q.epoch, ok = parseEpoch(epoch)
	return q, ok && checkText("client id", q.client, MaxClientIDLen) == nil
}

// Question is what a client asks a server for: messages that it misses.
type Question struct {
	ClientID string
	// From and To are ids, both included.
	From, To uint64
	// Epoch is the server's.
	Epoch Epoch
}

// DecodeQuestion reads a question, of which content is what is left of the datagram of that size
// without the token of a key; ok is false for anything else.
func DecodeQuestion(content []byte, size int) (q Question, ok bool) {
	parsed, ok := parseQuestion(content, size)
	return Question{parsed.client, parsed.from, parsed.to, parsed.epoch}, ok
}
