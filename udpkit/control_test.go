package udpkit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

func newControl(t *testing.T, cfg udpkit.ControlConfig) *udpkit.Control {
	c, err := udpkit.NewControl(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// local is where a server that listens on all addresses is reached from here.
func local(s *udpkit.Server) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addr().Port())
}

// TestControl: each verb does what it says, and the server says who did it.
func TestControl(t *testing.T) {
	for _, seal := range []bool{false, true} {
		t.Run(fmt.Sprint("seal ", seal), func(t *testing.T) {
			ring := testenv.Ring(t)
			client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{ID: "ann", Key: ring, Seal: seal})
			log := newLog()
			server, err := udpkit.NewServer(udpkit.ServerConfig{
				Key: ring, Seal: seal, Port: client.Addr().Port(), Targets: loopback, Interval: 20 * time.Millisecond,
				States: []udpkit.State{"CYCLE"}, AckWait: 10 * time.Millisecond, OnEvent: log.add,
			})
			require.NoError(t, err)
			defer server.Close()
			ran := make(chan error, 1)
			go func() { ran <- server.Run(t.Context()) }()
			is := func(state udpkit.State) func(udpkit.MessageEvent) bool {
				return func(e udpkit.MessageEvent) bool { return e.State == state }
			}
			wait(t, clientLog, is("CYCLE"))

			c := newControl(t, udpkit.ControlConfig{Key: ring, Seal: seal, Port: client.Addr().Port()})
			assert.Equal(t, local(server), c.Server())
			status, err := c.State(t.Context(), ` by "hand" <&> ⌘ `)
			require.NoError(t, err)
			assert.Equal(t, udpkit.State(`by "hand" <&> ⌘`), status.State)
			assert.True(t, status.ByHand)
			set := wait(t, clientLog, is(`by "hand" <&> ⌘`))
			_, err = c.State(t.Context(), "AUTO")
			require.NoError(t, err)
			wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.State == "CYCLE" && e.MessageID > set.MessageID })

			status, err = c.Interval(t.Context(), 30*time.Millisecond)
			require.NoError(t, err)
			assert.Equal(t, 30*time.Millisecond, status.Interval)
			assert.Equal(t, 30*time.Millisecond, server.Interval())
			wait(t, log, func(e udpkit.AckEvent) bool { return e.MessageID > status.LastID+2 })

			// At once, by the address.
			c = newControl(t, udpkit.ControlConfig{Key: ring, Server: local(server)})
			clients, err := c.Clients(t.Context())
			require.NoError(t, err)
			require.Len(t, clients, 1)
			assert.Equal(t, "ann", clients[0].ID)
			assert.Greater(t, clients[0].LastID, status.LastID)
			assert.Positive(t, clients[0].RTT)
			assert.Equal(t, server.Clients()[0].Addr, clients[0].Addr)
			status, err = c.Status(t.Context())
			require.NoError(t, err)
			assert.Equal(t, udpkit.ControlStatus{
				Epoch: server.Epoch(), State: "CYCLE", Interval: 30 * time.Millisecond, LastID: status.LastID, Clients: 1, Runtime: status.Runtime,
			}, status)
			assert.Positive(t, status.Runtime)

			for _, wrong := range []udpkit.State{"\x1b[2J", udpkit.State(strings.Repeat("x", udpkit.MaxStateLen+1))} {
				_, err = c.State(t.Context(), wrong)
				assert.ErrorIs(t, err, udpkit.ErrConfig)
			}
			_, err = c.Interval(t.Context(), time.Microsecond)
			assert.ErrorIs(t, err, udpkit.ErrConfig)

			_, err = c.Stop(t.Context())
			require.NoError(t, err)
			assert.NoError(t, <-ran)
			assert.True(t, wait(t, clientLog, any1[udpkit.EndEvent]).Said)
			sum := wait(t, log, any1[udpkit.ServerSummary])
			assert.EqualValues(t, 4+3, sum.Commands) // three questions: with the one for the epoch
			assert.Zero(t, sum.Untrusted)
			var did []string
			for _, e := range all[udpkit.CommandEvent](log) {
				did = append(did, strings.TrimSpace(e.Verb+" "+e.Argument))
				assert.True(t, e.From.Addr().IsLoopback())
			}
			assert.Equal(t, []string{`state by "hand" <&> ⌘`, "state auto", "interval 30ms", "stop"}, did)
		})
	}
}

