package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExitCodes: 1 where what was asked was not done. Those of bad command lines are in
// TestRefused.
func TestExitCodes(t *testing.T) {
	port := freePort(t)
	for _, test := range []struct {
		args, says string
		code       int
	}{
		{"client --max-runtime 50ms", "", 0},
		{"client --max-messages 1 --max-runtime 50ms", "0 of 1 messages received", 1},
		{"server --target 127.255.255.255 --max-messages 1", "", 0},
		{"server --target 127.255.255.255 --max-messages 3 --max-runtime 50ms", "2 of 3 messages sent", 1},
		{"beacon --target 127.255.255.255 --max-runtime 50ms", "", 0},
		{"beacon --target 127.255.255.255 --max-runtime 50ms --json", "", 0},
		{"help client", "", 0},
		{"", "", 0},
	} {
		list := strings.Fields(test.args)
		if len(list) > 0 && list[0] != "help" {
			list = append(list, "--port", port)
		}
		p := command(t, list...)
		_ = p.rest()
		_ = p.Wait()
		assert.Equal(t, test.code, p.ProcessState.ExitCode(), "%s: %s", test.args, &p.stderr)
		assert.Contains(t, p.stderr.String(), test.says)
		assert.Equal(t, test.code, strings.Count(p.stderr.String(), "\n"), "one line where it failed: %s", &p.stderr)
	}
	help := command(t, "--help")
	assert.Regexp(t, `(?s)Exit codes:\n  0  .*\n  1  .*\n  2  `, help.rest())
	assert.NoError(t, help.Wait())
}

// TestRefused: what cannot be meant is refused with a sentence, by exit code 2, before anything
// begins.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"server --port 0", "--port 0: it cannot be 0"},
		{"server --interval 0", "--interval 0: it cannot be 0"},
		{"server --first-id x", `--first-id "x" is neither a number from 1 to 2^52 nor clock (`},
		{"server --first-id 4503599627370497", "the first id 4503599627370497 is larger than 2^52"},
		{"server --states=", "--states is empty"},
		{"server --target [::1]:9", "the target ::1 cannot be sent to from 0.0.0.0"},
		{"client --id=", "--id is empty"},
		{"client --history=", "--history is empty"},
		{"lab --clients 0", "--clients 0: it cannot be 0"},
		{"responder --queue 0", "--queue 0: it cannot be 0"},
		{"responder --workers -1", "--workers -1: it cannot be negative"},
		{"send --timeout 0 127.0.0.1:9 x", "--timeout 0: it cannot be 0"},
		{"beacon --expiry 0", "--expiry 0: it cannot be 0"},
		{"beacon --interface=", "--interface is empty"},
		{"beacon --interface nosuch", `there is no network interface "nosuch": choose among `},
		{"chat server --max-clients 0", "--max-clients 0: it cannot be 0"},
		{"bench --only nothing", `nothing has "nothing" in its name`},
		{"bench --only=", "--only is empty"},
		{"client --port x", `--port "x" is not a number from 0 to 65535 (`},
		{"client --max-messages -1", `--max-messages "-1" is not a whole number of 0 or more (`},
		{"client --max-runtime 1x", `--max-runtime "1x" is not a number of seconds, or a time such as 1500ms, 2m or 1d (`},
		{"client --max-runtime 9999999d", "is not a number of seconds"},
		{"client --json=perhaps", `--json "perhaps" is neither true nor false (`},
		{`bench --only a"b`, `--only "a\"b" is not a list such as a,b,c (`},
		{"responder --workers many", `--workers "many" is not a whole number (`},
		{"client --prot 3", "unknown flag: --prot; did you mean --port?"},
		{"echo", "choose one of the commands client and server"},
		{"chat", "choose one of the commands client and server"},
		{"relay", "choose one of the commands backup, join, log, reader, server and writer"},
		{"completion", "choose one of the commands bash, fish, powershell and zsh"},
		{"send", "two arguments are needed"},
		{"cleint", `unknown command "cleint"; did you mean client?`},
		{"chat clinet", `unexpected argument "clinet"; did you mean client?`},
		{"help nosuch", `unknown command "nosuch"`},
		{"help chat sever", `did you mean server?`},
		{"completion nosuch", `unexpected argument "nosuch"`},
		{"echo client --address 127.0.0.1:5 --port 6", "another port than --port 6"},
		{"chat client --address a:b:c", "neither a host nor HOST:PORT"},
		{"relay server --address 127.0.0.1:x", `"x" is not a port`},
	} {
		p := command(t, strings.Fields(test.args)...)
		assert.Empty(t, p.rest(), test.args)
		_ = p.Wait()
		assert.Equal(t, 2, p.ProcessState.ExitCode(), test.args)
		assert.Contains(t, p.stderr.String(), test.says)
		assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %s", &p.stderr)
	}
}

