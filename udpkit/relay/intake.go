package relay

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// write takes messages of a writer, with mu held, and returns what to answer at once.
func (s *Server) write(c *session, f *relaywire.Frame, now time.Time) (answer []byte) {
	known := storedList{most: s.runs()}
	early := false
	for number, text := range f.Texts() {
		switch {
		case number <= c.stored:
			s.stats.Duplicates++
			known.add(number, c.seq(number))
		case number < c.expected:
			s.stats.Duplicates++ // it is being stored
		case number > c.expected || number > c.stored+maxUnstored || len(s.pending) >= maxPending:
			s.stats.OutOfOrder++
			early = true
		default:
			c.expected++
			s.pending = append(s.pending, Record{Run: c.id, Number: number, Username: c.name, Text: string(text), At: now})
		}
	}
	signal(s.arrived)
	if known.n > 0 || early {
		return known.frame(c)
	}
	return nil
}

// storedList is what a stored datagram tells of single messages.
type storedList struct {
	runs    [relaywire.MaxRuns]relaywire.Run
	n, most int
}

// add adds a message, if there is room.
func (l *storedList) add(number, seq uint64) {
	if l.n > 0 {
		run := &l.runs[l.n-1]
		next := run.Seq + uint64(run.Count)
		if run.Seq == 0 {
			next = 0
		}
		if number == run.Number+uint64(run.Count) && seq == next && run.Count < maxUnstored {
			run.Count++
			return
		}
	}
	if l.n < l.most {
		l.runs[l.n] = relaywire.Run{Number: number, Count: 1, Seq: seq}
		l.n++
	}
}

// frame returns the datagram, with mu held, and empties the list. It says that all to the last of
// the list are stored, or all that are if the list is empty.
func (l *storedList) frame(c *session) []byte {
	f := relaywire.Frame{Kind: relaywire.Stored, ID: uint64(c.id), Last: c.stored, Count: l.n}
	for _, run := range l.runs[:l.n] {
		f.Last = run.Number + uint64(run.Count) - 1
		f.Entries = run.Append(f.Entries)
	}
	l.n = 0
	return f.Append(nil)
}

func (c *session) setSeq(number, seq uint64) { c.seqs[number%uint64(len(c.seqs))] = seq }

// seq returns the sequence number of a stored message, 0 if it is not known any more.
func (c *session) seq(number uint64) uint64 {
	if number+uint64(len(c.seqs)) <= c.stored {
		return 0
	}
	return c.seqs[number%uint64(len(c.seqs))]
}

// store stores what is pending, until ctx ends.
func (s *Server) store(ctx context.Context) {
	var batch []Record
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.arrived:
		}
		for {
			s.mu.Lock()
			n := min(len(s.pending), maxAppend)
			batch = append(batch[:0], s.pending[:n]...)
			s.pending = s.pending[:copy(s.pending, s.pending[n:])]
			s.mu.Unlock()
			if n == 0 {
				break
			}
			limited, cancel := context.WithTimeout(ctx, logPatience)
			s.appending <- struct{}{}
			seqs, err := s.log.Append(limited, batch)
			cancel()
			s.stored(batch, seqs, err)
			<-s.appending
			s.pump()
			if ctx.Err() != nil {
				return
			}
			s.report(storing, err)
		}
	}
}

// answer is a datagram to a client.
type answer struct {
	b  []byte
	to *session
}

// stored tells writers what has become of their messages: those with a number are stored. To
// readers they go at once, if none of another server's is before them; else follow finds them.
func (s *Server) stored(batch []Record, seqs []uint64, err error) {
	lists := make(map[*session]*storedList)
	var messages []Message
	s.mu.Lock()
	for i, seq := range seqs {
		r := &batch[i]
		if seq == s.cache.end+uint64(len(messages)) {
			messages = append(messages, Message{Seq: seq, Username: r.Username, Text: r.Text, At: r.At})
		}
		c := s.sessions[r.Run]
		s.stats.Stored++
		if c == nil || r.Number != c.stored+1 {
			continue // it has left, and may come back: then the log tells
		}
		c.stored++
		c.expected = max(c.expected, c.stored+1) // it may have come in an earlier registration
		c.messages++
		c.setSeq(r.Number, seq)
		list := lists[c]
		if list == nil {
			list = &storedList{most: s.runs()}
			lists[c] = list
		}
		if list.n == list.most {
			s.answers = append(s.answers, answer{list.frame(c), c})
		}
		list.add(r.Number, seq)
	}
	for c, list := range lists {
		s.answers = append(s.answers, answer{list.frame(c), c})
	}
	s.news(messages)
	if rest := batch[len(seqs):]; len(rest) > 0 {
		// What waits behind them cannot be stored before them: it must come again too.
		s.stats.NotStored += uint64(len(rest) + len(s.pending))
		rest = append(slices.Clone(rest), s.pending...)
		s.pending = s.pending[:0]
		report := []byte("unknown reason")
		if err != nil {
			report = []byte(strings.ToValidUTF8(err.Error(), "\ufffd"))
		}
		for len(report) > relaywire.MaxReport || !utf8.Valid(report) {
			report = report[:min(relaywire.MaxReport, len(report)-1)]
		}
		for _, r := range rest {
			if c := s.sessions[r.Run]; c != nil && c.expected != c.stored+1 {
				c.expected = c.stored + 1
				f := relaywire.Frame{Kind: relaywire.Failed, ID: uint64(c.id), First: c.expected, Entries: report}
				s.answers = append(s.answers, answer{f.Append(nil), c})
			}
		}
	}
	s.mu.Unlock()
}
