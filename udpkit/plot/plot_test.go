package plot_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/concurrency"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/nonblocking"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/sockets"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start  = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	server = netip.MustParseAddrPort("127.0.0.1:40000")
)

// journal writes events to a file.
func journal(t *testing.T, events ...udpkit.Event) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "journal.jsonl")
	f, err := os.Create(file)
	require.NoError(t, err)
	j := udpkit.NewJournal(f)
	for _, e := range events {
		require.NoError(t, j.Write(e))
	}
	require.NoError(t, f.Close())
	return file
}

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

func clientEvents(states ...udpkit.State) []udpkit.Event {
	events := []udpkit.Event{udpkit.StartEvent{At: start, ClientID: "c1", Listen: server}}
	for i, s := range states {
		events = append(events, udpkit.MessageEvent{
			MessageID: uint64(i + 1), State: s, Server: server, ReceivedAt: at(float64(i) + 0.5), Latency: time.Duration(100+i) * time.Microsecond,
		})
	}
	return append(events, udpkit.ClientSummary{ClientID: "c1", Received: uint64(len(states)), Runtime: time.Duration(len(states)) * time.Second})
}

func serverEvents(clients int, states ...udpkit.State) []udpkit.Event {
	events := []udpkit.Event{udpkit.StartEvent{At: start, Listen: server}}
	for i, s := range states {
		events = append(events, udpkit.SentEvent{MessageID: uint64(i + 1), State: s, Targets: 1, At: at(float64(i))})
		for c := range clients {
			events = append(events, udpkit.AckEvent{
				ClientID: fmt.Sprintf("client-%d", c), MessageID: uint64(i + 1), RTT: time.Duration(300+10*c) * time.Microsecond, Client: server, At: at(float64(i) + 0.01),
			})
		}
	}
	return events
}

// TestApart: plot knows no system, and nobody but the cell that plots has the drawing code.
func TestApart(t *testing.T) {
	deps := func(of string) string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", of).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	const ours = "github.com/gonb-labs/udp-notebooks/udpkit"
	require.ElementsMatch(t, []string{ours + "/plot", ours + "/plot/chart"}, regexp.MustCompile(ours+`\S*`).FindAllString(deps("."), -1))
	for _, of := range []string{"../broadcastpanel", "../relay/relaypanel", "../beacon/beaconpanel", "../chat/chatpanel", "../lesson/nonblocking", "../lesson/sockets", "../lesson/concurrency", "../lesson/broadcast"} {
		require.NotContains(t, deps(of), "gonum.org", of)
	}
}

// texts returns the text elements of an SVG, and fails if it is not well-formed, has an element or
// attribute that could do more than draw, or a text that is cut off.
func texts(t *testing.T, svg []byte) []string {
	t.Helper()
	all, wide := places(t, svg)
	for _, p := range all {
		require.GreaterOrEqual(t, p.left, 0.0, p.words)
		require.LessOrEqual(t, p.right, wide, p.words)
	}
	var found []string
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
			require.Contains(t, []string{"svg", "g", "path", "text"}, token.Name.Local)
			for _, a := range token.Attr {
				require.False(t, strings.HasPrefix(a.Name.Local, "on"), a.Name.Local)
			}
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				found = append(found, string(token))
			}
		}
	}
}

func TestClientSVG(t *testing.T) {
	events := clientEvents("ACTIVE", "STANDBY", "ACTIVE", "ERROR")
	events = append(events, udpkit.GapEvent{Server: server, From: 5, To: 6, At: at(3.8)})
	svg, err := plot.SVG(broadcastpanel.ClientPicture(journal(t, events...)))
	require.NoError(t, err)
	for _, want := range []string{"ACTIVE", "STANDBY", "ERROR", "gap", "time since the start (s)", "messages received: 4, gaps: 1", "Interval: median 1 s", "from server to client (µs)"} {
		require.Contains(t, texts(t, svg), want)
	}
	require.Contains(t, string(svg), "#1A7F37", "the panel's colour of ACTIVE")
	again, err := plot.SVG(broadcastpanel.ClientPicture(journal(t, events...)))
	require.NoError(t, err)
	require.Equal(t, svg, again)
}

