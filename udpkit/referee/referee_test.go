package referee_test

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/referee"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// need returns where a program is, or skips the test.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		testenv.Skip(t, "%s is not installed: %v", name, err)
	}
	return path
}

// program returns the command for a program of testdata, by its language.
func program(t *testing.T, name string) []string {
	t.Helper()
	path := filepath.Join("testdata", name)
	switch filepath.Ext(name) {
	case ".py":
		return []string{need(t, "python3"), path}
	case ".js":
		return []string{need(t, "node"), path}
	}
	binary := filepath.Join(t.TempDir(), "program")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, path).CombinedOutput()
	require.NoError(t, err, string(out))
	return []string{binary}
}

// course returns the command for a program of the documents, with what stands in it for the port
// replaced, and arguments.
func course(t *testing.T, name, port string, args ...string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	require.NoError(t, err)
	if port != "" {
		require.Contains(t, string(text), port)
	}
	return append([]string{need(t, "python3"), "-u", "-c", strings.ReplaceAll(string(text), cmp.Or(port, "\x00"), "{port}")}, args...)
}

// trial is a program that is judged, and what is expected: the rule that it breaks and a part of
// the sentence, or that it passes.
type trial struct {
	cfg        referee.Config
	rule, text string
}

// judge judges programs, all at once: they wait more than they compute.
func judge(t *testing.T, trials map[string]trial) {
	t.Helper()
	type result struct {
		verdict referee.Verdict
		err     error
	}
	results := make(map[string]chan result)
	for name, c := range trials {
		if c.rule == "slow" && runtime.GOOS != "linux" { // others may keep all that is not read
			delete(trials, name)
			continue
		}
		if c.rule != "" && c.cfg.Patience == 0 {
			c.cfg.Patience = 5 * time.Second
		}
		if c.rule != "" && c.cfg.Rounds == 0 { // what the referee itself was late for it does not judge
			c.cfg.Rounds = 5
		}
		if !strings.Contains(strings.Join(c.cfg.Command, " "), "{port}") {
			c.cfg.Command = append(c.cfg.Command, "{port}") // which is told to the program as a variable, too
		}
		came := make(chan result, 1)
		results[name] = came
		go func() {
			v, err := referee.Run(t.Context(), c.cfg)
			came <- result{v, err}
		}()
	}
	for name, c := range trials {
		t.Run(name, func(t *testing.T) {
			r := <-results[name]
			require.NoError(t, r.err)
			if c.rule == "" {
				require.Empty(t, r.verdict.Findings, "%s", strings.Join(r.verdict.Output, "\n"))
				return
			}
			require.NotEmpty(t, r.verdict.Findings)
			require.Equal(t, c.rule, r.verdict.Findings[0].Rule, "%v %s", r.verdict.Findings, strings.Join(r.verdict.Output, "\n"))
			require.Contains(t, r.verdict.Findings[0].Text, c.text)
			rules, _ := referee.Rules(c.cfg.System, r.verdict.Side)
			require.Contains(t, names(rules), c.rule)
		})
	}
}

func names(rules []referee.Rule) (all []string) {
	for _, r := range rules {
		all = append(all, r.Name)
	}
	return all
}

var storm = weather.Settings{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2}

