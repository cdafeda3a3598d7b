package udpkit

// windowSize is how many messages back a duplicate is recognised, and how far
// ids may jump ahead before the jump has to be confirmed by a second message.
const windowSize = 1024

// verdict is what a window says of a message.
type verdict uint8

const (
	fresh     verdict = iota // not seen before
	late                     // not seen before, and already reported as missing
	duplicate                // seen before: to be dropped
)

// window recognises duplicates and gaps in the messages of one server run.
//
// A duplicate is the same id with the same content, so nothing that a sender
// chooses as an id can make the window drop a message that it has not seen: not
// a forged huge id, not a restarted server that sends no epoch. Gaps follow the
// rule of RFC 3550, A.1: a jump of more than windowSize, or backwards, counts
// only when a second message continues it.
type window struct {
	started bool
	first   uint64 // the lowest id that gaps are counted from
	next    uint64 // the id that is expected
	probe   uint64 // what must follow to confirm a jump, if probing
	probing bool
	seen    [windowSize]struct {
		id, sum uint64
		used    bool
	}
}

// observe takes the id and a hash of the content of a message. If ids were left
// out, the gap goes from its first to its last id, otherwise missing is 0.
func (w *window) observe(id, sum uint64) (v verdict, from, missing uint64) {
	slot := &w.seen[id%windowSize]
	known := slot.used && slot.id == id
	if known && slot.sum == sum {
		return duplicate, 0, 0
	}
	slot.id, slot.sum, slot.used = id, sum, true

	switch {
	case !w.started:
		w.started, w.first, w.next = true, id, id+1
	case id >= w.next && id-w.next <= windowSize:
		from, missing = w.next, id-w.next
		w.next, w.probing = id+1, false
	case id < w.next && w.next-id <= windowSize && !known:
		if id >= w.first {
			v = late
		}
	case w.probing && id == w.probe:
		if before := id - 1; before > w.next { // ahead: all between is missing
			from, missing = w.next, before-w.next
		} else { // backwards: a server that began anew
			w.first = before
		}
		w.next, w.probing = id+1, false
	default:
		w.probe, w.probing = id+1, true
	}
	return v, from, missing
}
