package jetstream

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
func (l *Log) Claim(ctx context.Context, name string, owner relay.ID, ttl time.Duration) error {
	ttl = max((ttl + time.Second - 1).Truncate(time.Second), time.Second)
	return l.try(ctx, "take the name "+name, func(ctx context.Context) error {
		had, err := l.owner(ctx, name)
		if err != nil {
			return err
		}
		if had.seq != 0 && string(had.data) != owner.String() {
			return fmt.Errorf("%w: %s", relay.ErrNameTaken, name)
		}
		_, err = l.js.PublishMsg(ctx, &nats.Msg{Subject: l.nameSubject(name), Data: []byte(owner.String())},
			jetstream.WithMsgTTL(ttl), jetstream.WithExpectLastSequencePerSubject(had.seq))
		if hasCode(err, codeWrongLastSequence, codeBusyLastSequence) {
			return errOutrun
		}
		return err
	})
}

func (l *Log) owner(ctx context.Context, name string) (stored, error) {
	return l.lastBySubject(ctx, l.namesStream(), l.nameSubject(name))
}

// Release gives back a name.
func (l *Log) Release(ctx context.Context, name string, owner relay.ID) error {
	return l.try(ctx, "give back the name "+name, func(ctx context.Context) error {
		had, err := l.owner(ctx, name)
		if err != nil || had.seq == 0 || string(had.data) != owner.String() {
			return err
		}
		var answer struct{}
		err = l.request(ctx, "$JS.API.STREAM.MSG.DELETE."+l.namesStream(), map[string]any{"seq": had.seq, "no_erase": true}, &answer)
		if hasCode(err, codeSequenceNotFound) {
			return nil // it has expired or changed hands at this moment
		}
		return err
	})
}

// Client returns what was saved of a client.
func (l *Log) Client(ctx context.Context, role relay.Role, username string) (r relay.ClientRecord, err error) {
	err = l.try(ctx, "look for "+role.String()+" "+username, func(ctx context.Context) error {
		m, err := l.lastBySubject(ctx, l.clientsStream(), l.clientSubject(role, username))
		if err != nil || m.seq == 0 {
			return err
		}
		saved := struct {
			*relay.ClientRecord
			Role string `json:"role"` // a name: relay.Role can be written as JSON, but not read
		}{ClientRecord: &r}
		if json.Unmarshal(m.data, &saved) != nil {
			r = relay.ClientRecord{} // it is not a relay's: nothing was saved
			return nil
		}
		r.Role = role
		return nil
	})
	return r, err
}

// SaveClient keeps what is known of a client.
func (l *Log) SaveClient(ctx context.Context, r relay.ClientRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return l.try(ctx, "save "+r.Role.String()+" "+r.Username, func(ctx context.Context) error {
		_, err := l.js.Publish(ctx, l.clientSubject(r.Role, r.Username), data)
		return err
	})
}