// TestCourse: what the programs of the documents are known to do wrong is found, and named; else
// they pass.
func TestCourse(t *testing.T) {
	t.Parallel()
	const broadcast, echo, responder = "testdata/client.py", "echo/testdata/echo_client.py", "echo/testdata/hello_client.py"
	client := course(t, broadcast, "", "{port}", "100000", "pete")
	hello := course(t, "beacon/testdata/hello.py", "", "{address}", "{port}", "{listen}")
	judge(t, map[string]trial{
		"broadcast client":            {referee.Config{System: "broadcast", Seed: 1, Command: client}, "", ""},
		"broadcast client, loss":      {referee.Config{System: "broadcast", Weather: storm, Seed: 1, Command: client}, "", ""},
		"deaf after a restart":        {referee.Config{System: "broadcast", Restart: true, Seed: 1, Command: client}, "restart", "status 4000001 of the server, begun anew (MAINTENANCE)"},
		"deaf for a second server":    {referee.Config{System: "broadcast", Second: true, Seed: 1, Command: client}, "second", "of the second server (ERROR)"},
		"deaf after a forged id":      {referee.Config{System: "broadcast", Forge: true, Seed: 1, Command: client}, "forged", "was not shown"},
		"broadcast server":            {referee.Config{System: "broadcast", Side: referee.Server, Weather: storm, Seed: 1, Command: course(t, "testdata/server.py", "", "{address}", "{port}", "100000")}, "", ""},
		"echo client":                 {referee.Config{System: "echo", Seed: 1, Command: course(t, echo, "12345")}, "", ""},
		"waits for ever":              {referee.Config{System: "echo", Weather: weather.Settings{Loss: 0.5}, Seed: 1, Command: course(t, echo, "12345")}, "asks", "was lost at"},
		"takes a stranger's reply":    {referee.Config{System: "echo", Forge: true, Seed: 1, Command: course(t, echo, "12345")}, "strangers", "another port than the server's"},
		"echo server":                 {referee.Config{System: "echo", Side: referee.Server, Weather: storm, Seed: 1, Command: course(t, "echo/testdata/echo_server.py", "12345")}, "", ""},
		"ends at what is no text":     {referee.Config{System: "echo", Side: referee.Server, Forge: true, Seed: 1, Command: course(t, "echo/testdata/echo_server.py", "12345")}, "stays", "UnicodeDecodeError"},
		"sequential server":           {referee.Config{System: "responder", Side: referee.Server, Weather: storm, Seed: 1, Command: course(t, "echo/testdata/sequential_server.py", "6532")}, "", ""},
		"threaded server":             {referee.Config{System: "responder", Side: referee.Server, Weather: storm, Seed: 1, Command: course(t, "echo/testdata/threaded_server.py", "6532")}, "", ""},
		"a thread dies of no text":    {referee.Config{System: "responder", Side: referee.Server, Forge: true, Seed: 1, Command: course(t, "echo/testdata/threaded_server.py", "6532")}, "forged", "datagrams came to it from client "},
		"hello client":                {referee.Config{System: "responder", Seed: 1, Command: course(t, responder, "6532")}, "", ""},
		"waits for ever for its only": {referee.Config{System: "responder", Weather: weather.Settings{Loss: 0.5}, Rounds: 10, Seed: 1, Command: course(t, responder, "6532")}, "gives_up", "neither ended nor asked again"},
		"hello":                       {referee.Config{System: "beacon", Second: true, Weather: weather.Settings{Loss: 0.2}, Seed: 1, Command: hello}, "", ""},
		"deaf after no text":          {referee.Config{System: "beacon", Forge: true, Seed: 1, Command: hello}, "forged", "it does not show bob"},
		"chat server":                 {referee.Config{System: "chat", Forge: true, Seed: 1, Command: course(t, "chat/testdata/server2.py", "", "{address}", "{port}")}, "forged", "did not come to"},
		"waits for who reads":         {referee.Config{System: "chat", Side: referee.Server, Second: true, Seed: 1, Command: course(t, "chat/testdata/server2.py", "", "{address}", "{port}")}, "slow", "had stopped reading"},
		"a letter in two pieces":      {referee.Config{System: "chat", Side: referee.Client, Seed: 1, Command: course(t, "chat/testdata/client.py", "", "{address}", "{port}")}, "shows", "whose ü came in two pieces"},
	})
}

// TestRight: programs that are right pass, in the worst of weathers.
func TestRight(t *testing.T) {
	t.Parallel()
	all := make(map[string]trial)
	for name, of := range map[string]referee.Config{
		"right_broadcast_client.py": {System: "broadcast"},
		"right_broadcast_client.go": {System: "broadcast"},
		"right_talkative.py":        {System: "broadcast"},
		"right_broadcast_server.py": {System: "broadcast", Side: referee.Server},
		"right_echo_client.py":      {System: "echo"},
		"right_echo_server.py":      {System: "echo", Side: referee.Server},
		"right_responder_client.py": {System: "responder"},
		"right_responder_server.py": {System: "responder", Side: referee.Server},
		"right_beacon.py":           {System: "beacon"},
		"right_chat_client.py":      {System: "chat", Side: referee.Client},
		"right_chat_server.py":      {System: "chat", Side: referee.Server},
		"right_relay_writer.py":     {System: "relay", Side: referee.Writer, Weather: weather.Settings{Loss: 0.05, Duplicate: 0.2}},
	} {
		if of.Weather == (weather.Settings{}) {
			of.Weather = storm
		}
		of.Command, of.Restart, of.Second, of.Forge, of.Seed = program(t, name), true, true, true, 7
		all[name] = trial{cfg: of}
	}
	judge(t, all)
}

