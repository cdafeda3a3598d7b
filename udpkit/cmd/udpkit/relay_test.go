package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// relayServer starts a server on a port, 0 for a free one, and returns that.
func relayServer(t *testing.T, port, data string, args ...string) (*process, string) {
	t.Helper()
	if port == "0" { // as a free one that the system gives to nobody else before the server is started again
		port = freePort(t)
	}
	s := command(t, append([]string{"relay", "server", "--address", "127.0.0.1", "--port", port, "--data", data, "--json"}, args...)...)
	local := s.event("start")["local"].(string)
	return s, strings.TrimPrefix(local, "127.0.0.1:")
}

// interrupted ends a command as Ctrl-C does and returns its summary.
func (p *process) interrupted(signal os.Signal) map[string]any {
	p.t.Helper()
	begun := time.Now()
	require.NoError(p.t, p.Process.Signal(signal))
	sum := p.event("summary")
	_ = p.rest()
	assert.NoError(p.t, p.Wait(), &p.stderr)
	assert.Less(p.t, time.Since(begun), 3*time.Second)
	return sum
}

// TestRelay is the main job in terminals: readers and writers around a server that is killed in
// between.
func TestRelay(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	data := filepath.Join(t.TempDir(), "log")
	server, port := relayServer(t, "0", data)
	early := command(t, "relay", "reader", "--username", "early", "--port", port, "--json")
	early.event("link")
	writer, types1 := talking(t, "relay", "writer", "--username", "ann", "--address", "localhost", "--port", port, "--json")
	join, types2 := talking(t, "relay", "join", "--username", "bob", "--port", port)
	const each = 20
	sent := map[string]bool{}
	say := func(to io.Writer, who string, from int) {
		for i := from; i < from+each/2; i++ {
			types(t, to, fmt.Sprintf("%d", i))
			sent[fmt.Sprintf("%s: %d", who, i)] = true
		}
	}
	say(types1, "ann", 1)
	say(types2, "bob", 1)
	join.until("bob (you): 10")
	for range each / 2 {
		writer.event("stored")
	}
	require.NoError(t, server.Process.Kill())
	_ = server.Wait()
	say(types1, "ann", 1+each/2)
	say(types2, "bob", 1+each/2)
	require.NoError(t, types1.Close())
	join.until("is the server running")
	for e := writer.event("link"); e["up"] != false; e = writer.event("link") {
	}
	server, _ = relayServer(t, port, data)
	for i := range each / 2 {
		assert.EqualValues(t, 1+each/2+i, writer.event("stored")["number"])
	}
	assert.EqualValues(t, each, writer.event("summary")["stored"])
	require.NoError(t, writer.Wait(), "all is stored")
	join.until("bob (you): 20")
	require.NoError(t, types2.Close(), "the end of the input leaves")
	join.until("Ended: all is written")
	assert.NoError(t, join.Wait())

	late := command(t, "relay", "reader", "--username", "late", "--from", "start", "--port", port, "--json")
	for _, reader := range []*process{early, late} {
		got := map[string]bool{}
		for seq := 1; seq <= 2*each; seq++ {
			m := reader.event("message")
			assert.EqualValues(t, seq, m["seq"], "in order, and without a hole")
			text := fmt.Sprintf("%s: %s", m["username"], m["text"])
			assert.False(t, got[text], "twice: %s", text)
			got[text] = true
			_, err := time.Parse(time.RFC3339Nano, m["at"].(string))
			assert.NoError(t, err)
		}
		assert.Equal(t, sent, got)
	}
	assert.EqualValues(t, 2*each, early.interrupted(os.Interrupt)["delivered"])
	assert.EqualValues(t, 2*each, late.interrupted(syscall.SIGTERM)["delivered"])
	assert.EqualValues(t, 2*each, server.interrupted(syscall.SIGTERM)["last"])
}

