package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// recordedIn returns the datagrams of a recording once it has that many.
func recordedIn(t *testing.T, file string, count int) (all []record.Packet) {
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		all = nil
		for p, err := range record.Read(bytes.NewReader(content)) {
			require.NoError(t, err)
			all = append(all, p)
		}
		return len(all) >= count
	}, 30*time.Second, 10*time.Millisecond)
	return all
}

// TestEchoIsRecorded: a client has what it sends and what comes back, a server the same the other
// way round.
func TestEchoIsRecorded(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	atServer, atClient := filepath.Join(dir, "server.pcapng"), filepath.Join(dir, "client.pcapng")
	command(t, "echo", "server", "--port", port, "--json", "--record", atServer).event("start")
	client := prepare(t, "echo", "client", "--port", port, "--record", atClient)
	client.Stdin = strings.NewReader("hello\n")
	require.NoError(t, client.Start())
	assert.Contains(t, client.rest(), "0 failed; recorded in "+atClient)
	require.NoError(t, client.Wait())
	a, b := recordedIn(t, atClient, 2), recordedIn(t, atServer, 2)
	require.Len(t, a, 2)
	require.Len(t, b, 2)
	for i := range a {
		assert.Equal(t, "hello", string(a[i].Payload))
		assert.Equal(t, i == 0, a[i].Sent)
		assert.Equal(t, i == 1, b[i].Sent)
		assert.Equal(t, a[i].From, b[i].From)
		assert.Equal(t, a[i].To, b[i].To)
		assert.Equal(t, a[i].Payload, b[i].Payload)
	}
}

// TestBeaconsAreRecorded: what a beacon hears is recorded with the address that it was sent to, and
// what the beacon has made of it.
func TestBeaconsAreRecorded(t *testing.T) {
	file, port := filepath.Join(t.TempDir(), "ann.pcapng"), freePort(t)
	args := []string{"beacon", "--port", port, "--target", "127.255.255.255", "--interval", "50ms", "--json"}
	ann := command(t, append(args, "--name", "ann", "--record", file)...)
	ann.event("start")
	command(t, append(args, "--name", "bob")...)
	ann.event("appeared")
	said := map[string]string{}
	for len(said) < 3 {
		for _, p := range recordedIn(t, file, 1) {
			assert.Equal(t, "127.255.255.255:"+port, p.To.String())
			name := strings.Split(string(p.Payload), "|")[1]
			switch {
			case p.Sent:
				assert.Equal(t, "ann", name)
				said["sent"] = name
			case p.Verdict != "":
				said[p.Verdict] = name
			}
		}
	}
	assert.Equal(t, map[string]string{"sent": "ann", "own": "ann", "appeared": "bob"}, said)
}

// TestRelayIsRecorded: server, writer and reader have the same datagrams, sealed as they were on
// their way; neither the key nor what was said is in the files.
func TestRelayIsRecorded(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	keys := filepath.Join(dir, "class.key")
	made := command(t, "key", "new", keys)
	made.rest()
	require.NoError(t, made.Wait())
	file := func(role string) string { return filepath.Join(dir, role+".pcapng") }
	role := func(name string, args ...string) *process {
		args = append([]string{"relay", name, "--port", port, "--json", "--key-file", keys, "--seal", "--record", file(name)}, args...)
		return prepare(t, args...)
	}
	server := role("server", "--address", "127.0.0.1")
	require.NoError(t, server.Start())
	server.event("start")
	reader := role("reader", "--username", "bob")
	require.NoError(t, reader.Start())
	writer := role("writer", "--username", "ann")
	writer.Stdin = strings.NewReader("a secret\n")
	require.NoError(t, writer.Start())
	assert.Equal(t, "a secret", reader.event("message")["text"])
	writer.rest()
	require.NoError(t, writer.Wait())
	assert.Contains(t, writer.stderr.String(), "recorded in "+file("writer"))

	sent := map[string]bool{}
	require.Eventually(t, func() bool { // all that was received was sent, also by those that go on
		var received []string
		for _, name := range []string{"reader", "writer", "server"} {
			for _, p := range recordedIn(t, file(name), 4) {
				datagram := p.From.String() + " " + p.To.String() + " " + string(p.Payload)
				if assert.Empty(t, p.Verdict); p.Sent {
					sent[datagram] = true
				} else {
					received = append(received, datagram)
				}
			}
		}
		return !slices.ContainsFunc(received, func(datagram string) bool { return !sent[datagram] })
	}, 30*time.Second, 10*time.Millisecond)
	assert.GreaterOrEqual(t, len(sent), 8)
	secret, err := os.ReadFile(keys)
	require.NoError(t, err)
	for _, name := range []string{"server", "writer", "reader"} {
		content, err := os.ReadFile(file(name))
		require.NoError(t, err)
		assert.NotContains(t, string(content), "a secret")
		for _, word := range strings.Fields(string(secret)) {
			if raw, err := base64.StdEncoding.DecodeString(word); err == nil && len(raw) >= 16 {
				assert.NotContains(t, string(content), string(raw))
			}
			if len(word) >= 16 {
				assert.NotContains(t, string(content), word)
			}
		}
	}
}

// TestChatIsRecorded: Wireshark follows the rebuilt stream, and finds no fault in it; with a key
// there is nothing to read.
func TestChatIsRecorded(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		testenv.Skip(t, "there is no tshark here")
	}
	keys := filepath.Join(t.TempDir(), "class.key")
	made := command(t, "key", "new", keys)
	made.rest()
	require.NoError(t, made.Wait())
	for name, with := range map[string][]string{"open": nil, "with a key": {"--key-file", keys}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			atServer, atClient := filepath.Join(dir, "server.pcapng"), filepath.Join(dir, "client.pcapng")
			server, operator, port := chatServer(t, append(with, "--record", atServer)...)
			ann, types1 := talking(t, append([]string{"chat", "client", "--port", port, "--name", "ann", "--record", atClient}, with...)...)
			ann.until("is now ann")
			types(t, types1, "hello there")
			server.until("  ann: hello there")
			types(t, operator, "hello ann")
			ann.until("server: hello ann")
			types(t, types1, "exit")
			assert.Contains(t, ann.rest(), "Ended: by exit, recorded in "+atClient)
			require.NoError(t, ann.Wait())
			types(t, operator, "exit")
			server.rest()
			require.NoError(t, server.Wait())
			for _, file := range []string{atServer, atClient} {
				out, err := exec.CommandContext(t.Context(), tshark, "-r", file, "-q", "-z", "follow,tcp,ascii,0").Output()
				require.NoError(t, err)
				for _, said := range []string{"/name ann", "hello there", "server: hello ann"} {
					assert.Equal(t, with == nil, strings.Contains(string(out), said), "%s: %s", said, out)
				}
				fault := "tcp.analysis.flags || tcp.checksum.status == 0 || _ws.malformed"
				out, err = exec.CommandContext(t.Context(), tshark, "-r", file, "-o", "tcp.check_checksum:TRUE", "-Y", fault).Output()
				require.NoError(t, err)
				assert.Empty(t, string(out))
				out, err = exec.CommandContext(t.Context(), tshark, "-r", file, "-Y", "tcp.flags.syn == 1 || tcp.flags.fin == 1").Output()
				require.NoError(t, err)
				want := 4
				if with != nil {
					want-- // who has said in TLS that it ends is not read any more
				}
				assert.Equal(t, want, strings.Count(string(out), "\n"), string(out))
			}
		})
	}
}
