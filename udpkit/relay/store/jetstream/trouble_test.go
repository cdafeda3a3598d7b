package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
)

// notices collects what an operator is told.
type notices struct {
	mu   sync.Mutex
	list []string
}

func (n *notices) add(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, err.Error())
}

// wait waits for n notices and returns all.
func (n *notices) wait(t *testing.T, count int) []string {
	t.Helper()
	var list []string
	require.Eventually(t, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		list = append([]string(nil), n.list...)
		return len(list) >= count
	}, 30*time.Second, 10*time.Millisecond)
	return list
}

// find waits for a notice that says something.
func (n *notices) find(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(n.wait(t, 0), "\n"), text) }, 30*time.Second, 10*time.Millisecond, text)
}

// strange publishes, one after the other, what no relay would, to a stream that has ann's run 1.
func strange(t *testing.T, c *cluster, js natsjs.JetStream, between func()) (n int) {
	const subject, run = "relay.m.ann.0000000000000001", "0000000000000001"
	header := func(change ...string) nats.Header {
		h := nats.Header{"Udpkit-Writer": {"ann"}, "Udpkit-Run": {run}, "Udpkit-Number": {"1000000"}, "Udpkit-Time": {"2026-01-02T03:04:05.678Z"}}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == "" {
				delete(h, change[i])
			} else {
				h[change[i]] = []string{change[i+1]}
			}
		}
		return h
	}
	for _, m := range []*nats.Msg{
		{Subject: "relay.m.x.y", Data: []byte("hello")},
		{Subject: subject, Data: []byte("hello")},
		{Subject: "relay.m.bob.0000000000000001", Header: header()},
		{Subject: "relay.m.ann.1", Header: header("Udpkit-Run", "1")},
		{Subject: subject, Header: header("Udpkit-Writer", "")},
		{Subject: subject, Header: header("Udpkit-Writer", "a b")},
		{Subject: subject, Header: header("Udpkit-Run", "")},
		{Subject: subject, Header: header("Udpkit-Run", "ann")},
		{Subject: subject, Header: header("Udpkit-Number", "")},
		{Subject: subject, Header: header("Udpkit-Number", "0")},
		{Subject: subject, Header: header("Udpkit-Number", "-1")},
		{Subject: subject, Header: header("Udpkit-Time", "")},
		{Subject: subject, Header: header("Udpkit-Time", "yesterday")},
		{Subject: subject, Header: header(), Data: []byte("\xff")},
		{Subject: subject, Header: header(), Data: []byte(strings.Repeat("x", relay.MaxText+1))},
		{Subject: subject, Header: nats.Header{"Status": {"404"}}},
		{Subject: subject, Header: nats.Header{"Status": {"503"}, "Nats-Sequence": {"1"}, "Nats-Subject": {"x"}}},
		{Subject: subject, Header: nats.Header{"Nats-Sequence": {"1000000"}}},
	} {
		between()
		_, err := js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
		n++
	}
	// nats.go does not send such headers, and cannot read them.
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.options[0].Port))
	require.NoError(t, err)
	defer conn.Close()
	stream, err := js.Stream(t.Context(), "relay")
	require.NoError(t, err)
	_, err = conn.Write([]byte("CONNECT {\"headers\":true}\r\n"))
	require.NoError(t, err)
	for _, line := range []string{"no colon", "Status: 404\r\n", "Status: 503\r\n", "Nats-Sequence: 1\r\n", "Nats-Sequence: 1000000\r\n"} {
		h := "NATS/1.0\r\n" + line + "\r\nA: b\r\n\r\n"
		between()
		before, err := stream.Info(t.Context())
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "HPUB %s %d %d\r\n%shello\r\n", subject, len(h), len(h)+5, h)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			after, err := stream.Info(t.Context())
			return err == nil && after.State.LastSeq > before.State.LastSeq
		}, 30*time.Second, time.Millisecond, h)
		n++
	}
	return n
}