// TestFaults: a right program is made wrong in one place, and is convicted of that. One is made
// slow, and passes.
func TestFaults(t *testing.T) {
	t.Parallel()
	twice, storming := referee.Config{Weather: weather.Settings{Duplicate: 0.5}}, referee.Config{Forge: true, Restart: true, Second: true}
	all := make(map[string]trial)
	for name, f := range map[string]struct {
		program, old, new string
		cfg               referee.Config
		rule              string
	}{
		"shows one too late":        {"broadcast_client", "        print(f", "        print(globals().get('prev', '')); prev = (f", referee.Config{}, "shows"},
		"shows another state":       {"broadcast_client", "{m.get('timestamp')}: {state},", "GOOD,", referee.Config{}, "shows"},
		"other words":               {"broadcast_client", "received message", "got message", referee.Config{}, "acknowledges"},
		"acknowledges twice":        {"broadcast_client", "    sock.sendto(", "    for _ in (1, 2): sock.sendto(", referee.Config{}, "honest"},
		"knows one server only":     {"broadcast_client", "server, number", "number, 0", storming, "second"},
		"only higher numbers":       {"broadcast_client", "if (server, number) not in seen:", "if all(n < number for s, n in seen):", referee.Config{Restart: true}, "restart"},
		"cannot be ended":           {"broadcast_client", "import json,", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nimport json,", referee.Config{}, "ends"},
		"timestamp":                 {"broadcast_server", "datetime.now().isoformat()", "'yesterday'", referee.Config{}, "format"},
		"the number is a text":      {"broadcast_server", "\"message_id\": number", "\"message_id\": str(number)", referee.Config{}, "format"},
		"one state":                 {"broadcast_server", "states[number % 4]", "'ERROR'", referee.Config{}, "cycles"},
		"states in another order":   {"broadcast_server", "states[number % 4]", "states[-number % 4]", referee.Config{}, "cycles"},
		"shows no acknowledgement":  {"broadcast_server", "print(", "str(", referee.Config{}, "shows"},
		"answers twice":             {"echo_server", "    sock.sendto(data, client)", "    for _ in (1, 2): sock.sendto(data, client)", referee.Config{}, "once"},
		"answers the first client":  {"echo_server", "    sock.sendto(data, client)", "    first = globals().setdefault('first', client); sock.sendto(data, first)", referee.Config{}, "answers"},
		"works long on each":        {"echo_server", "    sock.sendto(data, client)", "    __import__('time').sleep(0.4); sock.sendto(data, client)", referee.Config{Patience: 2 * time.Second}, ""},
		"cuts":                      {"echo_server", "65535", "16", referee.Config{}, "same"},
		"takes the last one's copy": {"echo_client", "if reply == question:", "if True:", twice, "shows"},
		"ends after a reply":        {"echo_client", "                break", "                sys.exit()", referee.Config{}, "stays"},
		"says what it does not get": {"responder_client", "print(sock.recv(65535).decode())", "sock.recv(99); print('Message received')", referee.Config{}, "shows"},
		"a worker that dies":        {"responder_server", "errors=\"replace\"", "", storming, "forged"},
		"no HELLO":                  {"beacon", "b\"HELLO|pete|\"", "b\"HELLO pete\"", referee.Config{}, "format"},
		"dies of a stranger":        {"beacon", "errors=\"replace\"", "", storming, "stays"},
		"talks back":                {"chat_server", "other is not conn and", "", referee.Config{}, "silent"},
		"waits for who reads":       {"chat_server", "and not waiting.full()", "", referee.Config{Second: true}, "slow"},
		"serves one client":         {"echo_server", "    sock.sendto(data, client)", "    sock.sendto(data, client); sock.connect(client)", referee.Config{}, "answers"},
		"does not register again":   {"relay_writer", "            register(number)", "            time.sleep(0.2)", referee.Config{Restart: true, Patience: 2 * time.Second}, "restart"},
		"cuts a letter":             {"chat_client", "sock.makefile(\"r\", errors=\"replace\", newline=\"\\n\")", "iter(lambda: sock.recv(1024).decode(), \"\")", referee.Config{}, "shows"},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "right_"+f.program+".py"))
		require.NoError(t, err)
		require.Contains(t, string(text), f.old, name)
		system, side, found := strings.Cut(f.program, "_")
		if f.cfg.System = system; found {
			f.cfg.Side = referee.Side(side)
		}
		f.cfg.Command = []string{need(t, "python3"), "-c", strings.ReplaceAll(string(text), f.old, f.new)}
		all[name] = trial{f.cfg, f.rule, ""}
	}
	if runtime.GOOS == "windows" {
		delete(all, "cannot be ended")
	}
	judge(t, all)
}

