package jetstream_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
)

// everything describes all streams: settings, state and each message, as JSON.
func everything(t *testing.T, js natsjs.JetStream) map[string][]string {
	all := make(map[string][]string)
	note := func(name string, v any) {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		all[name] = append(all[name], string(text))
	}
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		info := stream.CachedInfo()
		note(name, info.Config)
		note(name, info.State)
		for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
			m, err := stream.GetMsg(t.Context(), seq)
			require.NoError(t, err)
			note(name, m)
		}
	}
	require.NoError(t, names.Err())
	return all
}

// TestForeignStreams: a log whose name others use in NATS is refused, and nothing of theirs is
// changed, nor anything made that would be left behind.
func TestForeignStreams(t *testing.T) {
	type theirs struct {
		natsjs.StreamConfig
		to string // where its messages go
	}
	log := theirs{natsjs.StreamConfig{Name: "relay", Subjects: []string{"orders.>"}, MaxMsgs: 150}, "orders.new"}
	clients := theirs{natsjs.StreamConfig{
		Name: "relay-clients", Subjects: []string{"customers.*"}, MaxAge: 3 * time.Hour, MaxMsgsPerSubject: 100,
	}, "customers.ann"}
	names := theirs{natsjs.StreamConfig{
		Name: "relay-names", Subjects: []string{"a", "b.c"}, Storage: natsjs.MemoryStorage, Duplicates: time.Minute,
	}, "b.c"}
	ours := theirs{natsjs.StreamConfig{Name: "relay", Subjects: []string{"relay.m.*.*"}}, "relay.m.ann.0000000000000001"}
	later, laterNames := ours, theirs{natsjs.StreamConfig{Name: "relay-names", Subjects: []string{"relay.n.>"}}, "relay.n.reader.ann"}
	later.Metadata = map[string]string{"udpkit-relay-format": "3", "udpkit-relay-id": "7"}
	laterNames.Metadata = map[string]string{"udpkit-relay-format": "3"}
	earlier := theirs{natsjs.StreamConfig{Name: "relay", Subjects: []string{"relay.m.*"}}, "relay.m.0000000000000001"}
	earlier.Metadata = map[string]string{"udpkit-relay-format": "1", "udpkit-relay-id": "7"}
	other := func(subject, to string) theirs {
		return theirs{natsjs.StreamConfig{Name: "other", Subjects: []string{subject}}, to}
	}
	publish := func(t *testing.T, js natsjs.JetStream, streams ...theirs) {
		for _, stream := range streams {
			_, err := js.CreateStream(t.Context(), stream.StreamConfig)
			require.NoError(t, err)
			for i := range 100 {
				_, err := js.Publish(t.Context(), stream.to, fmt.Appendf(nil, "message %d", i))
				require.NoError(t, err)
			}
		}
	}
	for name, test := range map[string]struct {
		streams []theirs
		says    string
	}{
		"log":            {[]theirs{log}, "no relay has made the stream relay;"},
		"clients":        {[]theirs{clients}, "no relay has made the stream relay-clients;"},
		"names":          {[]theirs{names}, "no relay has made the stream relay-names;"},
		"all":            {[]theirs{log, clients, names}, "no relay has made the stream relay;"},
		"same subject":   {[]theirs{ours}, "no relay has made the stream relay;"},
		"later":          {[]theirs{later}, `the stream relay has the format "3"`},
		"later names":    {[]theirs{laterNames}, `the stream relay-names has the format "3"`},
		"earlier":        {[]theirs{earlier}, `the stream relay has the format "1" of another version, this program knows "2"; choose another name`},
		"all subjects":   {[]theirs{other("relay.>", "relay.c.reader.ann")}, "the stream other stores what is sent to relay."},
		"names' subject": {[]theirs{other("relay.n.reader.*", "relay.n.reader.ann")}, "the stream other stores what is sent to relay.n.>"},
		"told subject":   {[]theirs{other("relay.stored", "relay.stored")}, "the stream other stores what is sent to relay.stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 1)
			js := connect(t, c)
			publish(t, js, test.streams...)
			before := everything(t, js)
			require.Len(t, before, len(test.streams))
			for stream, content := range before {
				require.Len(t, content, 102, "settings, state, messages of %s", stream)
			}
			cfg := c.config("", 0)
			cfg.MaxMessages, cfg.MaxAge = 10, time.Minute
			_, err := jetstream.Open(t.Context(), cfg)
			require.ErrorIs(t, err, jetstream.ErrForeign)
			require.ErrorIs(t, err, relay.ErrConfig)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "choose another name")
			require.Equal(t, before, everything(t, js))

			cfg.Name = "course"
			s := open(t, cfg)
			seqs, err := s.Append(t.Context(), logtest.Records(1, 1, 2))
			require.NoError(t, err)
			require.Equal(t, []uint64{1, 2}, seqs)
			require.NoError(t, s.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}))
			require.NoError(t, s.Claim(t.Context(), "reader.ann", 1, time.Minute))
			after := everything(t, js)
			for stream := range before {
				assert.Equal(t, before[stream], after[stream], stream)
			}
			assert.Len(t, after, len(before)+3)
			require.NoError(t, s.Close())
		})
	}

	// Each stream of a log is that one only: a log may have the name of another's stream.
	t.Run("logs", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, 1)
		js := connect(t, c)
		s := open(t, c.config("relay-clients", 0))
		_, err := s.Append(t.Context(), logtest.Records(1, 1, 20))
		require.NoError(t, err)
		require.NoError(t, s.Close())
		before := everything(t, js)
		cfg := c.config("relay", 0)
		cfg.MaxMessages = 5
		_, err = jetstream.Open(t.Context(), cfg)
		require.ErrorIs(t, err, jetstream.ErrForeign)
		require.ErrorContains(t, err, "the stream relay-clients is for relay-clients.m.*.*, not for relay.c.*.*; choose another name")
		require.Equal(t, before, everything(t, js))
	})
}