// TestControlFinds: it says why it has found no server, or too many.
func TestControlFinds(t *testing.T) {
	ring, port := testenv.Ring(t), testenv.FreePort(t)
	find := func(cfg udpkit.ControlConfig) error {
		cfg.Port = port
		c, err := udpkit.NewControl(t.Context(), cfg)
		if err == nil {
			c.Close()
		}
		return err
	}
	short := 200 * time.Millisecond
	err := find(udpkit.ControlConfig{Key: ring, Timeout: short})
	assert.ErrorIs(t, err, udpkit.ErrNoAnswer)
	assert.ErrorContains(t, err, "no server is heard")
	assert.ErrorIs(t, find(udpkit.ControlConfig{}), udpkit.ErrConfig)

	first, _, stop := newServer(t, port, udpkit.ServerConfig{Key: ring})
	err = find(udpkit.ControlConfig{Key: testenv.Ring(t), Timeout: short})
	assert.ErrorIs(t, err, udpkit.ErrNoAnswer)
	assert.ErrorIs(t, err, key.ErrForged)
	err = find(udpkit.ControlConfig{Key: ring, Server: netip.MustParseAddrPort("127.0.0.2:0"), Timeout: short})
	assert.ErrorIs(t, err, udpkit.ErrNoAnswer)
	assert.ErrorContains(t, err, "no server at 127.0.0.2 is heard")
	assert.NoError(t, find(udpkit.ControlConfig{Key: ring, Server: netip.MustParseAddrPort("127.0.0.1:0")}))
	assert.ErrorIs(t, find(udpkit.ControlConfig{Key: ring, Server: netip.MustParseAddrPort("255.255.255.255:9")}), udpkit.ErrConfig)

	second, secondLog, _ := newServer(t, port, udpkit.ServerConfig{Key: ring})
	wait(t, secondLog, any1[udpkit.SentEvent])
	err = find(udpkit.ControlConfig{Key: ring})
	assert.ErrorIs(t, err, udpkit.ErrConfig)
	assert.ErrorContains(t, err, local(first).String())
	assert.ErrorContains(t, err, local(second).String())
	require.NoError(t, stop())
	assert.NoError(t, find(udpkit.ControlConfig{Key: ring}))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = udpkit.NewControl(ctx, udpkit.ControlConfig{Key: ring, Port: port})
	assert.ErrorIs(t, err, context.Canceled)
}

// TestControlUnanswered: who is there and does not have the key says nothing.
func TestControlUnanswered(t *testing.T) {
	t.Parallel()
	server, log, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Key: testenv.Ring(t)})
	_, err := udpkit.NewControl(t.Context(), udpkit.ControlConfig{Key: testenv.Ring(t), Server: local(server)})
	assert.ErrorIs(t, err, udpkit.ErrNoAnswer)
	assert.ErrorIs(t, wait(t, log, any1[udpkit.RefusedEvent]).Err, key.ErrForged)
}

// hand is a socket by which a test sends commands of its own.
type hand struct {
	*net.UDPConn
	t *testing.T
}

func newHand(t *testing.T, to *udpkit.Server) hand {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(local(to)))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return hand{conn, t}
}

func (h hand) send(b []byte) {
	_, err := h.Write(b)
	require.NoError(h.t, err)
}

// receive returns the next datagram.
func (h hand) receive() []byte {
	require.NoError(h.t, h.SetReadDeadline(time.Now().Add(20*time.Second)))
	b := make([]byte, 2000)
	n, err := h.Read(b)
	require.NoError(h.t, err)
	return b[:n]
}

// words returns a command of the length that one has when it is longer by overhead.
func words(overhead int, format string, args ...any) []byte {
	return fmt.Appendf(nil, "%-*s", 342-overhead, fmt.Sprintf(format, args...))
}

