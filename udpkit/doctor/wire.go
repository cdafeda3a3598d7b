package doctor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// magic begins each datagram: a person who sees one knows what it is, and for no other system of
// this module is it anything.
const magic = "udpkit doctor 1\n"

// role is what a datagram is for.
type role uint8

const (
	question role = iota + 1
	answer
	mark // asks for nothing: it is heard, or it is not
	roles
)

// way is how a datagram goes.
type way uint8

const (
	unicast  way = iota + 1
	unasked      // unicast from a port that was not asked, so that no firewall knows of it
	directed     // to the broadcast address of a subnet
	limited      // to 255.255.255.255
	multicast
	ways
)

var wayNames = [ways]string{unicast: "unicast", unasked: "unicast unasked", directed: "broadcast", limited: "limited broadcast", multicast: "multicast"}

func (w way) String() string { return wayNames[w] }

// header is what follows the magic, in big endian.
type header struct {
	Role   role
	By     way    // how the question was sent
	Back   way    // how the answer is to be sent
	Bits   uint8  // of an answer: the prefix length of the subnet that both are in, plus 1; 0: of none
	Port   uint16 // of a question: where to send the answer; 0: to where it has come from
	Heard  uint16 // of an answer: how many follow that the answerer has heard
	Number uint32 // of the question
	Run    uint64 // of the asker
	To     uint64 // the answerer that is asked; 0: all
	From   uint64 // who sends it
	Host   uint64 // the machine of who sends it
	Token  uint64 // proves that the asker can receive at its address
	// Of an answer, by the clocks of both: nanoseconds of Unix time.
	Sent, Arrived, Left int64
}

const (
	headerSize = 92   // with the magic
	maxSize    = 1472 // what fits into a frame of Ethernet
	maxHeard   = (maxSize - headerSize) / 8
)

// append appends the datagram, padded to size.
func (h header) append(dst []byte, heard []uint64, size int) []byte {
	start := len(dst)
	h.Heard = uint16(len(heard))
	dst = append(dst, magic...)
	dst, _ = binary.Append(dst, binary.BigEndian, h) // it has a fixed size
	for _, who := range heard {
		dst = binary.BigEndian.AppendUint64(dst, who)
	}
	return append(dst, make([]byte, max(0, start+size-len(dst)))...)
}

var errForeign = errors.New("it is not a doctor's")

// parse reads what append writes.
func parse(b []byte) (h header, heard []uint64, err error) {
	text, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok {
		return h, nil, errForeign
	}
	n, err := binary.Decode(text, binary.BigEndian, &h)
	switch {
	case err != nil:
		return h, nil, fmt.Errorf("it is cut off after %d bytes", len(b))
	case h.Role == 0 || h.Role >= roles || h.By == 0 || h.By >= ways || h.Back == 0 || h.Back >= ways || h.Bits > 33:
		return h, nil, fmt.Errorf("it is no question, answer or mark of this version")
	case h.Role != answer && h.Heard > 0 || int(h.Heard) > (len(text)-n)/8:
		return h, nil, fmt.Errorf("it has no room for the %d that it says were heard", h.Heard)
	}
	for i := range int(h.Heard) {
		heard = append(heard, binary.BigEndian.Uint64(text[n+8*i:]))
	}
	return h, heard, nil
}
