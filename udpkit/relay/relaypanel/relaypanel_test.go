package relaypanel_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
)

// anyPort is where the tests' servers listen.
var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// role is one that runs beside the test.
type role struct {
	out   *paneltest.Buffer
	stop  context.CancelFunc
	ended chan error
}

func start(t *testing.T, run func(context.Context, io.Writer) error) *role {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &role{out: new(paneltest.Buffer), stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- run(ctx, r.out) }()
	t.Cleanup(cancel)
	return r
}

// end waits for the role and returns what it has shown.
func (r *role) end(t *testing.T) (string, error) {
	t.Helper()
	select {
	case err := <-r.ended:
		return r.out.String(), err
	case <-time.After(paneltest.Patience):
		require.FailNow(t, "the role does not end", r.out)
	}
	return "", nil
}

func (r *role) ends(t *testing.T) string {
	t.Helper()
	text, err := r.end(t)
	require.NoError(t, err)
	return text
}

// startServer returns a server and where it is.
func startServer(t *testing.T, cfg relay.ServerConfig, opt relaypanel.Options) (*role, netip.AddrPort) {
	t.Helper()
	started := make(chan netip.AddrPort, 1)
	if !cfg.Listen.IsValid() {
		cfg.Listen = anyPort
	}
	cfg.OnEvent = func(e relay.Event) {
		if e, ok := e.(relay.StartEvent); ok {
			started <- e.Local
		}
	}
	r := start(t, func(ctx context.Context, out io.Writer) error {
		opt.Out = out
		return relaypanel.Server(ctx, cfg, opt)
	})
	select {
	case addr := <-started:
		return r, addr
	case err := <-r.ended:
		require.NoError(t, err, "ended at once")
	}
	return nil, netip.AddrPort{}
}

func startReader(t *testing.T, cfg relay.ReaderConfig, opt relaypanel.Options) *role {
	t.Helper()
	return start(t, func(ctx context.Context, out io.Writer) error {
		opt.Out = out
		return relaypanel.Reader(ctx, cfg, opt)
	})
}

// startWriter returns a writer that writes what in has.
func startWriter(t *testing.T, cfg relay.WriterConfig, in io.Reader, opt relaypanel.Options) *role {
	t.Helper()
	return start(t, func(ctx context.Context, out io.Writer) error {
		opt.Out, opt.In = out, in
		return relaypanel.Writer(ctx, cfg, opt)
	})
}

func startJoin(t *testing.T, cfg relaypanel.JoinConfig, in io.Reader, opt relaypanel.Options) *role {
	t.Helper()
	return start(t, func(ctx context.Context, out io.Writer) error {
		opt.Out, opt.In = out, in
		return relaypanel.Join(ctx, cfg, opt)
	})
}

// keyboard is an input that the test types into.
func keyboard(t *testing.T) (in io.Reader, types func(line string), end func()) {
	t.Helper()
	in, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	return in, func(line string) {
		_, err := io.WriteString(w, line+"\n")
		require.NoError(t, err)
	}, func() { _ = w.Close() }
}

func TestPlainText(t *testing.T) {
	server, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob"}, relaypanel.Options{})
	bob.out.Shows(t, "  * served; #1 comes next\n")
	in, types, end := keyboard(t)
	ann := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, in, relaypanel.Options{})
	types("hello")
	types("") // an empty message
	types("  tab\tand\x1b[2J  ")
	bob.out.Shows(t, "  #1  ann: hello\n")
	bob.out.Shows(t, "  #2  ann: \n")
	bob.out.Shows(t, `  #3  ann:   tab and\x1b[2J  `+"\n")
	end()
	text := ann.ends(t)
	assert.Contains(t, text, "Writer ann of the relay server "+addr.String())
	assert.Contains(t, text, "Ended: all is written, after ")
	assert.Contains(t, text, "stored     3 of 3 messages")
	server.out.Shows(t, "  * writer ann at 127.0.0.1:")
	server.out.Shows(t, "  * reader bob at 127.0.0.1:")
	bob.stop()
	text = bob.ends(t)
	assert.Contains(t, text, "Ended: interrupted, after ")
	assert.Contains(t, text, "delivered  3 messages")
	assert.Contains(t, text, "next       #4")
	server.stop()
	text = server.ends(t)
	assert.Contains(t, text, "Relay server on "+addr.String()+"; the log: empty. Ctrl-C ends it.\n")
	for _, part := range []string{"clients    2 registered; 2 left", "stored     3 messages", "delivered  3 messages", "log        #1 to #3", "writer ann", " left\n"} {
		assert.Contains(t, text, part)
	}
	for _, shown := range []string{text, bob.out.String(), ann.out.String()} {
		assert.NotContains(t, shown, "\x1b")
	}
}