// TestRelayRetention: what is not kept is a gap, and a name goes on where it was.
func TestRelayRetention(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	data := filepath.Join(t.TempDir(), "log")
	server, port := relayServer(t, "0", data, "--sync", "periodic")
	write := func(lines string) {
		w, in := talking(t, "relay", "writer", "--username", "ann", "--port", port)
		_, err := io.WriteString(in, lines)
		require.NoError(t, err)
		require.NoError(t, in.Close())
		w.until("Ended: all is written")
		require.NoError(t, w.Wait(), &w.stderr)
	}
	write("1\n2\n")
	reader := command(t, "relay", "reader", "--username", "bob", "--delay", "0.01", "--port", port, "--json")
	reader.event("message")
	reader.event("message")
	reader.interrupted(os.Interrupt)
	write("3\n4\n5\n6\n")
	server.interrupted(os.Interrupt)
	server, port = relayServer(t, port, data, "--retain-messages", "2") // without what an earlier server has in memory
	reader = command(t, "relay", "reader", "--username", "bob", "--port", port, "--json")
	gap := reader.event("gap")
	assert.EqualValues(t, 3, gap["from"])
	assert.EqualValues(t, 4, gap["to"])
	assert.EqualValues(t, 5, reader.event("message")["seq"])
	assert.EqualValues(t, 6, reader.event("message")["seq"])
	sum := reader.interrupted(os.Interrupt)
	assert.EqualValues(t, 2, sum["missing"])
	server.interrupted(os.Interrupt)
}

// TestRelayNotStored: the exit code tells, and which lines it was.
func TestRelayNotStored(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	_, port := relayServer(t, "0", t.TempDir())
	writer, in := talking(t, "relay", "writer", "--username", "ann", "--port", port)
	_, err := io.WriteString(in, "one\n"+strings.Repeat("x", 1001)+"\nthree")
	require.NoError(t, err)
	require.NoError(t, in.Close())
	writer.until("! line 2 is not sent: text too long: 1001 bytes, a message has at most 1000")
	assert.Contains(t, writer.rest(), "stored     2 of 2 messages")
	_ = writer.Wait()
	assert.Equal(t, 1, writer.ProcessState.ExitCode())
	assert.Equal(t, "udpkit relay writer: not everything is stored: 1 of 3 lines refused\n", writer.stderr.String())

	writer, in = talking(t, "relay", "writer", "--username", "ann", "--port", "9")
	writer.until("is the server running")
	types(t, in, "one")
	types(t, in, strings.Repeat("x", 1001))
	writer.until("! line 2 is not sent") // so it has line 1
	begun := time.Now()
	require.NoError(t, writer.Process.Signal(os.Interrupt))
	writer.until("Ended: interrupted")
	_ = writer.rest()
	_ = writer.Wait()
	assert.Less(t, time.Since(begun), 3*time.Second)
	assert.Equal(t, 1, writer.ProcessState.ExitCode())
	assert.Equal(t, "udpkit relay writer: not everything is stored: 1 of 2 lines not known to be stored, 1 of 2 lines refused\n", writer.stderr.String())
}

// TestRelayData: the log is where the user's programs keep data, one for each port.
func TestRelayData(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the variable is of other systems")
	}
	home, port := t.TempDir(), freePort(t)
	server := prepare(t, "relay", "server", "--address", "127.0.0.1", "--port", port)
	server.Env = append(server.Env, "XDG_DATA_HOME="+home)
	require.NoError(t, server.Start())
	dir := filepath.Join(home, "udpkit", "relay-"+port)
	assert.Contains(t, server.until("Relay server on"), "the log in "+dir+": empty")
	assert.DirExists(t, dir)

	second := command(t, "relay", "server", "--address", "127.0.0.1", "--port", "0", "--data", dir)
	assert.Empty(t, second.rest())
	_ = second.Wait()
	assert.Equal(t, 1, second.ProcessState.ExitCode())
	assert.Contains(t, second.stderr.String(), "in use")
	taken := command(t, "relay", "server", "--address", "127.0.0.1", "--port", port, "--data", t.TempDir())
	assert.Empty(t, taken.rest())
	_ = taken.Wait()
	assert.Equal(t, 1, taken.ProcessState.ExitCode())
	assert.Contains(t, taken.stderr.String(), "choose another port")
	require.NoError(t, server.Process.Signal(os.Interrupt))
	assert.Contains(t, server.rest(), "Ended: interrupted")
	assert.NoError(t, server.Wait())
}

