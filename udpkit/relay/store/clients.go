package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// A name that is taken is a message whose subject is the name and whose text is the owner. It
// expires by itself. A name is taken on condition that the last message is the one that was seen,
// so that only one of two succeeds.

// Claim gives a name to the owner. The ttl is rounded up to a second.
func (s *Store) Claim(ctx context.Context, name string, owner relay.ID, ttl time.Duration) error {
	ttl = max((ttl + time.Second - 1).Truncate(time.Second), time.Second)
	return s.try(ctx, "take the name "+name, func(ctx context.Context) error {
		had, err := s.owner(ctx, name)
		if err != nil {
			return err
		}
		if had.Seq != 0 && string(had.Data) != owner.String() {
			return fmt.Errorf("%w: %s", relay.ErrNameTaken, name)
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: s.nameSubject(name), Data: []byte(owner.String())},
			jetstream.WithMsgTTL(ttl), jetstream.WithExpectLastSequencePerSubject(had.Seq))
		if hasCode(err, codeWrongLastSequence, codeBusyLastSequence) {
			return errOutrun
		}
		return err
	})
}

func (s *Store) owner(ctx context.Context, name string) (stored, error) {
	return s.lastBySubject(ctx, s.namesStream(), s.nameSubject(name))
}

// Release gives back a name.
func (s *Store) Release(ctx context.Context, name string, owner relay.ID) error {
	return s.try(ctx, "give back the name "+name, func(ctx context.Context) error {
		had, err := s.owner(ctx, name)
		if err != nil || had.Seq == 0 || string(had.Data) != owner.String() {
			return err
		}
		var answer struct{}
		err = s.request(ctx, "$JS.API.STREAM.MSG.DELETE."+s.namesStream(), map[string]any{"seq": had.Seq, "no_erase": true}, &answer)
		if hasCode(err, codeSequenceNotFound) {
			return nil // it has expired or changed hands at this moment
		}
		return err
	})
}

// Client returns what was saved of a client.
func (s *Store) Client(ctx context.Context, role relay.Role, username string) (r relay.ClientRecord, err error) {
	err = s.try(ctx, "look for "+role.String()+" "+username, func(ctx context.Context) error {
		m, err := s.lastBySubject(ctx, s.clientsStream(), s.clientSubject(role, username))
		if err != nil || m.Seq == 0 {
			return err
		}
		saved := struct {
			*relay.ClientRecord
			Role string `json:"role"` // a name: relay.Role can be written as JSON, but not read
		}{ClientRecord: &r}
		if err := json.Unmarshal(m.Data, &saved); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		r.Role = role
		return nil
	})
	return r, err
}

// SaveClient keeps what is known of a client. It is on the disk within SyncInterval.
func (s *Store) SaveClient(ctx context.Context, r relay.ClientRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.try(ctx, "save "+r.Role.String()+" "+r.Username, func(ctx context.Context) error {
		if s.local != nil {
			works, done, err := s.local.works(ctx)
			if err != nil {
				return err
			}
			defer done()
			ctx = works
		}
		_, err := s.js.Publish(ctx, s.clientSubject(r.Role, r.Username), data)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err == nil {
			s.saved.Store(true)
		}
		return err
	})
}
