package store

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
)

// getRequest asks a stream for messages, see NATS' ADR 31.
type getRequest struct {
	Seq      uint64 `json:"seq"`
	NextFor  string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes"`
}

// get returns messages of the log from a sequence number on, as any server of a cluster knows them.
// None is no error.
func (s *Store) get(ctx context.Context, r getRequest) (messages []stored, err error) {
	r.MaxBytes = maxReadBytes
	question, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	inbox := s.nc.NewInbox()
	replies, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := s.nc.PublishRequest("$JS.API.DIRECT.GET."+s.cfg.Name, inbox, question); err != nil {
		return nil, err
	}
	for {
		m, err := replies.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204": // the end of the batch
			return messages, nil
		case "404":
			return nil, nil
		case "503":
			return nil, nats.ErrNoResponders
		default:
			return nil, fmt.Errorf("the NATS server answers %s %s", status, m.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the NATS server's answer has no sequence number: %w", err)
		}
		messages = append(messages, stored{Seq: seq, Data: m.Data})
	}
}

// decode decodes a record of the log.
func (s *Store) decode(seq uint64, data []byte) (relay.Record, error) {
	r, err := decodeRecord(data)
	if err != nil {
		err = fmt.Errorf("message %d of the NATS stream %s is %w; to skip it, delete it: nats stream rmm %s %d", seq, s.cfg.Name, err, s.cfg.Name, seq)
	}
	return r, err
}

// Read returns messages from number from on.
func (s *Store) Read(ctx context.Context, from uint64, max int) ([]relay.Message, error) {
	if _, last := s.Bounds(); from > last && s.local == nil {
		// Another server may have stored it at this moment.
		err := s.try(ctx, "read messages", func(ctx context.Context) error {
			state, err := s.state(ctx)
			if err == nil {
				s.observe(state)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return s.readKnown(ctx, from, max)
}

// readKnown returns messages from number from on of those that this store knows of.
func (s *Store) readKnown(ctx context.Context, from uint64, max int) (messages []relay.Message, err error) {
	err = s.try(ctx, "read messages", func(ctx context.Context) (err error) {
		messages, err = s.read(ctx, from, max)
		return err
	})
	return messages, err
}

func (s *Store) read(ctx context.Context, from uint64, limit int) ([]relay.Message, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		first, last := s.Bounds()
		if from = max(from, first); from > last || limit < 1 {
			return nil, s.ctx.Err()
		}
		got, err := s.get(ctx, getRequest{Seq: from, Batch: int(min(uint64(limit), maxRead, last-from+1))})
		if err != nil {
			return nil, err
		}
		if len(got) > 0 && got[0].Seq == from {
			return s.messages(got)
		}
		// It is not kept any more, or the disk was damaged; or it is, but this server of the
		// cluster is behind. The leader knows, if it is not behind itself.
		next, err := s.next(ctx, from)
		if err != nil {
			return nil, err
		}
		state, err := s.state(ctx)
		if err != nil {
			return nil, err
		}
		s.observe(state)
		switch {
		case next > last:
			return nil, nil
		case next > from:
			from = next
			continue
		case next == 0 && state.LastSeq >= last:
			return nil, nil
		}
		if sleep(ctx, pause) != nil {
			return nil, fmt.Errorf("message %d: %w", from, errBehind)
		}
	}
}

// next returns the sequence number of the first message, at or after from, that the log's leader
// has, 0 if it has none.
func (s *Store) next(ctx context.Context, from uint64) (uint64, error) {
	var answer struct {
		Message stored `json:"message"`
	}
	question := map[string]any{"seq": from, "next_by_subj": s.cfg.Name + ".m.*"}
	err := s.request(ctx, "$JS.API.STREAM.MSG.GET."+s.cfg.Name, question, &answer)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	return answer.Message.Seq, err
}

// messages decodes the messages up to the first hole.
func (s *Store) messages(got []stored) (messages []relay.Message, err error) {
	for i, m := range got {
		if m.Seq != got[0].Seq+uint64(i) {
			break
		}
		r, err := s.decode(m.Seq, m.Data)
		if err != nil && i == 0 {
			return nil, err
		}
		if err != nil {
			break
		}
		messages = append(messages, relay.Message{Seq: m.Seq, Username: r.Username, Text: r.Text, At: r.At})
	}
	return messages, nil
}

// Follow delivers messages as they are stored.
func (s *Store) Follow(ctx context.Context, have func() uint64, deliver func([]relay.Message)) error {
	for {
		s.mu.Lock()
		grown := s.grown
		s.mu.Unlock()
		messages, err := s.readKnown(ctx, have()+1, maxRead)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			deliver(messages)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return s.failed(ctx, "follow the log", net.ErrClosed)
		case <-grown:
		}
	}
}