// TestRefusedLines: what cannot be sent is named, and what follows is sent.
func TestRefusedLines(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	in := strings.NewReader("one\n" + strings.Repeat("x", relay.MaxText+1) + "\nnot \xff UTF-8\n" + strings.Repeat("y", 1<<17) + "\r\n" + strings.Repeat("z", relay.MaxText) + "\nlast, without a newline")
	ann := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, in, relaypanel.Options{})
	text, err := ann.end(t)
	require.ErrorIs(t, err, relaypanel.ErrNotStored)
	assert.EqualError(t, err, "not everything is stored: 3 of 6 lines refused")
	for _, part := range []string{
		"! line 2 is not sent: text too long: 1001 bytes, a message has at most 1000\n",
		"! line 3 is not sent: the text is not UTF-8\n",
		"! line 4 is not sent: line too long: 131072 bytes, a message has at most 1000\n",
		"stored     3 of 3 messages",
	} {
		assert.Contains(t, text, part)
	}
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob", MaxMessages: 3}, relaypanel.Options{})
	text = bob.ends(t)
	assert.Contains(t, text, "#3  ann: last, without a newline\n")
	assert.Contains(t, text, "Ended: after 3 messages")
}

// TestServerAway: clients begin before their server, and go on after it.
func TestServerAway(t *testing.T) {
	t.Parallel()
	log := relay.NewMemory(0)
	first, addr := startServer(t, relay.ServerConfig{Log: log}, relaypanel.Options{})
	first.stop()
	first.ends(t)
	in, types, end := keyboard(t)
	ann := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, in, relaypanel.Options{})
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob"}, relaypanel.Options{})
	types("is anybody there?")
	for _, r := range []*role{ann, bob} {
		r.out.Shows(t, "is the server running")
	}
	second, _ := startServer(t, relay.ServerConfig{Log: log, Listen: addr}, relaypanel.Options{})
	bob.out.Shows(t, "#1  ann: is anybody there?\n")
	second.stop()
	second.ends(t)
	for _, r := range []*role{ann, bob} {
		r.out.Shows(t, "has ended; waiting for it to come back")
	}
	types("still there?")
	startServer(t, relay.ServerConfig{Log: log, Listen: addr}, relaypanel.Options{})
	bob.out.Shows(t, "#2  ann: still there?\n")
	end()
	ann.ends(t)
	assert.Equal(t, 2, strings.Count(bob.out.String(), "  * served; "))
}

// TestInterruptedWriter: what is not stored is not forgotten in silence.
func TestInterruptedWriter(t *testing.T) {
	t.Parallel()
	silent := anyPort
	silent = netip.AddrPortFrom(silent.Addr(), 9) // discard: nobody listens
	in, types, _ := keyboard(t)
	ann := startWriter(t, relay.WriterConfig{Servers: []string{silent.String()}, Username: "ann"}, in, relaypanel.Options{})
	types("one")
	types("two")
	types("") // read after the others were taken
	begun := time.Now()
	ann.stop()
	text, err := ann.end(t)
	require.ErrorIs(t, err, relaypanel.ErrNotStored)
	assert.ErrorContains(t, err, "lines not known to be stored")
	assert.Less(t, time.Since(begun), 3*time.Second)
	assert.Contains(t, text, "Ended: interrupted")
	// The same when the time is up, though the lines have ended.
	text, err = startWriter(t, relay.WriterConfig{Servers: []string{silent.String()}, Username: "ann"}, strings.NewReader("one\ntwo\n"), relaypanel.Options{MaxRuntime: 50 * time.Millisecond}).end(t)
	require.EqualError(t, err, "not everything is stored: 2 of 2 lines not known to be stored")
	assert.Contains(t, text, "Ended: time is up")
	assert.Contains(t, text, "stored     0 of 2 messages")
}

