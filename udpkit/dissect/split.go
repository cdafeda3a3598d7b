package dissect

import (
	"bytes"
	"slices"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// maxParts is how many datagrams Linux takes in one.
const maxParts = 128

// Split returns the datagrams of a payload: mostly it is one. A relay on Linux leaves it to its
// system to part what it sends to one reader, which a capture may see before that (UDP segmentation
// offload). Then there are several, all but the last equally long.
func Split(payload []byte) [][]byte {
	// The beginning of a datagram is none itself, so that one alone stays whole.
	for size := relaywire.HeaderSize; size <= min(relaywire.MaxDatagram, len(payload)-relaywire.HeaderSize); size++ {
		if len(payload) > maxParts*size || !goesOn(payload, payload[size:]) {
			continue
		}
		parts := slices.Collect(slices.Chunk(payload, size))
		if !slices.ContainsFunc(parts, func(b []byte) bool { return !isPart(payload, b) }) {
			return parts
		}
	}
	return [][]byte{payload}
}

func isRelay(b []byte) bool { return new(Datagram).relay(b) }

// goesOn reports whether a datagram of a relay begins as one before it to the same client, or
// sealed of the same session.
func goesOn(before, b []byte) bool {
	return len(b) >= relaywire.HeaderSize &&
		(bytes.HasPrefix(before, []byte("ur")) && string(b[:3]) == string(before[:3]) && string(b[4:12]) == string(before[4:12]) ||
			isSealed(before) && string(b[:10]) == string(before[:10]))
}

func isSealed(b []byte) bool {
	_, protection := key.Inspect(b)
	return protection == key.Sealed
}

func isPart(before, b []byte) bool {
	return goesOn(before, b) && (isRelay(b) || isSealed(b))
}