// TestWrong: each program has one fault, and is convicted of that.
func TestWrong(t *testing.T) {
	t.Parallel()
	judge(t, map[string]trial{
		"twice": {referee.Config{System: "broadcast", Command: program(t, "wrong_twice.py"), Weather: weather.Settings{Duplicate: 0.5}}, "once", "was shown twice: at "},
		"ack":   {referee.Config{System: "broadcast", Command: program(t, "wrong_ack.js")}, "honest", " acknowledges status "},
		"count": {referee.Config{System: "broadcast", Side: referee.Server, Command: program(t, "wrong_count.py")}, "counts", "message_id "},
		"place": {referee.Config{System: "echo", Side: referee.Server, Command: program(t, "wrong_place.go")}, "place", " was asked"},
		"text":  {referee.Config{System: "echo", Side: referee.Server, Command: program(t, "wrong_text.js"), Forge: true}, "same", "is no answer to what"},
		"reply": {referee.Config{System: "echo", Command: program(t, "wrong_reply.go")}, "honest", "there was no reply to that"},
	})
}

// shell is a program of one line.
func shell(t *testing.T, script string) []string {
	return []string{need(t, "sh"), "-c", script, "{port}"}
}

// TestBadPrograms: what ends or floods is found.
func TestBadPrograms(t *testing.T) {
	t.Parallel()
	judge(t, map[string]trial{
		"ends":   {referee.Config{System: "broadcast", Command: shell(t, "echo oh no; exit 3")}, "stays", `exit status 3; its last line is "oh no"`},
		"leaves": {referee.Config{System: "broadcast", Command: shell(t, "sleep 600 & exit 0")}, "stays", "left another program behind"},
		"floods": {referee.Config{System: "broadcast", Command: shell(t, "while :; do echo more; done")}, "bounds", "it has printed 10000 lines"},
		"sends too much": {referee.Config{System: "echo", Command: []string{need(t, "python3"), "-c",
			"import os, socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nwhile True: s.sendto(bytes(60000), ('127.0.0.1', int(os.environ['UDPKIT_PORT'])))"}}, "bounds", " of 64 MiB"},
	})
	_, err := referee.Run(t.Context(), referee.Config{System: "echo", Command: []string{"no such program", "{port}"}})
	require.ErrorIs(t, err, exec.ErrNotFound)
}

// TestNothingIsLeft: what the program has started is ended with it.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	began := filepath.Join(t.TempDir(), "pid")
	go func() {
		for {
			if text, err := os.ReadFile(began); err == nil && len(text) > 0 {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err := referee.Run(ctx, referee.Config{System: "echo", Command: shell(t, "sleep 600 & echo $! >"+began+"; wait")})
	require.ErrorIs(t, err, context.Canceled)
	text, err := os.ReadFile(began)
	require.NoError(t, err)
	pid := strings.TrimSpace(string(text))
	require.Eventually(t, func() bool {
		return exec.Command("sh", "-c", "kill -0 "+pid).Run() != nil
	}, 30*time.Second, 10*time.Millisecond)
}

// TestKept: the recording and the timeline of a round that found something.
func TestKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := referee.Config{System: "broadcast", Command: program(t, "wrong_twice.py"), Weather: weather.Settings{Duplicate: 1, Loss: 0.3}, Seed: 5, Recordings: dir, Rounds: 3}
	cfg.Command = append(cfg.Command, "{port}")
	v, err := referee.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, 1, v.Rounds)
	require.EqualValues(t, 5, v.Seed)
	require.Equal(t, filepath.Join(dir, "referee-broadcast-client-seed5.pcapng"), v.Recording)
	file, err := os.Open(v.Recording)
	require.NoError(t, err)
	defer file.Close()
	n, lost := 0, 0
	for p, err := range record.Read(file) {
		require.NoError(t, err)
		n++
		if p.Verdict != "" {
			lost++
		}
	}
	require.Greater(t, n, 20)
	require.Positive(t, lost)
	page, err := os.ReadFile(v.Timeline)
	require.NoError(t, err)
	require.Contains(t, string(page), "<svg")
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]referee.Config{
		`there is no system "smoke"`:     {System: "smoke", Command: []string{"x"}},
		`echo has no side "peer"`:        {System: "echo", Side: referee.Peer, Command: []string{"x"}},
		"there is no program to judge":   {System: "echo"},
		"-1 rounds: 1 to 10000":          {System: "echo", Command: []string{"x"}, Rounds: -1},
		"a patience of 1ns: 100ms to 1h": {System: "echo", Command: []string{"x"}, Patience: 1},
		"a loss of 60%":                  {System: "echo", Command: []string{"x"}, Weather: weather.Settings{Loss: 0.6}},
	} {
		_, err := referee.Run(t.Context(), cfg)
		require.ErrorIs(t, err, referee.ErrConfig, want)
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, []string{"broadcast", "echo", "responder", "beacon", "relay", "chat"}, referee.Systems())
	for _, system := range referee.Systems() {
		for _, side := range referee.Sides(system) {
			rules, shows := referee.Rules(system, side)
			require.NotEmpty(t, rules)
			require.NotEmpty(t, shows)
		}
	}
}
