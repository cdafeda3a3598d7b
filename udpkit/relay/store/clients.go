package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// A name that is taken is a message whose subject is the name and whose text is the
// owner. It expires by itself. Who takes it does so on condition that the last
// message is the one that was seen, so that of two only one succeeds.

// claimAttempts is how often the last message may have changed.
const claimAttempts = 5

// Claim gives a name to the owner. The ttl is rounded up to a second.
func (s *Store) Claim(ctx context.Context, name string, owner relay.ID, ttl time.Duration) error {
	working, cancel := s.operation(ctx)
	defer cancel()
	err := s.claim(working, name, owner, (ttl + time.Second - 1).Truncate(time.Second))
	if errors.Is(err, relay.ErrNameTaken) {
		return err
	}
	return s.failed(ctx, "take the name "+name, err)
}

func (s *Store) claim(ctx context.Context, name string, owner relay.ID, ttl time.Duration) error {
	for attempt := 1; ; attempt++ {
		had, err := s.owner(ctx, name)
		if err != nil {
			return err
		}
		if had.Seq != 0 && string(had.Data) != owner.String() {
			return fmt.Errorf("%w: %s", relay.ErrNameTaken, name)
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: s.nameSubject(name), Data: []byte(owner.String())},
			jetstream.WithMsgTTL(max(ttl, time.Second)), jetstream.WithExpectLastSequencePerSubject(had.Seq))
		if !hasCode(err, codeWrongLastSequence) || attempt == claimAttempts {
			return err
		}
	}
}

func (s *Store) owner(ctx context.Context, name string) (stored, error) {
	return s.lastBySubject(ctx, s.namesStream(), s.nameSubject(name))
}

// Release gives back a name.
func (s *Store) Release(ctx context.Context, name string, owner relay.ID) error {
	working, cancel := s.operation(ctx)
	defer cancel()
	had, err := s.owner(working, name)
	if err == nil && had.Seq != 0 && string(had.Data) == owner.String() {
		var answer struct{}
		err = s.request(working, "$JS.API.STREAM.MSG.DELETE."+s.namesStream(), map[string]any{"seq": had.Seq, "no_erase": true}, &answer)
		if hasCode(err, codeSequenceNotFound) {
			err = nil // it has expired or changed hands at this moment
		}
	}
	return s.failed(ctx, "give back the name "+name, err)
}

// Client returns what was saved of a client.
func (s *Store) Client(ctx context.Context, role relay.Role, username string) (r relay.ClientRecord, err error) {
	working, cancel := s.operation(ctx)
	defer cancel()
	m, err := s.lastBySubject(working, s.clientsStream(), s.clientSubject(role, username))
	if err == nil && m.Seq != 0 {
		saved := struct {
			*relay.ClientRecord
			Role string `json:"role"` // of which relay.Role knows only how it is written
		}{ClientRecord: &r}
		if err = json.Unmarshal(m.Data, &saved); err != nil {
			r = relay.ClientRecord{}
		}
		r.Role = role
	}
	return r, s.failed(ctx, "look for "+role.String()+" "+username, err)
}

// SaveClient keeps what is known of a client.
func (s *Store) SaveClient(ctx context.Context, r relay.ClientRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	working, cancel := s.operation(ctx)
	defer cancel()
	if s.local != nil {
		works, cancel := s.local.works(working)
		defer cancel()
		working = works
	}
	_, err = s.js.Publish(working, s.clientSubject(r.Role, r.Username), data)
	if cause := context.Cause(working); err != nil && cause != nil {
		err = cause
	}
	return s.failed(ctx, "save "+r.Role.String()+" "+r.Username, err)
}
