package relay

import (
	"context"
	"sort"
	"time"
)

const (
	// chunkMessages is how many messages are read from the log at once.
	chunkMessages = 512
	// maxChunks is how many bytes of them are in memory for all readers together.
	maxChunks = 32 << 20
	// maxFetching is how many chunks are read at the same time.
	maxFetching = 16
	// emptyReads is how often the log may have nothing where there should be something, retrying
	// apart, until that is taken for a gap: what it knows may be a second old.
	emptyReads = 3
)

// chunk holds messages that the log has, without holes: where it has none there is a gap. A chunk
// begins at a multiple of chunkMessages, so that readers share it.
type chunk struct {
	packer
	items []item
	used  uint64 // when, counted in uses
}

// end returns the number after the last, 0 if there is none.
func (c *chunk) end() uint64 {
	if len(c.items) == 0 {
		return 0
	}
	return c.items[len(c.items)-1].end
}

func (c *chunk) bytes() int { return c.made + len(c.items)*itemSize }

// chunks are those that were used last, by the number of their first message / chunkMessages.
type chunks struct {
	chunks map[uint64]*chunk
	bytes  int
	uses   uint64
}

// at returns the item with the message of this number, if it is there.
func (c *chunks) at(seq uint64) (item, bool) {
	found := c.chunks[seq/chunkMessages]
	if found == nil || found.end() <= seq {
		return item{}, false
	}
	c.uses++
	found.used = c.uses
	items := found.items
	return items[sort.Search(len(items), func(i int) bool { return items[i].end > seq })], true
}

// put adds a chunk; those that were not used for longest make room for it.
func (c *chunks) put(key uint64, added *chunk) {
	c.remove(key)
	c.bytes += added.bytes()
	for c.bytes > maxChunks && len(c.chunks) > 0 {
		var oldest uint64
		used := ^uint64(0)
		for k, old := range c.chunks {
			if old.used < used {
				oldest, used = k, old.used
			}
		}
		c.remove(oldest)
	}
	if c.chunks == nil {
		c.chunks = make(map[uint64]*chunk)
	}
	c.uses++
	added.used = c.uses
	c.chunks[key] = added
}

func (c *chunks) remove(key uint64) {
	if old := c.chunks[key]; old != nil {
		c.bytes -= old.bytes()
		delete(c.chunks, key)
	}
}

// find returns the item with a message, or with the gap that it is in, with mu held; false if it
// has to be read from the log first. What the log does not keep any more is a gap, though it may
// be in memory.
func (s *Server) find(seq uint64) (item, bool) {
	if seq < s.first {
		s.first, _ = s.log.Bounds() // it may have moved, and one gap is better than two
		return gapItem(seq, s.first), true
	}
	if seq >= s.cache.first() {
		return s.cache.at(seq), true
	}
	return s.chunks.at(seq)
}

// fetch has a message read from the log, with mu held; the reader is ready when it is there.
func (s *Server) fetch(c *session, seq uint64) {
	if c.fetches || s.ctx.Err() != nil {
		return
	}
	c.fetches = true
	key := seq / chunkMessages
	waiting, reads := s.fetching[key]
	s.fetching[key] = append(waiting, c)
	if reads {
		return
	}
	s.work.Go(func() {
		err := s.read(key, seq)
		s.mu.Lock()
		if err != nil {
			s.stats.FetchErrors++
		}
		for _, c := range s.fetching[key] {
			c.fetches = false
			s.makeReady(c)
		}
		delete(s.fetching, key)
		s.mu.Unlock()
		s.pump()
	})
}

// read puts a chunk with a message, or with the gap that it is in, among the chunks. When that
// fails it rests before it returns.
func (s *Server) read(key, seq uint64) error {
	for empty := 0; s.ctx.Err() == nil; {
		s.mu.Lock()
		deletions, limit := s.deletions, s.cache.first()
		s.mu.Unlock()
		c, err := s.readChunk(key, limit)
		if err != nil && c.end() <= seq {
			if s.ctx.Err() == nil {
				s.report(reading, err)
				s.rest()
			}
			return err
		}
		s.report(reading, nil)
		if c.end() <= seq {
			if empty++; empty < emptyReads {
				s.rest()
				continue
			}
			c.items = append(c.items, gapItem(max(c.end(), key*chunkMessages, 1), limit))
		}
		s.mu.Lock()
		deleted := s.deletions != deletions // what was read may be gone
		if !deleted {
			s.chunks.put(key, c)
		}
		s.mu.Unlock()
		if !deleted {
			return nil
		}
	}
	return nil
}

// readChunk reads a chunk from the log, as far as there are messages and to limit at least. It
// returns what there is with an error, too.
func (s *Server) readChunk(key, limit uint64) (*chunk, error) {
	c := &chunk{packer: packer{room: s.body()}}
	select {
	case s.fetches <- struct{}{}:
		defer func() { <-s.fetches }()
	case <-s.ctx.Done():
		return c, s.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(s.ctx, logPatience)
	defer cancel()
	next, end := max(1, key*chunkMessages), (key+1)*chunkMessages
	for next < min(end, limit) {
		messages, err := s.log.Read(ctx, next, int(end-next))
		if err != nil || len(messages) == 0 {
			return c, err
		}
		if first := messages[0].Seq; first > next {
			c.items = append(c.items, gapItem(next, first))
			next = first
		}
		for len(messages) > 0 && messages[len(messages)-1].Seq >= end {
			messages = messages[:len(messages)-1]
		}
		c.items = c.pack(c.items, messages)
		next += uint64(len(messages))
	}
	return c, nil
}

// forget has everything read again when something in the log was deleted, and takes for gone what
// is older than its oldest message, until ctx ends.
func (s *Server) forget(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(polling):
		}
		deletions := s.log.Deletions()
		first, _ := s.log.Bounds()
		s.mu.Lock()
		s.first = first
		if deletions != s.deletions {
			s.deletions = deletions
			s.cache.clear()
			s.chunks = chunks{}
		}
		s.mu.Unlock()
	}
}

// rest waits before the log is asked again.
func (s *Server) rest() {
	select {
	case <-time.After(retrying):
	case <-s.ctx.Done():
	}
}
