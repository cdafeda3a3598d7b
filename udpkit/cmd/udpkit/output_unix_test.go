//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// unread is a pipe that nobody reads: r would, w is a command's. fill makes it full.
func unread(t *testing.T) (r, w *os.File, fill func()) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	open := func(flag int) *os.File {
		file, err := os.OpenFile(name, flag, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = file.Close() })
		return file
	}
	r, w = open(os.O_RDONLY|syscall.O_NONBLOCK), open(os.O_WRONLY)
	return r, w, func() {
		t.Helper()
		w := open(os.O_WRONLY) // os/exec makes the command's a blocking one
		for _, size := range []int{4096, 1} {
			for err := error(nil); err == nil; {
				require.NoError(t, w.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
				_, err = w.Write(make([]byte, size))
				require.True(t, err == nil || errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
			}
		}
		require.NoError(t, w.Close())
	}
}

// TestEndsUnread: whoever ends a command does not wait for a reader of its output, and is told what
// became of it.
func TestEndsUnread(t *testing.T) {
	type running struct {
		*process
		what string
		end  func()
	}
	var all []running
	for _, args := range []string{
		"server --target 127.255.255.255 --port PORT --interval 10ms",
		"server --target 127.255.255.255 --port PORT --json",
		"client --port PORT",
		"beacon --target 127.255.255.255 --port PORT",
		"beacon --target 127.255.255.255 --port PORT --json",
		"chat server --address 127.0.0.1 --port 0",
		"relay server --address 127.0.0.1 --port 0 --data DIR",
		"relay reader --username ann --port PORT",
		"relay reader --username ann --port PORT --json",
		"relay writer --username ann --port PORT",
		"relay join --username ann --port PORT",
		"echo server --port 0",
		"responder --port 0",
	} {
		for _, how := range []string{"SIGTERM", "--max-runtime"} {
			list := strings.Fields(strings.NewReplacer("PORT", freePort(t), "DIR", t.TempDir()).Replace(args))
			if how == "--max-runtime" {
				if list[0] == "echo" || list[0] == "responder" {
					continue
				}
				list = append(list, "--max-runtime", "1s")
			}
			r, w, fill := unread(t)
			p := prepare(t, list...)
			p.Stdout = w
			in, err := p.StdinPipe() // the input of a writer does not end
			require.NoError(t, err)
			defer in.Close()
			end := func() {}
			if how == "SIGTERM" {
				require.NoError(t, p.Start())
				_, err = r.Read(make([]byte, 1)) // it has begun
				require.NoError(t, err)
				fill()
				end = func() { require.NoError(t, p.Process.Signal(syscall.SIGTERM), args) }
			} else {
				fill()
				require.NoError(t, p.Start())
			}
			all = append(all, running{p, args + " " + how, end})
		}
	}
	_, w, fill := unread(t)
	fill()
	p := prepare(t, "client", "--port", freePort(t), "--max-runtime", "10ms")
	p.Stdout, p.Stderr = w, w // neither can be read
	require.NoError(t, p.Start())
	for _, p := range all {
		p.end()
	}
	// They take 1.5 s, and the machine may be busy.
	late := time.AfterFunc(10*time.Second, func() {
		for _, p := range all {
			_ = p.Process.Kill()
		}
	})
	defer late.Stop()
	for _, p := range all {
		_ = p.Wait()
		assert.Equal(t, 1, p.ProcessState.ExitCode(), p.what)
		assert.Contains(t, p.stderr.String(), "nobody reads the output, and the end of it is lost\n", p.what)
		assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line from %s: %s", p.what, &p.stderr)
	}
	_ = p.Wait()
	assert.Equal(t, 1, p.ProcessState.ExitCode())
}

// TestSlowOutput: as long as nobody ends the command, it waits for the reader of its output, which
// gets everything.
func TestSlowOutput(t *testing.T) {
	r, w, fill := unread(t)
	fill()
	p := prepare(t, "client", "--port", freePort(t), "--max-runtime", "10ms")
	p.Stdout = w
	require.NoError(t, p.Start())
	require.NoError(t, w.Close())
	out, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Contains(t, string(bytes.TrimLeft(out, "\x00")), "Ended: time is up")
	assert.NoError(t, p.Wait(), &p.stderr)
}

// TestKilledUnread: a reader whose output nobody reads is killed. The next one of its name gets
// everything that the first had not written whole.
func TestKilledUnread(t *testing.T) {
	const many = 2000
	started := make(chan netip.AddrPort, 1)
	server, err := relay.NewServer(relay.ServerConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Expire: time.Second,
		OnEvent: func(e relay.Event) {
			if e, ok := e.(relay.StartEvent); ok {
				started <- e.Local
			}
		},
	})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(t.Context()) }()
	t.Cleanup(func() { require.NoError(t, server.Close()); <-ended })
	port := fmt.Sprint((<-started).Port())
	writer, in := talking(t, "relay", "writer", "--username", "ann", "--port", port)
	for i := range many {
		types(t, in, fmt.Sprint(i+1, " ", strings.Repeat("x", 100)))
	}
	require.NoError(t, in.Close())
	writer.until("Ended: all is written")
	require.NoError(t, writer.Wait())

	seqs := func(out []byte) (list []uint64) {
		for line := range bytes.Lines(out) {
			var m struct {
				Event string `json:"event"`
				Seq   uint64 `json:"seq"`
			}
			if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &m) == nil && m.Event == "message" {
				list = append(list, m.Seq)
			}
		}
		return list
	}
	for _, delay := range []string{"0", "0.2"} {
		r, w, _ := unread(t)
		first := prepare(t, "relay", "reader", "--username", "bob"+delay[len(delay)-1:], "--port", port, "--json", "--delay", delay)
		first.Stdout = w
		require.NoError(t, first.Start())
		require.Eventually(t, func() bool {
			for _, c := range server.Clients() {
				if c.Role == relay.RoleReader && c.Lag == 0 {
					return true // it has got everything
				}
			}
			return false
		}, 30*time.Second, 5*time.Millisecond)
		time.Sleep(500 * time.Millisecond) // a wrong one would say by now that it had delivered all
		require.NoError(t, first.Process.Kill())
		_ = first.Wait()
		require.NoError(t, w.Close())
		out, err := io.ReadAll(r)
		require.NoError(t, err)
		written := seqs(out)
		require.NotEmpty(t, written)
		require.Less(t, len(written), many)
		next := command(t, "relay", "reader", "--username", "bob"+delay[len(delay)-1:], "--port", port, "--json")
		again := next.event("message")["seq"].(float64)
		next.interrupted(syscall.SIGTERM)
		assert.LessOrEqual(t, int(again), len(written)+1, "nothing is left out between %d and it", len(written))
		t.Logf("%d were written, the next reader begins at %v", len(written), again)
	}
}