// TestCommandOnce: a command that comes again, signed anew, gets the same reply and is not executed
// again; a datagram that comes again is nothing, and nothing to the server's next run.
func TestCommandOnce(t *testing.T) {
	ring := testenv.Ring(t)
	server, log, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Key: ring, Interval: time.Hour, AckWait: time.Minute})
	h, opener := newHand(t, server), ring.Opener(key.OpenerConfig{Purpose: "reply", Form: key.Text})
	sender := ring.Sender("answer", key.Text, false)
	reply := func(b []byte) string {
		h.send(b)
		got := h.receive()
		assert.LessOrEqual(t, len(got), 3*len(b))
		text, err := opener.Open(got, time.Now())
		require.NoError(t, err)
		return string(text)
	}
	command := func(nonce, verb string) []byte {
		return sender.Append(nil, words(sender.Overhead(), "Command %s epoch %v %s", nonce, server.Epoch(), verb))
	}
	first := command("0000000000000001", "state A")
	said := reply(first)
	assert.Contains(t, said, `Reply 0000000000000001 {"status":{`)
	assert.Contains(t, said, `"state":"A"`)
	assert.Contains(t, reply(command("0000000000000002", "state B")), `"state":"B"`)
	assert.Equal(t, said, reply(command("0000000000000001", "state A")))
	h.send(first) // its reply would come before the next one
	assert.Contains(t, reply(command("0000000000000003", "status")), `"state":"B"`)
	assert.Contains(t, reply(command("0000000000000004", "fly away")), `{"error":"the server knows no command`)
	assert.Contains(t, reply(command("0000000000000005", "interval soon")), `{"error":"the interval`)
	assert.Contains(t, reply(command("0000000000000006", "state")), `{"error":"`)
	assert.Contains(t, reply(command("0000000000000007", "clients 2 0000000000000006")), `{"error":"`)
	assert.Equal(t, key.Refused{Repeated: 1}, server.Stats().Untrusted)
	said = reply(command("0000000000000008", "stop"))
	assert.Equal(t, said, reply(command("0000000000000008", "stop")), "it answers while acknowledgements may come")
	assert.Contains(t, reply(command("0000000000000009", "state C")), `{"error":"the server is ending"}`)
	assert.Equal(t, "B", string(wait(t, log, func(e udpkit.SentEvent) bool { return e.MessageID == 2 }).State))
	require.Len(t, all[udpkit.CommandEvent](log), 3)

	next, nextLog, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Key: ring, Interval: time.Hour})
	h = newHand(t, next)
	h.send(first)
	h.send(sender.Append(nil, words(sender.Overhead(), "Command 0000000000000008 epoch 0000000000000000 stop")))
	text := reply(sender.Append(nil, words(sender.Overhead(), "Command 0000000000000009 epoch 0000000000000000 status")))
	assert.Contains(t, text, "Reply 0000000000000009 ")
	assert.Contains(t, text, `"by_hand":false`)
	assert.EqualValues(t, 2, next.Stats().RefusedAcks)
	assert.Empty(t, all[udpkit.CommandEvent](nextLog))
}

// TestCommandsOfStrangers: what no holder of the key has sent is not executed, and not one byte
// answers it.
func TestCommandsOfStrangers(t *testing.T) {
	ring, other := testenv.Ring(t), testenv.Ring(t)
	server, log, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Key: ring, Interval: time.Hour})
	h := newHand(t, server)
	text := fmt.Sprintf("Command 0000000000000001 epoch %v stop", server.Epoch())
	sender := ring.Sender("answer", key.Text, true)
	h.send(words(0, "%s", text))
	h.send(other.Sender("answer", key.Text, false).Append(nil, words(53, "%s", text)))
	h.send(other.Sender("answer", key.Text, true).Append(nil, words(38, "%s", text)))
	h.send(ring.Sender("status", key.Text, false).Append(nil, words(53, "%s", text)))
	h.send(ring.Sender("reply", key.Text, false).Append(nil, words(53, "%s", text)))
	h.send(sender.Append(nil, []byte(text))) // too short for its reply
	h.send(sender.Append(nil, words(38, "Command 0000000000000002 epoch %v status", server.Epoch())))
	content, err := ring.Opener(key.OpenerConfig{Purpose: "reply", Form: key.Text}).Open(h.receive(), time.Now())
	require.NoError(t, err)
	assert.Contains(t, string(content), "Reply 0000000000000002 ", "the first answer")
	sum := server.Stats()
	assert.Equal(t, key.Refused{Unsigned: 1, Forged: 4}, sum.Untrusted)
	assert.EqualValues(t, 1, sum.Malformed)
	assert.EqualValues(t, 1, sum.Commands)
	assert.Empty(t, all[udpkit.CommandEvent](log))
}