// TestEnvironment: a variable sets a flag that is not given.
func TestEnvironment(t *testing.T) {
	run := func(variable string, args ...string) *process {
		t.Helper()
		p := prepare(t, args...)
		p.Env = append(p.Env, variable)
		require.NoError(t, p.Start())
		return p
	}
	client := []string{"client", "--port", freePort(t), "--max-runtime", "50ms", "--json"}
	for _, variable := range []string{"UDPKIT_ID=ann", "UDPKIT_NAME=ann"} {
		p := run(variable, client...)
		assert.Equal(t, "ann", p.event("start")["client_id"], variable)
		_ = p.rest()
		assert.NoError(t, p.Wait())
		p = run(variable, append(client, "--name", "bob")...)
		assert.Equal(t, "bob", p.event("start")["client_id"], variable)
		_ = p.rest()
		assert.NoError(t, p.Wait())
	}
	for _, test := range []struct{ variable, says string }{
		{"UDPKIT_MAX_MESSAGES=many", `the environment variable UDPKIT_MAX_MESSAGES has the value "many", which is no --max-messages`},
		{"UDPKIT_MAX_MESSAGES=many", ": not a whole number of 0 or more"},
		{"UDPKIT_HISTORY=", "the environment variable UDPKIT_HISTORY is empty"},
	} {
		p := run(test.variable, client...)
		assert.Empty(t, p.rest())
		_ = p.Wait()
		assert.Equal(t, 2, p.ProcessState.ExitCode())
		assert.Contains(t, p.stderr.String(), test.says)
	}
	lab := run("UDPKIT_CLIENTS=1000", "lab", "--check", "--setup")
	_ = lab.rest()
	_ = lab.Wait()
	assert.Contains(t, lab.stderr.String(), "exclude each other", "its environment is for the notebooks")
}