// TestDistribution: the curve rises at the values, not before them.
func TestDistribution(t *testing.T) {
	events := clientEvents("ACTIVE", "ACTIVE", "ACTIVE", "ACTIVE")
	for i, micros := range []int{100, 200, 300, 900} {
		m := events[i+1].(udpkit.MessageEvent)
		m.Latency = time.Duration(micros) * time.Microsecond
		events[i+1] = m
	}
	svg, err := plot.SVG(broadcastpanel.ClientPicture(journal(t, events...)))
	require.NoError(t, err)
	curves := regexp.MustCompile(`d="M([^"]*)"[^>]*stroke:#0969DA`).FindAllSubmatch(svg, -1)
	require.Len(t, curves, 2, "interval and latency")
	var xs, ys []float64
	for _, point := range strings.Split(string(curves[1][1]), "L") {
		var x, y float64
		_, err := fmt.Sscanf(point, "%f,%f", &x, &y)
		require.NoError(t, err)
		xs, ys = append(xs, x), append(ys, y)
	}
	for i := 1; i < len(xs); i++ {
		require.True(t, xs[i] == xs[i-1] || ys[i] == ys[i-1], "steps, no slopes")
	}
	bottom, top := slices.Min(ys), slices.Max(ys)
	left, right := xs[slices.Index(ys, bottom)+1], 0.0
	for i, y := range ys {
		if y == top {
			right = xs[i]
			break
		}
	}
	scale := (right - left) / 800 // from 100 to 900 µs
	for i, micros := range []float64{100, 200, 300, 900} {
		share := bottom + (top-bottom)*float64(i+1)/4
		first := slices.IndexFunc(ys, func(y float64) bool { return y > share-0.5 })
		require.InDelta(t, micros, 100+(xs[first]-left)/scale, 5, "%d %% reached", 25*(i+1))
	}
}

func TestServerSVG(t *testing.T) {
	file := journal(t, serverEvents(2, "ACTIVE", "MAINTENANCE", "ERROR")...)
	svg, err := plot.SVG(broadcastpanel.ServerPicture(file))
	require.NoError(t, err)
	for _, want := range []string{"MAINTENANCE", "client-0", "client-1", "message id", "broadcast to acknowledgement (µs)", "messages sent: 3, clients: 2, acknowledgements: 6"} {
		require.Contains(t, texts(t, svg), want)
	}
	again, err := plot.SVG(broadcastpanel.ServerPicture(file))
	require.NoError(t, err)
	require.Equal(t, svg, again)
}

func TestServerWithoutClients(t *testing.T) {
	svg, err := plot.SVG(broadcastpanel.ServerPicture(journal(t, serverEvents(0, "ACTIVE")...)))
	require.NoError(t, err)
	require.Contains(t, texts(t, svg), "Round trip of each client: none yet")
}

func TestManyClientsAndStates(t *testing.T) {
	var states []udpkit.State
	for i := range 30 {
		states = append(states, udpkit.State(fmt.Sprintf("state-%d", i)))
	}
	svg, err := plot.SVG(broadcastpanel.ServerPicture(journal(t, serverEvents(25, states...)...)))
	require.NoError(t, err)
	all := texts(t, svg)
	require.Contains(t, all, "other states")
	require.Contains(t, all, "state-7")
	require.NotContains(t, all, "state-8")
	require.Contains(t, all, "Round trip of each client, and 15 more clients")
	require.Contains(t, all, "client-0")
}