// TestRelayNATS: the server waits for NATS and says so; a log whose name others have there is
// refused, and the sentence says how to go on; limits are changed only if they are given.
func TestRelayNATS(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := free.Addr().(*net.TCPAddr)
	require.NoError(t, free.Close())
	args := []string{"relay", "server", "--address", "127.0.0.1", "--port", "0", "--json", "--nats", "nats://ann:secret@" + at.String()}
	start := func(more ...string) *process { return command(t, append(slices.Clone(args), more...)...) }
	early := prepare(t, append(slices.Clone(args), "--stream", "course", "--retain-messages", "10")...)
	early.Cmd.Stderr = nil
	said, err := early.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, early.Start())
	line, err := bufio.NewReader(said).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "waiting for NATS at "+at.String())
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: at.Port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()})
	require.NoError(t, err)
	nats.Start()
	defer nats.WaitForShutdown()
	defer nats.Shutdown()
	early.event("start")
	early.interrupted(os.Interrupt)

	nc, err := natsgo.Connect(nats.ClientURL())
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "relay", Subjects: []string{"orders.>"}})
	require.NoError(t, err)
	second := start()
	assert.Empty(t, second.rest())
	_ = second.Wait()
	assert.Equal(t, 2, second.ProcessState.ExitCode())
	assert.Contains(t, second.stderr.String(), "no relay has made the stream relay; choose another name with --stream NAME (see ")

	limits := func() [2]int64 {
		stream, err := js.Stream(t.Context(), "course")
		require.NoError(t, err)
		cfg := stream.CachedInfo().Config
		return [2]int64{cfg.MaxMsgs, int64(cfg.MaxAge)}
	}
	assert.Equal(t, [2]int64{10, 0}, limits())
	for _, run := range []struct {
		flags string
		want  [2]int64
		says  string
	}{
		{"", [2]int64{10, 0}, ""},
		{"--retain-age 1h", [2]int64{10, int64(time.Hour)}, "keeps the newest 10 messages for 1h0m0s (replicas: 1), and no longer the newest 10 messages (replicas: 1)"},
		{"--retain-messages 1000000", [2]int64{1_000_000, int64(time.Hour)}, "keeps the newest 1000000"},
		{"--retain-age 0", [2]int64{1_000_000, 0}, "no longer the newest 1000000 messages for 1h"},
	} {
		s := start(append([]string{"--stream", "course"}, strings.Fields(run.flags)...)...)
		s.event("start")
		s.interrupted(os.Interrupt)
		assert.Equal(t, run.want, limits(), run.flags)
		assert.Contains(t, s.stderr.String(), run.says)
		assert.Equal(t, run.says != "", strings.Contains(s.stderr.String(), "no longer"), s.stderr.String())
	}
}