// TestStrangers: what no relay has written is a hole, the operator is told of it, and nobody is
// stopped: neither readers nor the writer whose subject it is on.
func TestStrangers(t *testing.T) {
	c := newCluster(t, 1)
	js := connect(t, c)
	l, other := open(t, c.config("relay", 0)), open(t, c.config("relay", 0))
	var mu sync.Mutex
	var told []string
	var got []relay.Message
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		after := uint64(0)
		for ctx.Err() == nil {
			err := l.Follow(ctx, func() uint64 { return after }, func(messages []relay.Message) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, messages...)
				after = messages[len(messages)-1].Seq
			})
			if err != nil {
				mu.Lock()
				told = append(told, err.Error())
				mu.Unlock()
			}
		}
	}()
	const each = 3
	numbers := uint64(0)
	write := func() {
		log := []*jetstream.Log{l, other}[numbers/each%2]
		_, err := log.Append(t.Context(), logtest.Records(1, numbers+1, each))
		require.NoError(t, err)
		numbers += each
	}
	strangers := strange(t, c, js, write)
	write()
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == int(numbers) }, 30*time.Second, 10*time.Millisecond)
	cancel()
	<-followed
	require.NotEmpty(t, told)
	require.Less(t, len(told), 1+strangers/2, "at once, and then every 10 s")
	assert.Regexp(t, `^message \d+ of the NATS stream relay(, and \d+ before it,)? is not a relay's: .+; readers get a gap in its place$`, told[0])

	fresh := open(t, c.config("relay", 0))
	first, last := fresh.Bounds()
	require.Equal(t, []uint64{1, numbers + uint64(strangers)}, []uint64{first, last})
	var read []relay.Message
	for next := first; next <= last; {
		messages, err := fresh.Read(t.Context(), next, 500)
		require.NoError(t, err)
		require.NotEmpty(t, messages)
		for i, m := range messages {
			require.Equal(t, messages[0].Seq+uint64(i), m.Seq, "without holes")
		}
		read = append(read, messages...)
		next = messages[len(messages)-1].Seq + 1
	}
	require.Equal(t, got, read)
	for i, m := range read {
		require.Equal(t, logtest.Text(1, uint64(i)+1), m.Text)
		require.Equal(t, uint64(i+i/each)+1, m.Seq)
	}
	number, seqs, err := fresh.Stored(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Equal(t, numbers, number)
	for i, seq := range seqs {
		require.Equal(t, read[i].Seq, seq)
	}
	// Nothing but strangers at the end is the end.
	_, err = js.Publish(t.Context(), "relay.m.ann.0000000000000001", []byte("hello"))
	require.NoError(t, err)
	messages, err := fresh.Read(t.Context(), last+1, 10)
	require.NoError(t, err)
	require.Empty(t, messages)
	restarted := open(t, c.config("relay", 0))
	number, _, err = restarted.Stored(t.Context(), 1, numbers)
	require.NoError(t, err)
	require.Equal(t, numbers, number)
	for _, log := range []*jetstream.Log{restarted, l} {
		seqs, err = log.Append(t.Context(), logtest.Records(1, numbers, 2))
		require.NoError(t, err)
		require.Equal(t, []uint64{last, last + 2}, seqs)
	}
}