// TestNames: what comes from the network is text in a picture, and nothing else.
func TestNames(t *testing.T) {
	for _, name := range []string{
		`<script>x</script>`, `</text><script>`, `"onload="x`, "<![CDATA[x]]>", "&amp;&#60;", "\u202eabc", "\x1b[2J", strings.Repeat("w", 60), "\xff",
	} {
		svg, err := plot.SVG(broadcastpanel.ClientPicture(journal(t, clientEvents(udpkit.State(name), "ACTIVE")...)))
		require.NoError(t, err)
		all := strings.Join(texts(t, svg), "\n")
		require.NotContains(t, all, "\u202e")
		require.NotContains(t, all, "\x1b")
		require.NotContains(t, all, strings.Repeat("w", 20))
		events := serverEvents(0, "ACTIVE")
		events = append(events, udpkit.AckEvent{ClientID: name, MessageID: 1, RTT: time.Millisecond, Client: server, At: at(1)})
		svg, err = plot.SVG(broadcastpanel.ServerPicture(journal(t, events...)))
		require.NoError(t, err)
		texts(t, svg)
	}
}

func TestEmpty(t *testing.T) {
	empty := journal(t)
	started := journal(t, udpkit.StartEvent{At: start, Listen: server})
	none := filepath.Join(t.TempDir(), "none")
	for _, draw := range []func(string) (chart.Picture, error){broadcastpanel.ClientPicture, broadcastpanel.ServerPicture} {
		for _, file := range []string{empty, started, none} {
			_, err := plot.SVG(draw(file))
			require.ErrorAs(t, err, new(chart.Nothing))
			require.NotContains(t, err.Error(), file, "no path of this machine in a notebook")
		}
	}
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("{\n"), 0o600))
	_, err := plot.SVG(broadcastpanel.ClientPicture(broken))
	require.ErrorContains(t, err, "line 1")
	require.Contains(t, prints(t, func() error { return plot.Show(broadcastpanel.ClientPicture(started)) }), "nothing recorded yet: the client has received no message")
	for _, draw := range []func(string) (chart.Picture, error){broadcastpanel.ClientPicture, broadcastpanel.ServerPicture, relaypanel.Picture} {
		require.Equal(t, "nothing recorded yet: the program has not run, or has kept no history\n",
			prints(t, func() error { return plot.Show(draw(none)) }), "one line, and Run All goes on")
	}
	require.Error(t, plot.Show(broadcastpanel.ClientPicture(broken)))
	require.ErrorContains(t, plot.Show(broadcastpanel.ClientPicture(journal(t, clientEvents("ACTIVE")...))), "no notebook")
}

// prints returns what a function writes to the standard output, and fails if it does.
func prints(t *testing.T, f func() error) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	require.NoError(t, err)
	defer file.Close()
	stdout := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = stdout }()
	require.NoError(t, f())
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	return string(text)
}

// TestLong: a journal of a day is drawn in bounded size.
func TestLong(t *testing.T) {
	states := make([]udpkit.State, 20_000)
	for i := range states {
		states[i] = udpkit.DefaultStates()[i%4]
	}
	svg, err := plot.SVG(broadcastpanel.ClientPicture(journal(t, clientEvents(states...)...)))
	require.NoError(t, err)
	require.Less(t, len(svg), 2<<20)
}