// TestRelayLog: the log of a server that runs can be read and copied, and shows what was written,
// and nothing that steers a terminal.
func TestRelayLog(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	data := filepath.Join(t.TempDir(), "log")
	server, port := relayServer(t, "0", data)
	for _, name := range []string{"ann", "bob"} {
		w, in := talking(t, "relay", "writer", "--username", name, "--port", port)
		_, err := io.WriteString(in, "one of "+name+"\n\x1b[31mtwo\u202e\n")
		require.NoError(t, err)
		require.NoError(t, in.Close())
		w.until("Ended: all is written")
		require.NoError(t, w.Wait(), &w.stderr)
	}
	run := func(code int, args ...string) (out, errors string) {
		p := command(t, append([]string{"relay"}, args...)...)
		out = p.rest()
		_ = p.Wait()
		require.Equal(t, code, p.ProcessState.ExitCode(), &p.stderr)
		return out, p.stderr.String()
	}
	all, _ := run(0, "log", "--data", data)
	require.Equal(t, 4, strings.Count(all, "\n"))
	assert.Contains(t, all, "  #1  ann: one of ann\n")
	assert.NotContains(t, all, "\x1b")
	assert.NotContains(t, all, "\u202e")
	some, _ := run(0, "log", "--data", data, "--from", "2", "--writer", "bob")
	require.Equal(t, 2, strings.Count(some, "\n"))
	assert.Contains(t, some, "  #3  bob: one of bob\n")
	last, _ := run(0, "log", "--data", data, "--from", "4", "--json")
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(last), &m))
	assert.Equal(t, "message", m["event"])
	assert.Equal(t, "\x1b[31mtwo\u202e", m["text"])
	assert.EqualValues(t, 4, m["seq"])

	db, err := lite.OpenConn(filepath.Join(data, "relay.db"), lite.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(db, "DELETE FROM message WHERE seq IN (2, 3)", nil))
	require.NoError(t, db.Close())
	less, _ := run(0, "log", "--data", data)
	assert.Contains(t, less, "\n#2 to #3 missing: 2 messages deleted or damaged\n")
	less, _ = run(0, "log", "--data", data, "--json")
	assert.Contains(t, less, `{"event":"gap","from":2,"to":3}`)
	all, _ = run(0, "log", "--data", data)

	copied := t.TempDir()
	run(0, "backup", "--data", data, filepath.Join(copied, "relay.db"))
	server.interrupted(os.Interrupt)
	same, _ := run(0, "log", "--data", copied)
	assert.Equal(t, all, same)
	_, says := run(1, "backup", "--data", data, filepath.Join(copied, "relay.db"))
	assert.Contains(t, says, "exists")
	_, says = run(1, "log", "--data", filepath.Join(copied, "none"))
	assert.Contains(t, says, "there is no log in")
	assert.NoDirExists(t, filepath.Join(copied, "none"))
	// The copy is a log.
	server, _ = relayServer(t, "0", copied)
	server.interrupted(os.Interrupt)
}

func TestRelayBadArguments(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"relay server extra", `unexpected argument "extra"`},
		{"relay server --address nowhere", `"nowhere" is not an IP address`},
		{"relay server --port 99999", "99999"},
		{"relay server --retain-messages 0", "--retain-messages 0"},
		{"relay server --retain-age 1ms --data nowhere", "the least is 1s"},
		{"relay server --sync never --data nowhere", `sync "never"`},
		{"relay server --sync always --nats nats://127.0.0.1:9", "a setting of the NATS server"},
		{"relay server --data nowhere --nats nats://127.0.0.1:9", "both a directory"},
		{"relay server --max-runtime -1s --data nowhere", "negative"},
		{"relay server --stream= --data nowhere", "--stream is empty"},
		{"relay backup --data nowhere", "one file is needed"},
		{"relay server --stream a.b --nats nats://127.0.0.1:9", `the log's name "a.b"`},
		{"relay server --stream b --data nowhere", "--stream is for a log in NATS"},
		{"relay reader", "--username is needed, such as --username ann"},
		{"relay writer", "--username is needed"},
		{"relay join", "--username is needed"},
		{"relay reader --username a|b", `the name "a|b"`},
		{"relay reader --username ann --port 0", "port 0"},
		{"relay reader --username ann --from yesterday", `"yesterday", choose last, start, now`},
		{"relay join --username ann --from 7.5", `"7.5"`},
		{"relay reader --username ann --from 0", `"0"`},
		{"relay reader --username ann --delay soon", "not a number of seconds"},
		{"relay reader --username ann --delay -1", "not a number of seconds"},
		{"relay reader --username ann --delay inf", "not a number of seconds"},
		{"relay writer --username ann --max-runtime -1s", "negative"},
		{"relay writer --username ann --address 0.0.0.0", "not an address of a server"},
		{"relay writer --username ann --delay 3", "unknown flag: --delay"},
		{"relay frobnicate", `unexpected argument "frobnicate"`},
	} {
		p := command(t, strings.Fields(test.args)...)
		assert.Empty(t, p.rest(), test.args)
		_ = p.Wait()
		assert.Equal(t, 2, p.ProcessState.ExitCode(), test.args)
		assert.Contains(t, p.stderr.String(), test.says)
		assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %s", &p.stderr)
	}
	assert.NoDirExists(t, "nowhere")
}