// TestDeletions: what a person deletes is known to all servers within a second, and what the limits
// remove is no deletion.
func TestDeletions(t *testing.T) {
	c := newCluster(t, 1)
	cfg := c.config("relay", 0)
	cfg.MaxMessages = 100
	logs := []*jetstream.Log{open(t, cfg), open(t, cfg)}
	stream, err := connect(t, c).Stream(t.Context(), "relay")
	require.NoError(t, err)
	_, err = logs[0].Append(t.Context(), logtest.Records(1, 1, 150))
	require.NoError(t, err)
	require.Eventually(t, func() bool { first, _ := logs[1].Bounds(); return first == 51 }, 30*time.Second, time.Millisecond)
	known := []uint64{logs[0].Deletions(), logs[1].Deletions()}
	require.Equal(t, []uint64{0, 0}, known)
	deleted := func(what string, first, last uint64) {
		t.Helper()
		start := time.Now()
		for i, l := range logs {
			require.Eventually(t, func() bool { return l.Deletions() != known[i] }, 30*time.Second, time.Millisecond, what)
			assert.Less(t, time.Since(start), 3*time.Second) // one, on a machine that is not busy
			known[i] = l.Deletions()
			f, e := l.Bounds()
			assert.Equal(t, []uint64{first, last}, []uint64{f, e}, what)
		}
	}
	require.NoError(t, stream.DeleteMsg(t.Context(), 80))
	deleted("one in between", 51, 150)
	got, err := logs[1].Read(t.Context(), 80, 10)
	require.NoError(t, err)
	require.Equal(t, uint64(81), got[0].Seq)
	got, err = logs[1].Read(t.Context(), 70, 100)
	require.NoError(t, err)
	require.Len(t, got, 10)
	require.NoError(t, stream.DeleteMsg(t.Context(), 150))
	deleted("the newest", 51, 150)
	got, err = logs[1].Read(t.Context(), 150, 10)
	require.NoError(t, err)
	require.Empty(t, got)
	seqs, err := logs[0].Append(t.Context(), logtest.Records(1, 150, 2))
	require.NoError(t, err)
	require.Equal(t, []uint64{0, 151}, seqs, "it was stored once")
	seqs, err = logs[1].Append(t.Context(), logtest.Records(1, 152, 1))
	require.NoError(t, err)
	require.Equal(t, []uint64{152}, seqs)
	require.NoError(t, stream.Purge(t.Context(), natsjs.WithPurgeSequence(101)))
	deleted("the older half", 101, 152)
	require.NoError(t, stream.Purge(t.Context()))
	deleted("all", 153, 152)
	got, err = logs[1].Read(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Empty(t, got)
	seqs, err = logs[1].Append(t.Context(), logtest.Records(2, 1, 10))
	require.NoError(t, err)
	require.Equal(t, uint64(153), seqs[0])
	require.Eventually(t, func() bool { _, last := logs[0].Bounds(); return last == 162 }, 30*time.Second, time.Millisecond)
	known = []uint64{logs[0].Deletions(), logs[1].Deletions()}
	require.NoError(t, stream.Purge(t.Context(), natsjs.WithPurgeKeep(4)))
	deleted("all but four", 159, 162)
}

// TestReplaced: a stream that is deleted and made anew is another log, and the old one says so.
func TestReplaced(t *testing.T) {
	c := newCluster(t, 1)
	l := open(t, c.config("relay", 0))
	_, err := l.Append(t.Context(), logtest.Records(1, 1, 3))
	require.NoError(t, err)
	followed := make(chan error)
	go func() {
		for {
			err := l.Follow(t.Context(), func() uint64 { return 3 }, func([]relay.Message) {})
			if err == nil || errors.Is(err, jetstream.ErrReplaced) {
				followed <- err
				return
			}
		}
	}()
	require.NoError(t, connect(t, c).DeleteStream(t.Context(), "relay"))
	require.NotEqual(t, l.ID(), open(t, c.config("relay", 0)).ID())
	_, err = l.Append(t.Context(), logtest.Records(1, 4, 1))
	require.ErrorIs(t, err, jetstream.ErrReplaced)
	require.ErrorContains(t, err, "start the relay again")
	require.ErrorIs(t, <-followed, jetstream.ErrReplaced)
	_, err = l.Read(t.Context(), 1, 1)
	require.ErrorIs(t, err, jetstream.ErrReplaced)
}

// TestWaits: a log may be opened before there is a NATS server, and before that has JetStream.
func TestWaits(t *testing.T) {
	c := newCluster(t, 1)
	c.stop(0)
	cfg := c.config("relay", 0)
	at := strings.TrimPrefix(cfg.URLs[0], "nats://")
	cfg.URLs[0] = "nats://ann:secret@" + at
	var told notices
	cfg.Notice = told.add
	opened := make(chan *jetstream.Log)
	go func() {
		l, err := jetstream.Open(context.Background(), cfg)
		assert.NoError(t, err)
		opened <- l
	}()
	told.find(t, "waiting for NATS at "+at+": ")
	c.options[0].JetStream = false
	c.start(t, 0)
	told.find(t, "JetStream is not enabled there")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := jetstream.Open(ctx, cfg)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 2*time.Second)
	c.stop(0)
	c.options[0].JetStream = true
	c.start(t, 0)
	l := <-opened
	require.NotNil(t, l)
	_, err = l.Append(t.Context(), logtest.Records(1, 1, 3))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for _, text := range told.wait(t, 2) {
		require.NotContains(t, text, "secret")
		require.NotContains(t, text, "\n")
	}
}