// TestNoKeyNoCommands: without a key a command is a datagram like any other.
func TestNoKeyNoCommands(t *testing.T) {
	server, log, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Interval: time.Hour})
	wait(t, log, any1[udpkit.SentEvent])
	h := newHand(t, server)
	for _, verb := range []string{"status", "stop"} {
		text := words(0, "Command 0000000000000001 epoch %v %s", server.Epoch(), verb)
		h.send(text)
		h.send(testenv.Ring(t).Sender("answer", key.Text, false).Append(nil, text[:342-53]))
	}
	h.send(words(0, "Client ann misses messages 1 to 1 epoch %v", server.Epoch()))
	assert.Contains(t, string(h.receive()), `"message_id":1,`, "the first answer")
	assert.EqualValues(t, 4, server.Stats().Malformed)
	assert.Empty(t, all[udpkit.CommandEvent](log))
}

// TestControlAsksAgain: a reply that is lost is asked for again, and nothing is done twice.
func TestControlAsksAgain(t *testing.T) {
	ring := testenv.Ring(t)
	server, log, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Key: ring, Interval: time.Hour})
	road, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	far := newHand(t, server)
	done := make(chan struct{})
	go func() { // loses every second reply, the first one of all first
		defer close(done)
		b := make([]byte, 2000)
		for lost := true; ; lost = !lost {
			n, from, err := road.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			far.send(b[:n])
			if answer := far.receive(); !lost {
				_, _ = road.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	c := newControl(t, udpkit.ControlConfig{Key: ring, Server: road.LocalAddr().(*net.UDPAddr).AddrPort()})
	for _, state := range []udpkit.State{"A", "B", "C"} {
		status, err := c.State(t.Context(), state)
		require.NoError(t, err)
		assert.Equal(t, state, status.State)
	}
	wait(t, log, func(e udpkit.CommandEvent) bool { return e.Argument == "C" })
	assert.Len(t, all[udpkit.CommandEvent](log), 3)
	assert.EqualValues(t, 3+2, server.Stats().Commands, "a question may be answered twice")
	require.NoError(t, road.Close())
	<-done
}

// TestControlClients: five hundred clients come in many pages, each once and in their order, and no
// page is longer than a message.
func TestControlClients(t *testing.T) {
	const clients = 500
	for _, seal := range []bool{false, true} {
		ring := testenv.Ring(t)
		server, log, _ := newServer(t, testenv.FreePort(t), udpkit.ServerConfig{Key: ring, Seal: seal, Interval: time.Hour})
		wait(t, log, any1[udpkit.SentEvent])
		h, sender := newHand(t, server), ring.Sender("answer", key.Text, seal)
		var want []string
		for i := range clients {
			id := fmt.Sprintf("client %03d", i)
			if i%7 == 0 {
				id += strings.Repeat(`"`, udpkit.MaxClientIDLen-len(id)) // the longest there is
			}
			want = append(want, id)
			h.send(sender.Append(nil, fmt.Appendf(nil, "Client %s received message 1 epoch %v", id, server.Epoch())))
		}
		require.Eventually(t, func() bool { return server.Stats().Clients == clients }, 30*time.Second, time.Millisecond)
		c := newControl(t, udpkit.ControlConfig{Key: ring, Seal: seal, Server: local(server)})
		list, err := c.Clients(t.Context())
		require.NoError(t, err)
		var got []string
		for _, one := range list {
			got = append(got, one.ID)
			assert.EqualValues(t, 1, one.LastID)
			assert.Equal(t, h.LocalAddr().String(), one.Addr.String())
		}
		assert.Equal(t, want, got)
		pages := server.Stats().Commands - 1
		t.Logf("%d clients in %d pages", clients, pages)
		assert.LessOrEqual(t, pages, uint64(clients/3+1))

		var page struct{ Pages int }
		command := sender.Append(nil, words(sender.Overhead(), "Command 0000000000000001 epoch %v clients", server.Epoch()))
		h.send(command)
		answer := h.receive()
		assert.LessOrEqual(t, len(answer), udpkit.MaxMessageSize)
		content, err := ring.Opener(key.OpenerConfig{Purpose: "reply", Form: key.Text}).Open(answer, time.Now())
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(content[len("Reply 0000000000000001 "):], &page))
		assert.EqualValues(t, pages, page.Pages)
	}
}