// TestAddresses: each command takes HOST:PORT as well as both by themselves, and 0 is any free
// port, which is told.
func TestAddresses(t *testing.T) {
	for _, args := range []string{
		"echo server --address 127.0.0.1:0",
		"responder --port 0",
		"chat server --address localhost:0",
		"relay server --address 127.0.0.1:0 --data " + t.TempDir(),
	} {
		p := command(t, append(strings.Fields(args), "--json")...)
		start := p.event("start")
		local, ok := start["local"]
		if !ok {
			local = start["listen"]
		}
		assert.NotZero(t, netip.MustParseAddrPort(fmt.Sprint(local)).Port(), args)
		interrupt(t, p)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	p := command(t, "chat", "client", "--address", strings.Replace(listener.Addr().String(), "127.0.0.1", "localhost", 1))
	_ = p.rest()
	_ = p.Wait()
	assert.Contains(t, p.stderr.String(), listener.Addr().String())
}

// TestTimes: times are also given in days and in seconds.
func TestTimes(t *testing.T) {
	for text, want := range map[string]string{"1d": "24h0m0s", "1d12h": "36h0m0s", "0.5d": "12h0m0s", "3": "3s", "0.5": "500ms", "2m": "2m0s", "0": "0s"} {
		d, err := parseDuration(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, d.String(), text)
	}
	for _, text := range []string{"", "d", "1d1", "d1h", "inf", "1dd", "NaN", "1e9d"} {
		_, err := parseDuration(text)
		assert.Error(t, err, text)
	}
	p := command(t, "client", "--port", freePort(t), "--max-runtime", "0.05", "--json")
	p.event("summary")
	assert.NoError(t, p.Wait())
}

// TestKnownValues: what a flag can be is offered by the shell's completion.
func TestKnownValues(t *testing.T) {
	loopback := ""
	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, nic := range all {
		if nic.Flags&net.FlagLoopback != 0 {
			loopback = nic.Name
		}
	}
	for _, test := range []struct{ args, offers string }{
		{"client --receiver ", "selector"},
		{"beacon --group ", "ipv6"},
		{"beacon --interface ", loopback},
		{"server --interface ", loopback},
		{"bench --only ", "udpkit selector"},
	} {
		p := command(t, append([]string{"__complete"}, strings.Split(test.args, " ")...)...)
		assert.Contains(t, p.rest(), test.offers+"\n", test.args)
		assert.NoError(t, p.Wait())
	}
}

// TestHelp: each command shows how it is used.
func TestHelp(t *testing.T) {
	for _, name := range []string{
		"server", "client", "lab", "class", "handout", "grade", "bench", "echo server", "echo client", "responder", "send", "beacon", "chat server",
		"chat client", "relay server", "relay reader", "relay writer", "relay join",
	} {
		p := command(t, append(strings.Fields(name), "--help")...)
		assert.Contains(t, p.rest(), "\nExamples:\n  udpkit "+name, name)
		assert.NoError(t, p.Wait())
	}
}

// TestQuiet: nothing is printed, and the exit code tells.
func TestQuiet(t *testing.T) {
	port := freePort(t)
	for args, code := range map[string]int{
		"server --quiet --target 127.255.255.255 --max-messages 1 --port " + port:        0,
		"client --quiet --max-runtime 50ms --port " + port:                               0,
		"client --quiet --max-messages 1 --max-runtime 50ms --port " + port:              1,
		"beacon --quiet --max-runtime 50ms --target 127.255.255.255 --port " + port:      0,
		"beacon --quiet --json --max-runtime 50ms --target 127.255.255.255 --port 37912": 0,
		"chat server --quiet --address 127.0.0.1:0 --max-runtime 50ms":                   0,
		"relay reader --quiet --name ann --max-runtime 50ms --port " + port:              1, // there is no server
		"version --quiet": 0,
		"send --quiet --timeout 10ms 127.0.0.1:9 x": 1,
	} {
		p := command(t, strings.Fields(args)...)
		assert.Empty(t, p.rest(), args)
		_ = p.Wait()
		assert.Equal(t, code, p.ProcessState.ExitCode(), args)
		assert.Equal(t, code, strings.Count(p.stderr.String(), "\n"), &p.stderr)
	}
}

// TestWhoCanReach: a server that listens on all addresses says which networks that are, and how to
// keep it here.
func TestWhoCanReach(t *testing.T) {
	for args, said := range map[string]bool{
		"chat server --port 0 --max-runtime 50ms":                                     true,
		"chat server --address 127.0.0.1:0 --max-runtime 50ms":                        false,
		"relay server --address 0.0.0.0:0 --max-runtime 50ms --data " + t.TempDir():   true,
		"relay server --address 127.0.0.1:0 --max-runtime 50ms --data " + t.TempDir(): false,
	} {
		p := command(t, strings.Fields(args)...)
		_ = p.rest()
		require.NoError(t, p.Wait(), &p.stderr)
		if said && networks(netip.IPv4Unspecified()) != nil {
			assert.Contains(t, p.stderr.String(), networks(netip.IPv4Unspecified())[0], args)
			assert.Contains(t, p.stderr.String(), "To keep it here: --address 127.0.0.1\n")
			assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"))
		} else {
			assert.Empty(t, p.stderr.String(), args)
		}
	}
}

func TestSentence(t *testing.T) {
	lost := errors.New("write: no room")
	assert.Equal(t, "journal: write: no room", sentence(errors.Join(fmt.Errorf("journal: %w", lost), lost)))
	assert.Equal(t, "one\ntwo", sentence(errors.New("one\ntwo")))
}