// TestLesson: what package lesson wrote is drawn, and nothing is read into what is not there.
func TestLesson(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	for _, draw := range []func(string) (chart.Picture, error){nonblocking.RunsPicture, nonblocking.ComparisonPicture} {
		_, err := plot.SVG(draw(none))
		require.ErrorIs(t, err, exercise.ErrNothing)
		require.NotContains(t, err.Error(), none, "no path of this machine in a notebook")
	}
	write := func(value any) string {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		file := filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return file
	}
	svg, err := plot.SVG(nonblocking.RunsPicture(write(map[udpkit.Style]nonblocking.Recording{udpkit.Channel: {
		Style: udpkit.Channel, Ticks: []time.Duration{time.Second}, Handled: []time.Duration{2 * time.Second}, Cancelled: 4 * time.Second,
	}})))
	require.NoError(t, err)
	require.Contains(t, texts(t, svg), "channel")
	require.NotContains(t, texts(t, svg), "blocking")
	require.Contains(t, string(svg), "#8250DF", "the lesson's colour of the style")

	c := nonblocking.Comparison{
		Results: []nonblocking.Result{{
			Style: udpkit.Goroutine, Idle: []float64{0.0123}, Cost: []time.Duration{4200 * time.Nanosecond},
			RoundTrips: []time.Duration{50 * time.Microsecond, 20 * time.Millisecond}, Lines: 33, Helpers: 8,
		}},
		Sockets: []nonblocking.SocketsResult{{Style: udpkit.Goroutine, Sockets: 64, Goroutines: 128}},
		Slow:    []nonblocking.SlowResult{{Style: udpkit.Channel, Name: "channel, queue 60", Sent: 100, Handled: 30, Dropped: 60}},
	}
	svg, err = plot.SVG(nonblocking.ComparisonPicture(write(c)))
	require.NoError(t, err)
	for _, want := range []string{"1.23 %", "4.2 µs", "Goroutines for 64 sockets", "128", "channel, 60", "33 + 8", "100"} {
		require.Contains(t, texts(t, svg), want)
	}
	require.Contains(t, string(svg), "#CF222E", "what was lost")
	c.Results[0].Idle, c.Results[0].Cost, c.Results[0].Lines = nil, nil, 0
	svg, err = plot.SVG(nonblocking.ComparisonPicture(write(c)))
	require.NoError(t, err)
	require.Contains(t, texts(t, svg), "CPU while idle: not measured here")
	_, err = plot.SVG(nonblocking.ComparisonPicture(write(nonblocking.Comparison{})))
	require.NoError(t, err, "an empty one is drawn empty")
	require.Error(t, plot.Show(nonblocking.RunsPicture(none)))
	require.Error(t, plot.Show(nonblocking.ComparisonPicture(none)))
}

// TestExperiments: what package concurrency wrote is drawn.
func TestExperiments(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "results.json")
	all := []func(string) (chart.Picture, error){concurrency.ServersPicture, concurrency.ConversationPicture, concurrency.WeatherPicture}
	write := func(r concurrency.Results) {
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
	for _, draw := range all {
		_, err := plot.SVG(draw(filepath.Join(dir, "none")))
		require.ErrorIs(t, err, exercise.ErrNothing)
		write(concurrency.Results{})
		_, err = plot.SVG(draw(file))
		require.ErrorIs(t, err, exercise.ErrNothing)
	}
	const ms = time.Millisecond
	sent, arrived := []time.Duration{0, 5 * ms, 10 * ms}, []time.Duration{20 * ms, 0, 30 * ms}
	write(concurrency.Results{
		Servers: &concurrency.ServersResult{Runs: []concurrency.ServerRun{{
			Name: "one at a time", Took: 2 * time.Second, Clients: []concurrency.ServerClient{{Began: time.Second, Answered: 2 * time.Second}, {}},
		}}},
		Conversation: &concurrency.ConversationResult{
			Delay: 20 * ms,
			TCP:   &concurrency.Exchange{Answered: 82 * ms, Packets: []concurrency.Packet{{Arrived: 20 * ms, Flags: "SYN", IP: 20, Header: 40}, {Sent: 40 * ms, Arrived: 60 * ms, Flags: "ACK", IP: 20, Header: 32, Data: 12}, {Sent: 61 * ms, Arrived: 81 * ms, Answer: true, Flags: "ACK", IP: 20, Header: 32, Data: 10}}},
			UDP:   &concurrency.Exchange{Answered: 41 * ms, Packets: []concurrency.Packet{{Arrived: 20 * ms, IP: 20, Header: 8, Data: 12}}},
		},
		Weather: &concurrency.WeatherResult{Cases: []concurrency.WeatherCase{
			{Conditions: concurrency.Conditions{Name: concurrency.Loss, Loss: 0.1}, UDP: &concurrency.Transfer{Protocol: "udp", Sent: sent, Arrived: arrived}},
			{Conditions: concurrency.Conditions{Name: concurrency.Damage, Damage: 0.1}},
		}},
	})
	var found []string
	for _, draw := range all {
		svg, err := plot.SVG(draw(file))
		require.NoError(t, err)
		found = append(found, texts(t, svg)...)
		again, err := plot.SVG(draw(file))
		require.NoError(t, err)
		require.Equal(t, svg, again)
	}
	for _, want := range []string{
		"one at a time: 1 of 2 answered, the last after 2.00 s", "TCP: answered after 82 ms", "SYN, 60 bytes", "question, 40 bytes",
		"10 % of the packets lost", "a bit flipped in 10 %: not measured here",
	} {
		require.Contains(t, found, want)
	}
	svg, err := plot.SVG(concurrency.WeatherPicture(file))
	require.NoError(t, err)
	require.Contains(t, string(svg), "#CF222E", "the lost one")

	write(concurrency.Results{Conversation: &concurrency.ConversationResult{NoWire: "nothing"}})
	_, err = plot.SVG(concurrency.ConversationPicture(file))
	require.ErrorIs(t, err, concurrency.ErrNoWire)
	require.NoError(t, plot.Show(concurrency.ConversationPicture(file)), "that is no failure of the notebook")
	require.Error(t, plot.Show(concurrency.ServersPicture(file)))
	require.Error(t, plot.Show(concurrency.WeatherPicture(file)))
}