// TestRelayWithoutServer: who has met no server until the end has not done what was asked.
func TestRelayWithoutServer(t *testing.T) {
	for _, role := range []string{"reader", "writer", "join"} {
		keyboard, hand, err := os.Pipe() // that nothing comes from
		require.NoError(t, err)
		defer hand.Close()
		defer keyboard.Close()
		p := prepare(t, "relay", role, "--username", "ann", "--port", freePort(t), "--max-runtime", "300ms")
		p.Stdin = keyboard
		require.NoError(t, p.Start())
		out := p.rest()
		_ = p.Wait()
		assert.Equal(t, 1, p.ProcessState.ExitCode(), role)
		assert.Contains(t, out, "Ended: time is up")
		assert.Contains(t, p.stderr.String(), "has not answered: is it running, and are address and port right?")
	}
}

// TestRelaySeveral: several addresses are given at once, again, and in the environment.
func TestRelaySeveral(t *testing.T) {
	_, port := relayServer(t, "0", filepath.Join(t.TempDir(), "log"))
	nobody, server := "127.0.0.1:"+freePort(t), "127.0.0.1:"+port
	for name, args := range map[string][]string{
		"at-once":     {"--address", nobody + "," + server},
		"again":       {"--address", nobody, "--address", "localhost:" + port},
		"environment": nil,
	} {
		t.Run(name, func(t *testing.T) {
			p := prepare(t, append([]string{"relay", "reader", "--username", name, "--json"}, args...)...)
			if args == nil {
				p.Env = append(p.Environ(), "UDPKIT_ADDRESS="+nobody+","+server)
			}
			require.NoError(t, p.Start())
			assert.Contains(t, p.event("start")["server"], nobody+", ")
			link := p.event("link")
			assert.Equal(t, true, link["up"])
			assert.Equal(t, server, link["server"])
			require.NoError(t, p.Process.Kill())
			_ = p.rest()
			_ = p.Wait()
		})
	}
}

// TestRelayKey: with one key file all is as without, and who has none is told apart from who has
// another; a key is not forgotten where a text was to be sealed.
func TestRelayKey(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "class.key"), filepath.Join(dir, "other.key")
	for _, name := range []string{file, other} {
		made := command(t, "key", "new", name)
		_ = made.rest()
		require.NoError(t, made.Wait())
	}
	server, port := relayServer(t, "0", filepath.Join(dir, "log"), "--key-file", file, "--seal")
	reader := command(t, "relay", "reader", "--username", "bob", "--port", port, "--json", "--key-file", file)
	join := prepare(t, "relay", "join", "--username", "ann", "--port", port, "--seal")
	join.Env = append(join.Environ(), "UDPKIT_KEY_FILE="+file)
	join.Stdin = strings.NewReader("hello\n")
	require.NoError(t, join.Start())
	assert.Equal(t, "hello", reader.event("message")["text"])
	join.until("ann (you): hello")
	assert.NoError(t, join.Wait())

	for _, args := range [][]string{nil, {"--key-file", other}} {
		p := prepare(t, append([]string{"relay", "writer", "--username", "eve", "--port", port, "--max-runtime", "300ms"}, args...)...)
		p.Stdin = strings.NewReader("forged\n")
		require.NoError(t, p.Start())
		_ = p.rest()
		assert.Error(t, p.Wait())
		assert.Equal(t, 1, p.ProcessState.ExitCode())
	}
	refused := map[string]bool{}
	for len(refused) < 2 {
		refused[server.event("refused")["reason"].(string)] = true
	}
	assert.Equal(t, map[string]bool{"it is not signed, and a key is set here": true, "it is signed with another key, or forged": true}, refused)
	if runtime.GOOS != "windows" {
		assert.EqualValues(t, 1, reader.interrupted(os.Interrupt)["delivered"])
		sum := server.interrupted(os.Interrupt)
		assert.EqualValues(t, 1, sum["stored"])
		assert.Len(t, sum["untrusted"], 2)
	}

	for _, role := range []string{"server", "reader", "writer", "join"} {
		args := []string{"relay", role, "--seal"}
		if role != "server" {
			args = append(args, "--username", "ann")
		}
		p := command(t, args...)
		_ = p.rest()
		assert.Error(t, p.Wait())
		assert.Equal(t, 2, p.ProcessState.ExitCode(), role)
		assert.Contains(t, p.stderr.String(), "--seal needs --key-file")
	}
}
