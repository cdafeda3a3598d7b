package udpkit

import "slices"

// windowSize is how many messages back a duplicate is recognised, and how far ids may jump ahead
// before the jump has to be confirmed by a second message.
const windowSize = 1024

// maxGaps is how many gaps one message can make: a bound on what somebody can cause who sends ids
// that no server does. The last of them then has also ids that came.
const maxGaps = 256

// verdict is what a window says of a message.
type verdict uint8

const (
	fresh     verdict = iota // not seen before
	late                     // not seen before, and already reported as missing
	duplicate                // seen before: to be dropped
)

// gap is a range of ids that have not come, both included.
type gap struct{ from, to uint64 }

// window recognises duplicates and gaps in the messages of one server run.
//
// A duplicate is the same id with the same content, so nothing that a sender chooses as an id can
// make the window drop a message that it has not seen: not a forged huge id, not a restarted server
// that sends no epoch.
//
// The ids of a run whose epoch is known only rise. So what a jump ahead leaves out is a gap at
// once. But a jump of more than windowSize may be forged: if a message goes on before it, then what
// is left of the gap is taken back, and reported when it is left out again. Far backwards two
// messages count, for then those before may be the forged ones. Without an epoch a jump may also be
// a server that begins anew: it counts, as in RFC 3550, A.1, only when a second message continues
// it, either way.
type window struct {
	epoch   bool // is known
	started bool
	first   uint64 // the lowest id that gaps are counted from
	next    uint64 // the id that is expected
	told    uint64 // of the ids below it, all that have not come are reported: next, or more after a jump
	missing uint64 // ids reported that have not come
	jumped  uint64 // such of them as are from next on
	probe   uint64 // what must follow to confirm a jump, if probing
	probing bool
	seen    [windowSize]struct {
		id, sum uint64
		used    bool
	}
	gaps []gap // what observe returns
}

// observe takes the id and a hash of the content of a message. The gaps that it shows, mostly none,
// are valid until the next call.
func (w *window) observe(id, sum uint64) (v verdict, gaps []gap) {
	slot := &w.seen[id%windowSize]
	known := slot.used && slot.id == id
	if known && slot.sum == sum {
		return duplicate, nil
	}
	// If a higher id has taken the place since, it is not known whether this one has come.
	reported := id >= w.first && id < w.told && !known && (!slot.used || slot.id < id)
	slot.id, slot.sum, slot.used = id, sum, true

	switch {
	case !w.started:
		w.started, w.first = true, id
		w.goOn(id)
	case id >= w.told && (w.epoch || id-w.told <= windowSize):
		gaps = w.leftOut(w.told, id)
		if id-w.told <= windowSize { // goes on, or is the second after a jump
			w.goOn(id)
		} else {
			w.told = id + 1
			w.jumped += count(gaps)
		}
	case id >= w.next && id < w.told: // in the gap before a jump
		v = w.late(!known)
		if v == late {
			w.jumped -= min(w.jumped, 1)
		}
		if id-w.next <= min(windowSize, w.told-id) {
			w.missing -= min(w.missing, w.jumped)
			w.leftOut(w.next, id) // has been reported
			w.goOn(id)
		}
	case id < w.next && w.next-id <= windowSize && (w.epoch || !known):
		v = w.late(reported)
	case w.probing && w.epoch && id >= w.probe && id-w.probe <= windowSize: // backwards: what is before is forged
		v = w.late(reported)
		first := w.first
		w.first = min(first, w.probe-1)
		w.missing -= min(w.missing, count(w.split(max(id+1, first), w.told)))
		w.goOn(id)
		gaps = w.leftOut(w.probe, min(id, first)) // from first on it has been reported
	case w.probing && !w.epoch && id == w.probe:
		if before := id - 1; before > w.next { // ahead: all between is missing
			gaps = w.leftOut(w.next, before)
		} else { // backwards: a server that began anew
			w.first = before
		}
		w.goOn(id)
	default:
		v = w.late(reported && w.epoch)
		w.probe, w.probing = id+1, true
	}
	return v, gaps
}

// goOn expects the id after this one.
func (w *window) goOn(id uint64) {
	w.next, w.told, w.jumped, w.probing = id+1, id+1, 0, false
}

// late counts a message that was reported missing, if it was.
func (w *window) late(reported bool) verdict {
	if !reported || w.missing == 0 {
		return fresh
	}
	w.missing--
	return late
}

// leftOut returns and counts what has not come of the ids from from up to, and without, end.
func (w *window) leftOut(from, end uint64) []gap {
	gaps := w.split(from, end)
	w.missing = min(w.missing+count(gaps), MaxMessageID)
	return gaps
}

// split returns the ids from from up to, and without, end, less those that have come.
func (w *window) split(from, end uint64) []gap {
	w.gaps = w.gaps[:0]
	if from >= end {
		return nil
	}
	var come []uint64
	if end-from <= windowSize {
		for id := from; id < end; id++ {
			if slot := &w.seen[id%windowSize]; slot.used && slot.id == id {
				come = append(come, id)
			}
		}
	} else {
		for i := range w.seen {
			if slot := &w.seen[i]; slot.used && slot.id >= from && slot.id < end {
				come = append(come, slot.id)
			}
		}
		slices.Sort(come)
	}
	for _, id := range come {
		if len(w.gaps) == maxGaps-1 {
			break
		}
		if id > from {
			w.gaps = append(w.gaps, gap{from, id - 1})
		}
		from = id + 1
	}
	if from < end {
		w.gaps = append(w.gaps, gap{from, end - 1})
	}
	return w.gaps
}

// count returns how many ids are in the gaps.
func count(gaps []gap) (n uint64) {
	for _, g := range gaps {
		n += g.to - g.from + 1
	}
	return n
}