func TestJoin(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	annIn, annTypes, annEnd := keyboard(t)
	bobIn, bobTypes, _ := keyboard(t)
	ann := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann"}, annIn, relaypanel.Options{})
	bob := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "bob"}, bobIn, relaypanel.Options{})
	annTypes("hello bob")
	bob.out.Shows(t, "#1  ann: hello bob\n")
	ann.out.Shows(t, "#1  ann (you): hello bob\n")
	bobTypes("hello ann")
	ann.out.Shows(t, "#2  bob: hello ann\n")
	annTypes("the last word")
	annEnd()
	text := ann.ends(t)
	assert.Contains(t, text, "#3  ann (you): the last word\n", "it has come back before the end")
	assert.Contains(t, text, "ann reads and writes at the relay server")
	assert.Contains(t, text, "reader: served; #1 comes next")
	assert.Contains(t, text, "writer: served")
	assert.Contains(t, text, "Ended: all is written")
	assert.Contains(t, text, "delivered  3 messages")
	assert.Contains(t, text, "stored     2 of 2 messages")
	bob.stop()
	assert.Contains(t, bob.ends(t), "Ended: interrupted")

	// Without anybody who types it reads until its end, and what it missed.
	carl := start(t, func(ctx context.Context, out io.Writer) error {
		return relaypanel.Join(ctx, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "carl"}, relaypanel.Options{Out: out})
	})
	carl.out.Shows(t, "#3  ann: the last word\n")
	carl.stop()
	carl.ends(t)
}

// TestJoinWaits: what a Join has written is shown before it ends, also when it has much to read
// before.
func TestJoinWaits(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{Expire: time.Second}, relaypanel.Options{})
	startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, strings.NewReader("first\n"), relaypanel.Options{}).ends(t)
	stored := make(chan struct{})
	var links atomic.Int32
	slow := func(e relay.Event) {
		switch e := e.(type) {
		case relay.LinkEvent:
			links.Add(1)
		case relay.StoredEvent:
			time.AfterFunc(50*time.Millisecond, func() { close(stored) })
		case relay.MessageEvent:
			if e.Seq == 1 {
				<-stored
			}
		}
	}
	bob := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "bob", OnEvent: slow}, strings.NewReader("second\n"), relaypanel.Options{})
	assert.Contains(t, bob.ends(t), "#2  bob (you): second\n")
	assert.EqualValues(t, 2, links.Load(), "the caller gets the relay's events")

	// Nor does it write before it reads, though it reads nothing that is older.
	other := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "carl"}, relaypanel.Options{})
	other.out.Shows(t, "#2")
	carl := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "carl", From: relay.FromNow}, strings.NewReader("third\n"), relaypanel.Options{})
	carl.out.Shows(t, "reader: another reader is carl")
	other.stop()
	assert.Contains(t, carl.ends(t), "#3  carl (you): third\n")
}

// TestSay: lines without anybody who types.
func TestSay(t *testing.T) {
	assert.Empty(t, relaypanel.Numbered(-1))
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	ann := start(t, func(ctx context.Context, out io.Writer) error {
		return relaypanel.Writer(ctx, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, relaypanel.Options{Out: out, Say: []string{"one", "two"}})
	})
	assert.Contains(t, ann.ends(t), "stored     2 of 2 messages")
	nothing := start(t, func(ctx context.Context, out io.Writer) error {
		return relaypanel.Writer(ctx, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, relaypanel.Options{Out: out})
	})
	assert.Contains(t, nothing.ends(t), "Ended: all is written", "nothing is soon written")
	bob := start(t, func(ctx context.Context, out io.Writer) error {
		return relaypanel.Join(ctx, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "bob", From: relay.FromNow}, relaypanel.Options{Out: out, Say: []string{"three"}})
	})
	assert.Contains(t, bob.ends(t), "#3  bob (you): three\n")
}

// events returns the JSON lines of an output.
func events(t *testing.T, out string) (all []map[string]any) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		var e map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e), lines.Text())
		all = append(all, e)
	}
	return all
}

// find returns the events of a kind.
func find(all []map[string]any, kind string) (found []map[string]any) {
	for _, e := range all {
		if e["event"] == kind {
			found = append(found, e)
		}
	}
	return found
}