// TestBasics: the pictures of the notebooks sockets and index.
func TestBasics(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	for _, draw := range []func(string) (chart.Picture, error){sockets.ExchangePicture, sockets.PeersPicture} {
		_, err := plot.SVG(draw(none))
		require.ErrorIs(t, err, exercise.ErrNothing)
		require.NotContains(t, err.Error(), none, "no path of this machine in a notebook")
	}
	write := func(value any) string {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		file := filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return file
	}
	const ms = time.Millisecond
	svg, err := plot.SVG(sockets.ExchangePicture(write(sockets.Tape{
		Datagrams: []sockets.Sent{
			{From: sockets.Client, Text: "<b>hello</b>", At: 5 * ms, Arrived: 6 * ms},
			{From: sockets.Server, Text: "hello", At: 7 * ms, Lost: true},
			{From: sockets.Client, Text: "again", At: 8 * ms},
		},
		Events: []sockets.Mark{{Who: sockets.Client, Text: sockets.Timeout, At: 207 * ms}, {Who: sockets.Server, Text: sockets.Closed, At: 208 * ms}},
	})))
	require.NoError(t, err)
	for _, want := range []string{"0.00 ms", "1.00 ms", "2.00 ms", "202 ms", "“<b>hello</b>”", "lost", "never read", "timeout", "closed"} {
		require.Contains(t, texts(t, svg), want)
	}
	_, err = plot.SVG(sockets.ExchangePicture(write(sockets.Tape{})))
	require.ErrorIs(t, err, exercise.ErrNothing)

	svg, err = plot.SVG(sockets.PeersPicture(write(sockets.Neighbourhood{Length: 8 * time.Second, Peers: []sockets.Presence{
		{Name: "anna", From: time.Second, Heard: 8 * time.Second, To: 8 * time.Second},
		{Name: "</text><script>", From: time.Second, Heard: 2 * time.Second, To: 3 * time.Second, End: beacon.Left},
		{Name: "", From: time.Second, Heard: 2 * time.Second, To: 3 * time.Second, End: beacon.Expired},
		{Name: "late", From: time.Second, Heard: 7 * time.Second, To: 8 * time.Second, End: beacon.Expired},
	}})))
	require.NoError(t, err)
	for _, want := range []string{"anna", "no name", "said goodbye", "silent: forgotten", "</text><script>"} {
		require.Contains(t, texts(t, svg), want)
	}
	_, err = plot.SVG(sockets.PeersPicture(write(sockets.Neighbourhood{})))
	require.ErrorAs(t, err, new(chart.Nothing))
	require.Error(t, plot.Show(sockets.ExchangePicture(none)))
	require.Error(t, plot.Show(sockets.PeersPicture(none)))
}