// TestLimits: limits that were not asked for stay, and every server is told when they change.
func TestLimits(t *testing.T) {
	c := newCluster(t, 1)
	js := connect(t, c)
	limits := func() (int64, time.Duration) {
		stream, err := js.Stream(t.Context(), "relay")
		require.NoError(t, err)
		return stream.CachedInfo().Config.MaxMsgs, stream.CachedInfo().Config.MaxAge
	}
	var told, tell notices
	cfg := c.config("relay", 0)
	cfg.Notice, cfg.MaxMessages = told.add, 1000
	l := open(t, cfg)
	_, err := l.Append(t.Context(), logtest.Records(1, 1, 50))
	require.NoError(t, err)

	cfg.Notice, cfg.MaxMessages = tell.add, 0
	open(t, cfg)
	messages, age := limits()
	require.Equal(t, []any{int64(1000), time.Duration(0)}, []any{messages, age})
	require.Empty(t, tell.wait(t, 0))
	cfg.MaxMessages, cfg.MaxAge = 10, time.Hour
	open(t, cfg)
	messages, age = limits()
	require.Equal(t, []any{int64(10), time.Hour}, []any{messages, age})
	const said = "the log relay keeps the newest 10 messages for 1h0m0s (replicas: 1), and no longer the newest 1000 messages (replicas: 1)"
	require.Equal(t, said, tell.wait(t, 1)[0])
	require.Equal(t, said, told.wait(t, 1)[0], "the other server")
	first, last := l.Bounds()
	require.Equal(t, []uint64{41, 50}, []uint64{first, last})
	require.Zero(t, l.Deletions())

	stream, err := js.Stream(t.Context(), "relay")
	require.NoError(t, err)
	edited := stream.CachedInfo().Config
	edited.MaxMsgs, edited.MaxAge = 20, 0
	_, err = js.UpdateStream(t.Context(), edited)
	require.NoError(t, err)
	told.find(t, "keeps the newest 20 messages (replicas: 1), and")
	_, err = l.Append(t.Context(), logtest.Records(1, 51, 100))
	require.NoError(t, err)
	first, last = l.Bounds()
	require.Equal(t, []uint64{131, 150}, []uint64{first, last})

	cfg.MaxMessages, cfg.MaxAge, cfg.Replicas = 0, 0, 3
	_, err = jetstream.Open(t.Context(), cfg)
	require.ErrorIs(t, err, relay.ErrConfig)
}