func TestJSON(t *testing.T) {
	log := relay.NewMemory(3)
	first, addr := startServer(t, relay.ServerConfig{Log: log}, relaypanel.Options{})
	in, types, end := keyboard(t)
	ann := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, in, relaypanel.Options{JSON: true})
	types("1")
	startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob", MaxMessages: 1}, relaypanel.Options{}).ends(t)
	for _, line := range []string{"2", strings.Repeat("x", 2000), "3", "4", "\u202e5 <b>"} {
		types(line)
	}
	end()
	text, err := ann.end(t)
	require.ErrorIs(t, err, relaypanel.ErrNotStored, "a line was refused")
	all := events(t, text)
	stored := find(all, "stored")
	require.Len(t, stored, 5)
	for i, e := range stored {
		assert.EqualValues(t, i+1, e["seq"])
		assert.EqualValues(t, i+1, e["number"])
	}
	refused := find(all, "refused")
	require.Len(t, refused, 1)
	assert.EqualValues(t, 3, refused[0]["line"])
	assert.Contains(t, refused[0]["error"], "2000 bytes")
	assert.EqualValues(t, 5, all[len(all)-1]["stored"])
	assert.Equal(t, "summary", all[len(all)-1]["event"])

	first.stop()
	first.ends(t)
	server, _ := startServer(t, relay.ServerConfig{Log: log, Listen: addr}, relaypanel.Options{JSON: true}) // without what the first has in memory
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob", MaxMessages: 3}, relaypanel.Options{JSON: true})
	text = bob.ends(t)
	assert.NotContains(t, text, "\u202e", "nothing steers a terminal")
	all = events(t, text)
	assert.Equal(t, []map[string]any{{"event": "gap", "from": 2.0, "to": 2.0}}, find(all, "gap"))
	messages := find(all, "message")
	require.Len(t, messages, 3)
	for i, m := range messages {
		assert.EqualValues(t, i+3, m["seq"])
		assert.Equal(t, "ann", m["username"])
		_, err := time.Parse(time.RFC3339Nano, m["at"].(string))
		require.NoError(t, err)
	}
	assert.Equal(t, "\u202e5 <b>", messages[2]["text"], "and the text is what was written")
	assert.EqualValues(t, 1, all[len(all)-1]["missing"])

	carl := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "carl", From: relay.FromNow}, strings.NewReader("6\n"), relaypanel.Options{JSON: true})
	all = events(t, carl.ends(t))
	var roles []any
	for _, e := range append(find(all, "start"), find(all, "link")...) {
		roles = append(roles, e["role"])
	}
	assert.ElementsMatch(t, []any{"reader", "writer", "reader", "writer"}, roles)
	assert.EqualValues(t, 6, find(all, "message")[0]["seq"])
	assert.Len(t, find(all, "summary"), 2)
	server.stop()
	all = events(t, server.ends(t))
	assert.Len(t, find(all, "join"), 3)
	assert.EqualValues(t, 1, all[len(all)-1]["stored"])
	assert.EqualValues(t, 6, all[len(all)-1]["last"])
}

// TestBatches: with a delay messages come together, and are shown together.
func TestBatches(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, strings.NewReader("a\nb\nc\n"), relaypanel.Options{}).ends(t)
	for _, asJSON := range []bool{false, true} {
		out := new(writes)
		ctx, cancel := context.WithCancel(t.Context())
		err := relaypanel.Reader(ctx, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob", From: relay.FromStart, Delay: 50 * time.Millisecond, MaxMessages: 3}, relaypanel.Options{Out: out, JSON: asJSON})
		cancel()
		require.NoError(t, err)
		var together []string
		for _, w := range out.all {
			if strings.Contains(w, "ann") {
				together = append(together, w)
			}
		}
		require.Len(t, together, 1)
		assert.Equal(t, 3, strings.Count(together[0], "\n"))
	}
}

// writes keeps what each call wrote.
type writes struct{ all []string }

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, string(p))
	return len(p), nil
}

// TestFullOutput: what is not written whole is not delivered. The next reader of the name gets it,
// the line that was cut included, and nothing that was written.
func TestFullOutput(t *testing.T) {
	const many = 40
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	said := make([]string, many)
	for i := range said {
		said[i] = fmt.Sprintf("[%d]%s", i+1, strings.Repeat("x", 400-i))
	}
	startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, nil, relaypanel.Options{Say: said}).ends(t)
	// whole returns the numbers of the messages whose line is whole.
	whole := func(out string) (numbers []string) {
		for line := range strings.Lines(out) {
			if _, text, ok := strings.Cut(line, "["); ok && strings.HasSuffix(line, "\n") && strings.Contains(line, strings.Repeat("x", 400-many)) {
				number, _, _ := strings.Cut(text, "]")
				numbers = append(numbers, number)
			}
		}
		return numbers
	}
	for _, asJSON := range []bool{false, true} {
		for _, join := range []bool{false, true} {
			for _, room := range []int{0, 600, 3000, 12_000} {
				name := fmt.Sprintf("bob-%v-%d-%v", asJSON, room, join)
				var got []string
				join := join
				for ; len(got) < many; room = 2*room + 100 {
					out := &disk{room: room}
					opt := relaypanel.Options{Out: out, JSON: asJSON, MaxRuntime: paneltest.Patience}
					var err error
					if join {
						join = false // it would never end by itself
						err = relaypanel.Join(t.Context(), relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: name}, opt)
					} else {
						cfg := relay.ReaderConfig{Servers: []string{addr.String()}, Username: name, MaxMessages: uint64(many - len(got))}
						err = relaypanel.Reader(t.Context(), cfg, opt)
					}
					if got = append(got, whole(out.written.String())...); len(got) < many {
						require.ErrorIs(t, err, syscall.ENOSPC)
						require.NotContains(t, err.Error(), "\n", "said once")
					}
				}
				for i, number := range got {
					require.Equal(t, fmt.Sprint(i+1), number, "each once")
				}
			}
		}
	}
}

