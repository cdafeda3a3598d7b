package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// maxRead and maxReadBytes bound what is read from the log at once.
	maxRead      = 1024
	maxReadBytes = 1 << 20
	// telling is how often it is told at most that there are messages that are not a relay's, and
	// maxTold of how many it is remembered that it was told.
	telling = 10 * time.Second
	maxTold = 4096
)

// get returns the first messages of the log with a subject, of those between two sequence numbers,
// at most limit. None is no error.
func (l *Log) get(ctx context.Context, from, to uint64, subject string, limit int) ([]stored, error) {
	messages, err := l.getAny(ctx, from, to, map[string]any{
		"seq": from, "next_by_subj": subject, "batch": min(limit, maxRead), "max_bytes": maxReadBytes,
	})
	if err != nil || len(messages) > 0 {
		return messages, err
	}
	// The server that has answered may be behind its leader, or the next message is one that its
	// client cannot read.
	m, err := l.getOne(ctx, l.cfg.Name, map[string]any{"seq": from, "next_by_subj": subject})
	if err != nil || m.seq == 0 || m.seq > to {
		return nil, err
	}
	return []stored{m}, nil
}

// getAny asks all servers of a cluster, one of which answers as far as it knows, see NATS' ADR 31.
func (l *Log) getAny(ctx context.Context, from, to uint64, r map[string]any) (messages []stored, err error) {
	question, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	inbox := l.nc.NewInbox()
	replies, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+l.cfg.Name, inbox, question); err != nil {
		return nil, err
	}
	for {
		m, err := replies.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrNoResponders) {
			return messages, nil // or a message with the header that means this
		}
		if err != nil {
			return nil, err
		}
		seq, err := strconv.ParseUint(ofServer(m.Header, jetstream.SequenceHeader), 10, 64)
		if err != nil || seq < from || seq > to {
			return messages, nil // the end
		}
		from = seq + 1
		messages = append(messages, stored{seq, ofServer(m.Header, jetstream.SubjectHeader), m.Header, m.Data})
	}
}

// ofServer returns the header that the server has added, after any that the message has itself.
func ofServer(h nats.Header, key string) string {
	values := h.Values(key)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// getOne asks the leader of a stream for a message.
func (l *Log) getOne(ctx context.Context, stream string, question any) (stored, error) {
	var answer struct {
		Message struct {
			Seq     uint64 `json:"seq"`
			Subject string `json:"subject"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	err := l.request(ctx, "$JS.API.STREAM.MSG.GET."+stream, question, &answer)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return stored{}, nil
	}
	m := answer.Message
	header, _ := nats.DecodeHeadersMsg(m.Header)
	return stored{m.Seq, m.Subject, header, m.Data}, err
}

// lastBySubject returns the newest message of a subject.
func (l *Log) lastBySubject(ctx context.Context, stream, subject string) (stored, error) {
	return l.getOne(ctx, stream, map[string]string{"last_by_subj": subject})
}

// Read returns messages from number from on.
func (l *Log) Read(ctx context.Context, from uint64, max int) ([]relay.Message, error) {
	if _, last := l.Bounds(); from > last { // another server may have stored it at this moment
		err := l.try(ctx, "read messages", func(ctx context.Context) error {
			_, err := l.look(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	messages, _, err := l.readKnown(ctx, from, max)
	return messages, err
}

// readKnown returns messages from number from on of those that this server knows of, and from which
// number on there may be more.
func (l *Log) readKnown(ctx context.Context, from uint64, max int) (messages []relay.Message, next uint64, err error) {
	for next = from; ; {
		before := next
		err = l.try(ctx, "read messages", func(ctx context.Context) (err error) {
			messages, next, err = l.read(ctx, before, max)
			return err
		})
		if err != nil || len(messages) > 0 || next == before {
			return messages, next, err
		}
	}
}

func (l *Log) read(ctx context.Context, from uint64, limit int) (messages []relay.Message, next uint64, err error) {
	first, last := l.Bounds()
	if from = max(from, first); from > last || limit < 1 {
		return nil, from, nil
	}
	got, err := l.get(ctx, from, last, l.allSubjects(), int(min(uint64(limit), last-from+1)))
	if err != nil {
		return nil, from, err
	}
	if len(got) == 0 {
		state, err := l.look(ctx)
		if err == nil && state.LastSeq < last {
			err = errBehind
		}
		if err != nil {
			return nil, from, err
		}
	}
	messages, next = l.messages(got, from)
	return messages, next, nil
}

// messages returns the first messages that come without a hole between them, and what the number
// after these is. What is not a relay's is a hole.
func (l *Log) messages(got []stored, from uint64) (messages []relay.Message, next uint64) {
	next = from
	for _, m := range got {
		if len(messages) > 0 && m.seq != next {
			break
		}
		r, err := l.decode(m)
		if err != nil {
			l.stranger(m.seq, err)
			if len(messages) > 0 {
				break
			}
		} else {
			messages = append(messages, relay.Message{Seq: m.seq, Username: r.Username, Text: r.Text, At: r.At})
		}
		next = m.seq + 1
	}
	return messages, next
}

// strangers are messages that are not a relay's and of which nobody was told yet.
type strangers struct {
	seen  map[uint64]bool
	count int
	last  uint64 // the number of the last one
	why   error
	told  time.Time
}

// stranger takes note of a message that is not a relay's.
func (l *Log) stranger(seq uint64, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.strangers
	if s.seen[seq] {
		return
	}
	if len(s.seen) >= maxTold {
		clear(s.seen)
	}
	s.seen[seq], s.count, s.last, s.why = true, s.count+1, seq, why
}

// tellStrangers returns an error if there are any and it is time to tell.
func (l *Log) tellStrangers() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.strangers
	if s.count == 0 || time.Since(s.told) < telling {
		return nil
	}
	others := ""
	if s.count > 1 {
		others = fmt.Sprintf(", and %d before it,", s.count-1)
	}
	s.count, s.told = 0, time.Now()
	return fmt.Errorf("message %d of the NATS stream %s%s is not a relay's: %w; readers get a gap in its place", s.last, l.cfg.Name, others, s.why)
}

// Follow delivers messages as they are stored. That there are messages that are not a relay's is an
// error, every 10 s at most: whoever calls it again goes on after them.
func (l *Log) Follow(ctx context.Context, have func() uint64, deliver func([]relay.Message)) error {
	next := uint64(0) // there is nothing to deliver before it
	for {
		l.mu.Lock()
		grown := l.grown
		l.mu.Unlock()
		messages, end, err := l.readKnown(ctx, max(next, have()+1), maxRead)
		if ctx.Err() != nil {
			return nil
		}
		if len(messages) > 0 {
			deliver(messages)
		}
		if err == nil {
			err = l.tellStrangers()
		}
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			next = 0
			continue
		}
		next = end
		select {
		case <-ctx.Done():
			return nil
		case <-l.ctx.Done():
			return l.failed(ctx, "follow the log", net.ErrClosed)
		case <-grown:
		}
	}
}
