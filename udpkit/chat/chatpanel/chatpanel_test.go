package chatpanel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat/chatpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// role is one that runs beside the test.
type role struct {
	out   *paneltest.Buffer
	types *io.PipeWriter
	addr  netip.AddrPort // where it listens, or is connected
	stop  context.CancelFunc
	ended chan error
}

// startRole starts chatpanel.Server, or chatpanel.Client if there is an address.
func startRole(t *testing.T, server netip.AddrPort, opt chatpanel.Options) *role {
	t.Helper()
	in, types := io.Pipe()
	r := &role{out: new(paneltest.Buffer), types: types, ended: make(chan error, 1)}
	opt.In = in
	if opt.Out == nil {
		opt.Out = r.out
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	started := make(chan netip.AddrPort, 1)
	on := func(e chat.Event) {
		if e, ok := e.(chat.StartEvent); ok {
			started <- e.Local
		}
	}
	go func() {
		if server.IsValid() {
			r.ended <- chatpanel.Client(ctx, chat.ClientConfig{Server: server, OnEvent: on}, opt)
		} else {
			r.ended <- chatpanel.Server(ctx, chat.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), OnEvent: on}, opt)
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = types.Close()
	})
	select {
	case r.addr = <-started:
	case err := <-r.ended:
		require.NoError(t, err, "ended at once")
	}
	return r
}

func (r *role) says(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(r.types, line+"\n")
	require.NoError(t, err)
}

func (r *role) end(t *testing.T) string {
	t.Helper()
	select {
	case err := <-r.ended:
		require.NoError(t, err)
	case <-time.After(paneltest.Patience):
		require.Fail(t, "the role does not end", r.out)
	}
	return r.out.String()
}

func TestPlainText(t *testing.T) {
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{})
	ann, bob := startRole(t, server.addr, chatpanel.Options{}), startRole(t, server.addr, chatpanel.Options{})
	bob.out.Shows(t, "you are")
	ann.out.Shows(t, bob.addr.String()+" joined")
	ann.says(t, "/name ann")
	bob.out.Shows(t, "is now ann")
	ann.says(t, "  hello  ")
	bob.out.Shows(t, "  ann: hello\n")
	server.out.Shows(t, "  ann: hello\n")
	server.says(t, "hi")
	ann.out.Shows(t, "  server: hi\n")
	ann.says(t, strings.Repeat("x", chat.MaxLine+1))
	ann.out.Shows(t, "the limit is 4096")
	ann.says(t, "Exit")
	assert.Contains(t, ann.end(t), "Ended: by exit, after ")
	bob.stop()
	assert.Contains(t, bob.end(t), "Ended: interrupted, after ")
	server.out.Shows(t, bob.addr.String()+" left")
	server.says(t, "exit")
	text := server.end(t)
	assert.Contains(t, text, "clients    2")
	assert.Contains(t, text, "messages   1, and 1 of the operator")
	assert.Contains(t, text, "left       2 left")
	assert.NotContains(t, text, "\x1b")
}

func TestServerClosed(t *testing.T) {
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{MaxRuntime: 300 * time.Millisecond})
	client := startRole(t, server.addr, chatpanel.Options{})
	assert.Contains(t, server.end(t), "Ended: time is up")
	text := client.end(t)
	assert.Contains(t, text, "* the server has ended")
	assert.Contains(t, text, "Ended: the server closed the connection")
}

// TestTakingTurns: two without anybody who types.
func TestTakingTurns(t *testing.T) {
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{Say: []string{"hello yourself", "bye", "exit"}})
	client := startRole(t, server.addr, chatpanel.Options{Say: []string{"hello", "how are you?", "exit"}})
	text := client.end(t)
	assert.Regexp(t, `(?s)you: hello\n.*server: hello yourself\n.*you: how are you\?\n.*server: bye\n.*Ended: by exit`, text)
	assert.Contains(t, server.out.String(), ": how are you?\n")
}

func TestJSON(t *testing.T) {
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{JSON: true})
	client := startRole(t, server.addr, chatpanel.Options{})
	client.says(t, "hello <b>")
	server.out.Shows(t, `"text":"hello`)
	client.says(t, "exit")
	client.end(t)
	server.out.Shows(t, `{"event":"leave",`)
	server.stop()
	text := server.end(t)
	for _, part := range []string{`{"event":"start",`, `{"event":"join","client":"127.0.0.1:`, `{"event":"message","from":"127.0.0.1:`, `"reason":"left"`, `{"event":"summary","accepted":1,`} {
		assert.Contains(t, text, part)
	}
}

func TestFailures(t *testing.T) {
	err := chatpanel.Client(t.Context(), chat.ClientConfig{Name: "a b"}, chatpanel.Options{Out: io.Discard})
	assert.ErrorIs(t, err, chat.ErrConfig)
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{})
	err = chatpanel.Server(t.Context(), chat.ServerConfig{Listen: server.addr}, chatpanel.Options{Out: io.Discard})
	assert.ErrorContains(t, err, "taken by another program")
	// A display that fails ends the role, and says so.
	broken := errors.New("the screen is gone")
	err = chatpanel.Client(t.Context(), chat.ClientConfig{Server: server.addr}, chatpanel.Options{Out: failing{broken}})
	assert.ErrorIs(t, err, broken)
	server.stop()
	server.end(t)
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

// TestKeyIsShown: that a chat is encrypted, and how to join it then.
func TestKeyIsShown(t *testing.T) {
	pass := func(_ context.Context, conn net.Conn) (net.Conn, error) { return conn, nil } // no key at all
	out := new(paneltest.Buffer)
	started := make(chan netip.AddrPort, 1)
	cfg := chat.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Secure: pass, OnEvent: func(e chat.Event) {
		if e, ok := e.(chat.StartEvent); ok {
			started <- e.Local
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- chatpanel.Server(ctx, cfg, chatpanel.Options{Out: out}) }()
	at := <-started
	out.Shows(t, fmt.Sprintf("Chat server on %v, encrypted with the key. ", at))
	out.Shows(t, fmt.Sprintf("Join with: udpkit chat client --key-file FILE --address ADDRESS:%d\n", at.Port()))
	hers := new(paneltest.Buffer)
	go func() {
		ended <- chatpanel.Client(ctx, chat.ClientConfig{Server: at, Secure: pass}, chatpanel.Options{Out: hers})
	}()
	hers.Shows(t, fmt.Sprintf("Connected to %v, encrypted with the key. ", at))
	cancel()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
}