// TestRelay: what package relaypanel wrote is drawn, and the pictures of its notebooks.
func TestRelay(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	_, err := plot.SVG(relaypanel.Picture(none))
	require.ErrorAs(t, err, new(chart.Nothing))
	require.NotContains(t, err.Error(), none, "no path of this machine in a notebook")
	write := func(role string, samples ...relaypanel.Sample) string {
		file := filepath.Join(dir, "history")
		text := fmt.Sprintf(`{"event":"start","role":%q,"username":"<b>ann"}`+"\n", role)
		for _, s := range samples {
			fields, err := json.Marshal(s)
			require.NoError(t, err)
			text += `{"event":"sample",` + string(fields[1:]) + "\n"
		}
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	_, err = plot.SVG(relaypanel.Picture(write("server", relaypanel.Sample{Served: true})))
	require.ErrorAs(t, err, new(chart.Nothing))

	// 1,000 messages in the third second; bob is behind, and carl comes later.
	second := time.Second
	p, err := relaypanel.Picture(write("server",
		relaypanel.Sample{Served: true},
		relaypanel.Sample{At: second, Served: true, Lags: []relaypanel.Lag{{Username: "bob"}}},
		relaypanel.Sample{At: 2 * second, Served: true, Stored: 1000, Delivered: 400, Lags: []relaypanel.Lag{{Username: "bob", Messages: 600}}},
		relaypanel.Sample{At: 3 * second, Served: true, Stored: 1000, Delivered: 1000, Lags: []relaypanel.Lag{{Username: "bob"}, {Username: "carl<i>", Messages: 1}}},
		relaypanel.Sample{At: 4 * second, Served: true, Stored: 1000, Delivered: 2000},
	))
	require.NoError(t, err)
	require.Equal(t, "Relay server <b>ann over 4s, messages stored: 1000, delivered: 2000", p.Title, "for those who cannot see it")
	meanings := make(map[string]string)
	for _, band := range p.Bands {
		for _, one := range band.Charts {
			for _, curve := range one.(chart.Curves).Curves {
				require.Empty(t, meanings[curve.Color], "it has the colour of %s", curve.Name)
				meanings[curve.Color] = curve.Name
			}
		}
	}
	require.Len(t, meanings, 4)
	svg, err := plot.SVG(p, nil)
	require.NoError(t, err)
	found := texts(t, svg)
	for _, want := range []string{"Throughput", "messages a second", "How far behind", "time since the start (s)", "● stored", "● delivered", "● bob", "● carl<i>", "1k", "500"} {
		require.Contains(t, found, want)
	}
	require.NotContains(t, found, "grey: no server")
	colors := map[string]bool{}
	for _, band := range p.Bands {
		for _, curve := range band.Charts[0].(chart.Curves).Curves {
			require.False(t, colors[curve.Color], "a colour has one meaning")
			colors[curve.Color] = true
		}
	}

	p, err = relaypanel.Picture(write("server", relaypanel.Sample{Served: true}, relaypanel.Sample{At: second, Served: true, Stored: 1_200_000}))
	require.NoError(t, err)
	svg, err = plot.SVG(p, nil)
	require.NoError(t, err)
	require.Subset(t, texts(t, svg), []string{"0", "500k", "1M"})

	p, err = relaypanel.Picture(write("join", relaypanel.Sample{Served: true}, relaypanel.Sample{At: second, Stored: 1, Pending: 1}, relaypanel.Sample{At: 2 * second, Served: true, Stored: 2, Delivered: 2, Missing: 3}))
	require.NoError(t, err)
	require.Contains(t, p.Title, "missing: 3")
	svg, err = plot.SVG(p, nil)
	require.NoError(t, err)
	found = texts(t, svg)
	require.Contains(t, found, "grey: no server")
	require.Contains(t, found, "● not stored yet")
	require.Contains(t, string(svg), "#EAEEF2", "the second without a server")
	require.Contains(t, prints(t, func() error { return plot.Show(relaypanel.Picture(none)) }), "nothing recorded yet")
}