// disk is a file on a disk that has room for so many bytes.
type disk struct {
	room    int
	written strings.Builder
}

func (d *disk) Write(p []byte) (int, error) {
	n, _ := d.written.Write(p[:min(len(p), d.room-d.written.Len())])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name+".jsonl") }
	_, err := relaypanel.ReadHistory(file("server"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(file("server"), []byte("of an earlier run\n"), 0o600))
	server, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{History: file("server")})
	startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, strings.NewReader("a\nb\nc\n"), relaypanel.Options{History: file("writer")}).ends(t)
	startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob", MaxMessages: 3}, relaypanel.Options{History: file("reader")}).ends(t)
	server.stop()
	server.ends(t)
	for name, username := range map[string]string{"server": "", "writer": "ann", "reader": "bob"} {
		h, err := relaypanel.ReadHistory(file(name))
		require.NoError(t, err)
		if info, err := os.Stat(file(name)); assert.NoError(t, err) && runtime.GOOS != "windows" {
			assert.Equal(t, fs.FileMode(0o600), info.Mode(), "for its owner only")
		}
		assert.Equal(t, relaypanel.Role(name), h.Role)
		assert.Equal(t, username, h.Username)
		assert.Equal(t, os.Getpid(), h.PID)
		assert.WithinDuration(t, time.Now(), h.Begun, time.Minute)
		require.GreaterOrEqual(t, len(h.Samples), 2, "the beginning and the end")
		first, last := h.Samples[0], h.Samples[len(h.Samples)-1]
		assert.Zero(t, first.Stored+first.Delivered)
		assert.Less(t, first.At, last.At)
		if name != "reader" {
			assert.EqualValues(t, 3, last.Stored)
		}
		if name != "writer" {
			assert.EqualValues(t, 3, last.Delivered)
		}
	}
	require.NoError(t, os.WriteFile(file("torn"), []byte("{\"event\":\"start\",\"role\":\"reader\"}\n{\"ev"), 0o600))
	_, err = relaypanel.ReadHistory(file("torn"))
	assert.ErrorContains(t, err, "line 2")
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestFailures(t *testing.T) {
	discard := relaypanel.Options{Out: io.Discard}
	assert.ErrorIs(t, relaypanel.Reader(t.Context(), relay.ReaderConfig{}, discard), relay.ErrConfig)
	assert.ErrorIs(t, relaypanel.Writer(t.Context(), relay.WriterConfig{Username: "a b"}, discard), relay.ErrConfig)
	assert.ErrorIs(t, relaypanel.Join(t.Context(), relaypanel.JoinConfig{Username: "1"}, discard), relay.ErrConfig)
	assert.ErrorIs(t, relaypanel.Server(t.Context(), relay.ServerConfig{Expire: -1}, discard), relay.ErrConfig)
	err := relaypanel.Server(t.Context(), relay.ServerConfig{Listen: anyPort}, relaypanel.Options{Out: io.Discard, History: t.TempDir()})
	assert.ErrorContains(t, err, "choose another file")

	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	err = relaypanel.Server(t.Context(), relay.ServerConfig{Listen: addr}, discard)
	assert.ErrorContains(t, err, "taken by another program")
	// A display that fails ends the role, and says so.
	broken := errors.New("the screen is gone")
	for _, asJSON := range []bool{false, true} {
		opt := relaypanel.Options{Out: failing{broken}, JSON: asJSON}
		assert.ErrorIs(t, relaypanel.Reader(t.Context(), relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob"}, opt), broken)
		assert.ErrorIs(t, relaypanel.Server(t.Context(), relay.ServerConfig{Listen: anyPort}, opt), broken)
	}
	// So does an input that cannot be read, once what was read is stored.
	in := io.MultiReader(strings.NewReader("one\n"), iotestErr{fs.ErrPermission})
	text, err := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, in, relaypanel.Options{}).end(t)
	assert.ErrorIs(t, err, fs.ErrPermission)
	assert.NotErrorIs(t, err, relaypanel.ErrNotStored)
	assert.Contains(t, text, "stored     1 of 1 message")
}

type iotestErr struct{ error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.error }

// TestNameTaken: the second of a name is told, and the first is not disturbed.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	_, addr := startServer(t, relay.ServerConfig{Expire: time.Second}, relaypanel.Options{})
	in, types, end := keyboard(t)
	first := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann"}, in, relaypanel.Options{})
	types("first")
	first.out.Shows(t, "#1  ann (you): first\n")
	second := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann"}, strings.NewReader("second\n"), relaypanel.Options{})
	second.out.Shows(t, "in case it is gone")
	text, err := second.end(t)
	assert.ErrorIs(t, err, relay.ErrNameTaken)
	assert.ErrorIs(t, err, relaypanel.ErrNotStored)
	assert.NotContains(t, err.Error(), "\n", "one line")
	assert.Contains(t, text, "Ended: by a failure")
	types("still here")
	end()
	text = first.ends(t)
	assert.Contains(t, text, "#2  ann (you): still here\n")
	assert.NotContains(t, text, "second")
}