// TestReadable: other programs see who has written what, as the documentation says.
func TestReadable(t *testing.T) {
	c := newCluster(t, 1)
	js := connect(t, c)
	l := open(t, c.config("relay", 0))
	live, err := js.Conn().SubscribeSync("relay.m.>")
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600))
	_, err = l.Append(t.Context(), []relay.Record{
		{Run: 0xabc, Number: 7, Username: "ann", Text: "grüße 🙂", At: at},
		{Run: 0xdef, Number: 1, Username: "bob_2-x", Text: "", At: at},
		{Run: 0xabc, Number: 8, Username: "ann", Text: "bye", At: at},
	})
	require.NoError(t, err)
	check := func(header nats.Header, subject, text, wantSubject, wantText, writer, run, number string) {
		t.Helper()
		assert.Equal(t, wantSubject, subject)
		assert.Equal(t, wantText, text)
		for key, want := range map[string]string{"Writer": writer, "Run": run, "Number": number, "Time": "2026-01-02T02:04:05.678901234Z"} {
			assert.Equal(t, []string{want}, header["Udpkit-"+key])
		}
		for key := range header {
			assert.Regexp(t, "^(Udpkit|Nats)-", key)
		}
	}
	for _, want := range [][5]string{
		{"relay.m.ann.0000000000000abc", "grüße 🙂", "ann", "0000000000000abc", "7"},
		{"relay.m.bob_2-x.0000000000000def", "", "bob_2-x", "0000000000000def", "1"},
		{"relay.m.ann.0000000000000abc", "bye", "ann", "0000000000000abc", "8"},
	} {
		m, err := live.NextMsg(10 * time.Second)
		require.NoError(t, err)
		check(m.Header, m.Subject, string(m.Data), want[0], want[1], want[2], want[3], want[4])
	}
	consumer, err := js.OrderedConsumer(t.Context(), "relay", natsjs.OrderedConsumerConfig{FilterSubjects: []string{"relay.m.ann.*"}})
	require.NoError(t, err)
	{
		m, err := consumer.Next()
		require.NoError(t, err)
		check(m.Headers(), m.Subject(), string(m.Data()), "relay.m.ann.0000000000000abc", "grüße 🙂", "ann", "0000000000000abc", "7")
	}
	m, err := consumer.Next()
	require.NoError(t, err)
	require.Equal(t, "bye", string(m.Data()), "bob's is left out")
}

// TestPermissions: a NATS user with the permissions that the documentation lists is enough.
func TestPermissions(t *testing.T) {
	c := newCluster(t, 1)
	c.stop(0)
	var publish []string
	for _, subject := range []string{"$JS.API.STREAM.INFO.", "$JS.API.STREAM.CREATE.", "$JS.API.STREAM.UPDATE.", "$JS.API.STREAM.MSG.GET."} {
		publish = append(publish, subject+"course", subject+"course-clients", subject+"course-names")
	}
	publish = append(publish, "course.m.*.*", "course.c.*.*", "course.n.>", "course.stored",
		"$JS.API.STREAM.NAMES", "$JS.API.STREAM.MSG.DELETE.course-names", "$JS.API.DIRECT.GET.course")
	c.options[0].Users = []*server.User{{Username: "relay", Password: "secret", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: []string{"course.stored", "_INBOX.>"}},
	}}}
	c.start(t, 0)
	cfg := c.config("course", 0)
	cfg.URLs[0] = strings.Replace(cfg.URLs[0], "//", "//relay:secret@", 1)
	cfg.Notice = func(err error) { t.Log(err) }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l, err := jetstream.Open(ctx, cfg)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	cfg.MaxMessages = 1000
	l = open(t, cfg)
	follower := logtest.Follow(t, l, 0)
	_, err = l.Append(ctx, logtest.Records(1, 1, 30))
	require.NoError(t, err)
	_, err = l.Append(ctx, logtest.Records(1, 20, 12))
	require.NoError(t, err)
	follower.Wait(t, 31)
	require.Len(t, logtest.All(t, l), 31)
	require.NoError(t, l.Claim(ctx, "reader.ann", 1, time.Minute))
	require.NoError(t, l.Release(ctx, "reader.ann", 1))
	require.NoError(t, l.Claim(ctx, "reader.ann", 2, time.Minute))
	require.NoError(t, l.SaveClient(ctx, relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}))
	_, err = l.Client(ctx, relay.RoleReader, "ann")
	require.NoError(t, err)
}
