package relay

import (
	"encoding/binary"
	"sort"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// stretch is the messages from first to end, which is not included, or the gap where they were.
type stretch struct {
	first, end uint64
	gap        bool
}

// item is what one datagram carries to readers. It is the same for all of them, and never changed.
type item struct {
	stretch
	body []byte // what follows the header; a gap has none here
}

// itemSize is about what an item costs beside its body, in bytes.
const itemSize = 48

func gapItem(first, end uint64) item { return item{stretch: stretch{first, end, true}} }

// from returns what follows the header of a datagram with the item from a number on.
func (i *item) from(first uint64) []byte {
	switch {
	case i.gap:
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, first), i.end-1)
	case first > i.first: // a reader begins here, or the log does
		return relaywire.Cut(i.body, int(first-i.first))
	}
	return i.body
}

// slabSize is how many bytes are allocated at once for bodies.
const slabSize = 64 * relaywire.MaxBody

// packer makes items of messages.
type packer struct {
	room int // bytes of a body
	slab []byte
	made int // bytes of all slabs
}

// pack appends items with the messages, as few as possible. All but the last are filled with zeros
// to the same length: the kernel takes equal datagrams to one address in one piece (UDP_SEGMENT).
func (p *packer) pack(items []item, messages []Message) []item {
	for len(messages) > 0 {
		if cap(p.slab)-len(p.slab) < p.room {
			p.slab = make([]byte, 0, slabSize)
			p.made += slabSize
		}
		body := p.slab[len(p.slab) : len(p.slab)+relaywire.BodyStart]
		n := 0
		for n < len(messages) && len(body)+relaywire.MessageSize(messages[n].Username, messages[n].Text) <= p.room {
			m := &messages[n]
			body = relaywire.AppendMessage(body, m.At.UnixNano(), m.Username, m.Text)
			n++
		}
		first := messages[0].Seq
		binary.BigEndian.PutUint64(body, first)
		binary.BigEndian.PutUint16(body[8:], uint16(n))
		if n < len(messages) {
			used := len(body)
			body = body[:p.room]
			clear(body[used:])
		}
		p.slab = p.slab[:len(p.slab)+len(body)]
		items = append(items, item{stretch{first: first, end: first + uint64(n)}, body[:len(body):len(body)]})
		messages = messages[n:]
	}
	return items
}

// cache holds the newest messages, without holes.
type cache struct {
	packer
	items []item // those before begin are gone
	begin int
	bytes int
	max   int    // bytes
	end   uint64 // the number of the next message
}

// add appends messages; those that it has already are left out, and where some are missing it
// begins anew.
func (c *cache) add(messages []Message) {
	for len(messages) > 0 && messages[0].Seq < c.end {
		messages = messages[1:]
	}
	if len(messages) == 0 {
		return
	}
	if messages[0].Seq != c.end {
		c.clear()
	}
	before := len(c.items)
	c.items = c.pack(c.items, messages)
	for _, i := range c.items[before:] {
		c.bytes += len(i.body) + itemSize
	}
	c.end = c.items[len(c.items)-1].end
	for c.bytes > c.max && c.begin < len(c.items)-1 {
		c.bytes -= len(c.items[c.begin].body) + itemSize
		c.items[c.begin] = item{}
		c.begin++
	}
	if c.begin > 1024 && c.begin > len(c.items)/2 {
		n := copy(c.items, c.items[c.begin:])
		clear(c.items[n:])
		c.items, c.begin = c.items[:n], 0
	}
}

// clear forgets all messages.
func (c *cache) clear() { c.items, c.begin, c.bytes = nil, 0, 0 }

// first returns the number of the oldest message, or end if there is none.
func (c *cache) first() uint64 {
	if c.begin == len(c.items) {
		return c.end
	}
	return c.items[c.begin].first
}

// at returns the item with the message of this number, which must be in the cache.
func (c *cache) at(seq uint64) item {
	items := c.items[c.begin:]
	return items[sort.Search(len(items), func(i int) bool { return items[i].end > seq })]
}