// TestManyMessages: what comes at once is shown in large pieces, all of it.
func TestManyMessages(t *testing.T) {
	const many = 20_000
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	ann := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, nil, relaypanel.Options{Say: relaypanel.Numbered(many)})
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob", MaxMessages: many}, relaypanel.Options{})
	assert.Contains(t, ann.ends(t), "stored     20,000 of 20,000 messages")
	text := bob.ends(t)
	n := 0
	for line := range strings.Lines(text) {
		if _, rest, ok := strings.Cut(line, "  #"); ok && strings.Contains(rest, ":") {
			n++
			require.Equal(t, fmt.Sprintf("%d  ann: line %d\n", n, n), rest)
		}
	}
	assert.Equal(t, many, n)
}

// TestUntrusted: what a key has refused is told when it comes, and counted in the end; without any
// nothing is said of it.
func TestUntrusted(t *testing.T) {
	ring := testenv.Ring(t)
	server, addr := startServer(t, relay.ServerConfig{Key: ring}, relaypanel.Options{})
	ann := startJoin(t, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann", Key: ring, Seal: true}, strings.NewReader("hello"), relaypanel.Options{})
	text := ann.ends(t)
	assert.Contains(t, text, "ann (you): hello")
	assert.NotContains(t, text, "untrusted")
	eve := startWriter(t, relay.WriterConfig{Servers: []string{addr.String()}, Username: "eve"}, strings.NewReader("forged"), relaypanel.Options{})
	server.out.Shows(t, "it is not signed, and a key is set here")
	eve.stop()
	_, err := eve.end(t)
	assert.ErrorIs(t, err, relaypanel.ErrNotStored)
	server.stop()
	assert.Regexp(t, `\n  untrusted  \d+ unsigned\n?`, server.ends(t))
}

// Who turns to another server reads that, and a writer too that this one has another log.
func TestServers(t *testing.T) {
	first, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	_, other := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	servers := []string{addr.String(), other.String()}
	in, keyboard := io.Pipe()
	ann := startWriter(t, relay.WriterConfig{Servers: servers, Username: "ann"}, in, relaypanel.Options{})
	ann.out.Shows(t, fmt.Sprintf("Writer ann of the relay servers %v, %v. ", addr, other))
	ann.out.Shows(t, fmt.Sprintf("  * served by %v\n", addr))
	first.stop()
	first.ends(t)
	ann.out.Shows(t, "  * the server has another log than before: what is stored so far is in the old one")
	ann.out.Shows(t, fmt.Sprintf("  * served by %v\n", other))
	require.NoError(t, keyboard.Close())
	ann.ends(t)

	text, err := startWriter(t, relay.WriterConfig{Servers: []string{addr.String(), "127.0.0.1:9"}, Username: "ann"}, strings.NewReader("one\n"),
		relaypanel.Options{MaxRuntime: 50 * time.Millisecond}).end(t)
	require.ErrorIs(t, err, relaypanel.ErrNotStored)
	assert.Contains(t, text, "Writer ann of the relay servers ")
}
