package dissect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

var (
	server = netip.MustParseAddrPort("192.0.2.1:1000")
	client = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), udpkit.DefaultPort)
)

// recording returns the name of a file with the datagrams, a millisecond after one another.
func recording(t *testing.T, all ...service.Recorded) string {
	name := filepath.Join(t.TempDir(), "recording.pcapng")
	f, err := record.Create(name)
	require.NoError(t, err)
	for i, r := range all {
		r.At = time.Unix(1_700_000_000, 0).Add(time.Duration(i) * time.Millisecond)
		f.Record(r)
	}
	require.NoError(t, f.Close())
	return name
}

// fields are what Wireshark shows of a datagram: the values by name.
type fields map[string][]string

func (f fields) add(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		f[name] = append(f[name], "")
		for key, inside := range v {
			f.add(key, inside)
		}
	case []any:
		for _, each := range v {
			f.add(name, each)
		}
	default:
		f[name] = append(f[name], fmt.Sprint(v))
	}
}

// one returns a value that is there once, "" if it is not there.
func (f fields) one(name string) string { return strings.Join(f[name], " and ") }

// tool finds a program of Wireshark's.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		testenv.Skip(t, "there is no %s here", name)
	}
	return path
}

var luaError = regexp.MustCompile(`.*Lua Error.*`)

// wireshark returns what tshark shows of each datagram in a file, with the dissector. No error of
// Lua may be in it.
func wireshark(t *testing.T, name string, options ...string) (all []fields) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "udpkit.lua")
	require.NoError(t, os.WriteFile(script, []byte(dissect.Wireshark()), 0o600))
	args := append([]string{"-X", "lua_script:" + script, "-r", name, "-T", "json", "-J", "udpkit", "--no-duplicate-keys"}, options...)
	cmd := exec.CommandContext(t.Context(), tool(t, "tshark"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Empty(t, luaError.FindString(string(out)))
	require.NotContains(t, stderr.String(), "Lua")
	var packets []struct {
		Source struct {
			Layers map[string]any `json:"layers"`
		} `json:"_source"`
	}
	require.NoError(t, json.Unmarshal(out, &packets))
	for _, p := range packets {
		f := fields{}
		for layer, inside := range p.Source.Layers {
			f.add(layer, inside)
		}
		all = append(all, f)
	}
	return all
}

// shown returns what Wireshark is to show of a datagram.
func shown(d dissect.Datagram) fields {
	f := fields{"udpkit.kind": {d.Kind}}
	if d.Protection != key.Unprotected {
		f["udpkit.protection"] = []string{string(d.Protection)}
	}
	prefix := "udpkit."
	switch kind, _, _ := strings.Cut(d.Kind, " "); kind {
	case "relay":
		prefix += "relay."
	case "hello", "bye":
		prefix += "beacon."
	}
	for _, field := range d.Fields {
		name, value := prefix+field.Name, fmt.Sprint(field.Value)
		switch v := field.Value.(type) {
		case bool:
			value = map[bool]string{true: "1", false: "0"}[v]
		case json.RawMessage:
			value = string(v)
		}
		switch name {
		case "udpkit.relay.id":
			value = "0x" + value
		case "udpkit.relay.role":
			value = map[string]string{"reader": "1", "writer": "2"}[value]
		case "udpkit.relay.from":
			value = map[string]string{"last": "0", "start": "1", "now": "2", "at": "3"}[value]
		case "udpkit.relay.messages", "udpkit.relay.stored", "udpkit.relay.ranges":
			inside := map[string]string{"messages": "message.", "stored": "run.", "ranges": "range."}[field.Name]
			var list []map[string]any
			d := json.NewDecoder(strings.NewReader(value))
			d.UseNumber()
			if d.Decode(&list) == nil {
				for _, each := range list {
					for key, v := range each {
						f.add(prefix+inside+key, v)
					}
				}
			}
			continue
		}
		f[name] = []string{value}
	}
	return f
}

// same compares the fields that want has.
func same(t *testing.T, want, got fields, what any) {
	t.Helper()
	for name, values := range want {
		for i, value := range values {
			have := ""
			if i < len(got[name]) {
				have = got[name][i]
			}
			switch name {
			case "udpkit.relay.cookie":
				have = map[bool]string{true: "0", false: "1"}[strings.Trim(have, "0:") == ""]
			case "udpkit.relay.message.at":
				at, err := time.Parse("Jan _2, 2006 15:04:05.000000000 MST", have)
				if err != nil { // a later version
					at, err = time.Parse(time.RFC3339Nano, have)
				}
				require.NoError(t, err)
				have = at.Format(time.RFC3339Nano)
			}
			if names.Printable(value) && !strings.ContainsAny(value, `\"`) { // else it is escaped
				require.Equal(t, value, have, "%s of %q", name, what)
			}
		}
		require.Len(t, got[name], len(values), "%s of %q", name, what)
	}
	if kind := want["udpkit.kind"][0]; kind == "text" || kind == "bytes" {
		return // there may be what has been understood of it
	}
	for name := range got {
		if !strings.HasPrefix(name, "udpkit") {
			continue // Wireshark's own
		}
		require.True(t, want[name] != nil || moreThanOf.MatchString(name), "%s of %q", name, what)
	}
}

// moreThanOf matches the fields that Wireshark shows and Of does not.
var moreThanOf = regexp.MustCompile(`^udpkit\.(expert|key)\b|^udpkit(\.verdict|\.acknowledges|\.rtt|\.asked_in|\.relay\.(cookie|crc|message|run|range))?$`)

// damaged returns payloads with flipped bits, extreme numbers, other lengths and letters, and
// random ones.
func damaged(samples [][]byte, count int) (all [][]byte) {
	r := rand.New(rand.NewPCG(14, 2))
	for len(all) < count {
		p := slices.Clone(samples[r.IntN(len(samples))])
		for range 1 + r.IntN(2) {
			at := r.IntN(len(p))
			switch r.IntN(7) {
			case 0, 1, 2:
				p[at] ^= 1 << r.IntN(8)
			case 3:
				copy(p[at:], [][]byte{bytes.Repeat([]byte{0xff}, 8), make([]byte, 8), []byte("\\ud83d\\ude00"), []byte(`[{"":[]}]`)}[r.IntN(4)])
			case 4:
				p = slices.Insert(p, at, []byte([]string{"é", "\xc0\x80", "\u200b", "\U0001f600", "|", "\"", "\x00", " ", "1"}[r.IntN(9)])...)
			case 5:
				p = slices.Delete(p, at, at+1+r.IntN(len(p)-at))
			case 6:
				p = make([]byte, 1+r.IntN(200))
				for i := range p {
					p[i] = byte(r.Uint32())
				}
			}
			if len(p) == 0 {
				p = []byte("a")
			}
		}
		all = append(all, p)
	}
	return all
}

// borders are payloads that are just a datagram, or just none.
func borders() (all [][]byte) {
	status := func(rest string) { all = append(all, []byte(`{"timestamp":"t","state":"s",`+rest+`}`)) }
	for _, value := range []string{"0", "9007199254740991", "9007199254740992", "5.0", "5.", "5.50", "-0", "01", "1e3", `"5"`, "null", "NaN", ""} {
		status(`"message_id":` + value)
		status(`"message_id":1,"interval_ms":` + value)
		status(`"message_id":1,"other":` + value)
	}
	for _, rest := range []string{
		`"interval_ms":31536000000`, `"interval_ms":31536000001`, `"epoch":"0000000000000000"`, `"epoch":"00000000000000AA"`, `"epoch":5`,
		`"state":"s"`, `"a":1,"a":1`, `"a":1,"\u0061":1`, `"repair":1`, `"repair":true,"end":false`, `"data":null`, `"data":{"a":[1,{}],"a":2}`,
		`"data":[1,]`, `"data":{"a":1,}`, `"data":[1 2]`, `"data":-1.5e+3`, `"data":"\ud83d\ude00 \ud83d"`, `"data":"\ude00"`, `"data":"\x"`, `"data":"\u00g0"`, `"mac":"a"`,
		`"data":` + strings.Repeat("[", 8) + strings.Repeat("]", 8), `"data":` + strings.Repeat("[", 9) + strings.Repeat("]", 9),
		`"data":"` + strings.Repeat("x", 960) + `"`, `"data":"` + strings.Repeat("x", 975) + `"`,
	} {
		status(`"message_id":1,` + rest)
		all = append(all, []byte(" \n"+`{ "state" : "s" ,"timestamp":"t", "message_id" :1 ,`+rest+" }\t"))
	}
	for _, count := range []int{29, 30} {
		rest := ""
		for i := range count {
			rest += fmt.Sprintf(`,"%d":[]`, i)
		}
		status(`"message_id":1` + rest)
	}
	for _, text := range []string{`""`, `"\u0041\u00e9\u20ac\ud83d\ude00"`, `"` + strings.Repeat("x", 64) + `"`, `"` + strings.Repeat("x", 65) + `"`, "5", "true"} {
		all = append(all, []byte(`{"timestamp":"t","message_id":1,"state":`+text+`}`), []byte(`{"timestamp":`+text+`,"message_id":1,"state":"s"}`))
	}
	for _, size := range []int{64, 65} {
		name := strings.Repeat("x", size)
		question := "Client " + name + " misses messages 5 to 7 epoch 00000000000000aa"
		all = append(all, []byte("Client "+name+" received message 5"), []byte("HELLO|"+name+"|00000000000000bb"), []byte("HELLO|"+name), fmt.Appendf(nil, "%-342s", question))
	}
	for _, text := range []string{
		"Client a received message 5\r\n", "Client a received message 5\n\n", "Client a received message 5 epoch 0000000000000000", "Client  received message 5",
		"Client a received message 4 received message 5", "HELLO|", "HELLO|a|0000000000000000", "HELLO||00000000000000bb", "BYE|a", "BYE|a|00000000000000bb\r\n",
		fmt.Sprintf("%-342s", "Client a misses messages 7 to 5 epoch 00000000000000aa"), fmt.Sprintf("%-341s", "Client a misses messages 5 to 7 epoch 00000000000000aa"),
	} {
		all = append(all, []byte(text))
	}
	missing := func(ranges ...relaywire.Missing) {
		f := relaywire.Frame{Kind: relaywire.Ack, Next: 4, Done: 3, Last: 9, Window: 1 << 20, Count: len(ranges)}
		for _, r := range ranges {
			f.Entries = r.Append(f.Entries)
		}
		all = append(all, frame(f))
	}
	missing(relaywire.Missing{Offset: 1, Count: 2}, relaywire.Missing{Offset: 3, Count: 3})
	missing(relaywire.Missing{Offset: 1, Count: 2}, relaywire.Missing{Offset: 2, Count: 1})
	missing(relaywire.Missing{Offset: 1, Count: 0})
	missing(relaywire.Missing{Offset: 3, Count: 4})
	missing(relaywire.Missing{Offset: 1<<32 - 1, Count: 1<<32 - 1})
	missing(make([]relaywire.Missing, 129)...)
	stored := func(last uint64, runs ...relaywire.Run) {
		f := relaywire.Frame{Kind: relaywire.Stored, Last: last, Count: len(runs)}
		for _, r := range runs {
			f.Entries = r.Append(f.Entries)
		}
		all = append(all, frame(f))
	}
	stored(4, relaywire.Run{Number: 1, Count: 3, Seq: 7}, relaywire.Run{Number: 4, Count: 1})
	stored(3, relaywire.Run{Number: 1, Count: 3, Seq: 7}, relaywire.Run{Number: 3, Count: 1})
	stored(0, relaywire.Run{Number: 1})
	stored(math.MaxUint64, relaywire.Run{Number: math.MaxUint64, Count: 1, Seq: 1})
	stored(1, relaywire.Run{Number: 1, Count: 1, Seq: math.MaxUint64})
	all = append(all,
		frame(relaywire.Frame{Kind: relaywire.Gap, First: 1, Last: math.MaxUint64}),
		frame(relaywire.Frame{Kind: relaywire.Pong, First: 5, Last: 4}), frame(relaywire.Frame{Kind: relaywire.Pong, First: 6, Last: 4}),
		frame(relaywire.Frame{Kind: relaywire.Welcome, First: 1, Last: 1, Next: 0}), frame(relaywire.Frame{Kind: relaywire.Welcome, First: 2, Last: 1, Next: 1 << 60}),
		frame(relaywire.Frame{Kind: relaywire.Ack, Next: 4, Done: 5, Last: 9}), frame(relaywire.Frame{Kind: relaywire.Ack, Next: 4, Last: 9, Window: 1<<20 + 1}),
		frame(relaywire.Frame{Kind: relaywire.Write, First: math.MaxUint64, Count: 1, Entries: relaywire.AppendText(nil, "")}),
		frame(relaywire.Frame{Kind: relaywire.Write, First: 1, Count: 1, Entries: relaywire.AppendText(nil, strings.Repeat("x", 1001))}),
		frame(relaywire.Frame{Kind: relaywire.Write, First: 1}),
	)
	for _, at := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
		data := frame(relaywire.Frame{Kind: relaywire.Data, First: 1, Count: 1, Entries: relaywire.AppendMessage(nil, at, "ann", "text")})
		all = append(all, append(data, make([]byte, relaywire.MaxDatagram-len(data))...), append(data, make([]byte, relaywire.MaxDatagram-len(data)+1)...))
	}
	for _, role := range []uint8{0, relaywire.RoleReader, relaywire.RoleWriter, 3} {
		for from := range uint8(5) {
			for _, at := range []uint64{0, 1} {
				all = append(all, frame(relaywire.Frame{Kind: relaywire.Hello, Role: role, From: from, At: at, Name: "a-1_"}), frame(relaywire.Frame{Kind: relaywire.Hello, Role: role, From: from, Log: at, Name: "-"}))
			}
		}
	}
	return all
}

// TestWiresharkShowsTheSame: what Of says of a datagram is what Wireshark shows, for each kind,
// signed and sealed, and for thousands that somebody has damaged; and none is an error of Lua.
func TestWiresharkShowsTheSame(t *testing.T) {
	ring := testenv.Ring(t)
	samples := slices.Collect(maps.Values(payloads(t)))
	slices.SortFunc(samples, bytes.Compare)
	for _, p := range slices.Clone(samples) {
		form := key.Text
		switch {
		case p[0] == '{':
			form = key.JSON
		case bytes.HasPrefix(p, []byte("ur")):
			form = key.Binary
		}
		samples = append(samples, ring.Sender("test", form, false).Append(nil, p), ring.Sender("test", form, true).Append(nil, p))
	}
	var recorded []service.Recorded
	samples = append(samples, borders()...)
	damage := damaged(append(samples, bytes.Repeat(frame(relaywire.Frame{Kind: relaywire.Ping}), 9)), 4000)
	for _, p := range append(samples, damage...) {
		recorded = append(recorded, service.Recorded{From: server, To: client, Payload: p})
	}
	name := recording(t, recorded...)
	all := wireshark(t, name)
	require.Len(t, all, len(recorded))
	malformed := 0
	for i, got := range all {
		want := fields{}
		for _, p := range dissect.Split(recorded[i].Payload) {
			for name, values := range shown(dissect.Of(p)) {
				want[name] = append(want[name], values...)
			}
		}
		malformed += len(got["udpkit.expert.malformed"])
		// Which characters cannot be shown, Lua knows in part.
		if got.one("udpkit.kind") != want.one("udpkit.kind") && bytes.ContainsFunc(recorded[i].Payload, func(r rune) bool { return r > 0x7e }) &&
			want.one("udpkit.kind") == "text" {
			continue
		}
		same(t, want, got, recorded[i].Payload)
	}
	assert.Greater(t, malformed, 100)

	short := filepath.Join(t.TempDir(), "short.pcapng")
	for _, length := range []string{"30", "45", "70"} {
		out, err := exec.CommandContext(t.Context(), tool(t, "editcap"), "-s", length, name, short).CombinedOutput()
		require.NoError(t, err, string(out))
		all = wireshark(t, short, "-c", "1000")
		require.Len(t, all, 1000)
	}
}

// TestWiresharkPorts: what the programs send to their ports is shown, on other ports what is
// unmistakable, and the rest if one says so.
func TestWiresharkPorts(t *testing.T) {
	assert.Contains(t, dissect.Wireshark(), fmt.Sprintf(`"%d,%d,%d,%d"`, beacon.DefaultPort, echo.DefaultResponderPort, echo.DefaultPort, udpkit.DefaultPort))
	assert.Equal(t, echo.DefaultPort, relay.DefaultPort)

	other := netip.MustParseAddrPort("192.0.2.7:5000")
	samples := payloads(t)
	kinds := slices.Sorted(maps.Keys(samples))
	var recorded []service.Recorded
	for _, kind := range kinds {
		recorded = append(recorded, service.Recorded{From: server, To: other, Payload: samples[kind]})
	}
	ring := testenv.Ring(t)
	recorded = append(recorded, service.Recorded{From: server, To: other, Payload: ring.Sender("test", key.Text, true).Append(nil, []byte("a"))})
	recorded = append(recorded, service.Recorded{From: server, To: other, Payload: append([]byte("\xf5\x01"), make([]byte, 60)...)}) // chance
	name := recording(t, recorded...)
	for _, options := range [][]string{nil, {"-o", "udpkit.ports:5000"}, {"-d", "udp.port==5000,udpkit"}} {
		for i, got := range wireshark(t, name, options...) {
			want := dissect.Of(recorded[i].Payload).Kind
			if options == nil && (want == "text" || want == "bytes" || i == len(recorded)-1) {
				want = ""
			}
			assert.Equal(t, want, got.one("udpkit.kind"), options)
		}
	}
}

// status returns a message of a run.
func status(t *testing.T, epoch udpkit.Epoch, id uint64) []byte {
	b, err := udpkit.AppendMessage(nil, udpkit.Message{Timestamp: "2026-01-02T03:04:05+00:00", State: "UP", ID: id, Epoch: epoch})
	require.NoError(t, err)
	return b
}

// TestWiresharkTellsWhatTheClientTells: of messages that are lost, late, duplicates and forged,
// Wireshark says what the client has said when it received them.
func TestWiresharkTellsWhatTheClientTells(t *testing.T) {
	tool(t, "tshark")
	name := filepath.Join(t.TempDir(), "recording.pcapng")
	file, err := record.Create(name)
	require.NoError(t, err)
	heard := make(chan service.Recorded, 1)
	c, err := udpkit.NewClient(udpkit.ClientConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), NoAck: true, NoRepair: true,
		Record: recorder(func(r service.Recorded) {
			file.Record(r)
			heard <- r
		}),
	})
	require.NoError(t, err)
	defer c.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()

	r := rand.New(rand.NewPCG(14, 3))
	told := map[string]int{}
	var verdicts []string
	for _, epoch := range []udpkit.Epoch{0xaa, 0} {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(c.Addr()))
		require.NoError(t, err)
		defer conn.Close()
		id := uint64(10)
		for range 600 {
			sent := id
			switch n := r.IntN(20); {
			case n < 2:
				id += uint64(r.IntN(5)) // some are lost
				sent = id
			case n < 6:
				sent = id - min(id, uint64(r.IntN(8))) // late, or a duplicate
			case n == 6 && r.IntN(10) == 0:
				sent = id + uint64(r.IntN(3000)) // a forged one, perhaps
			}
			if sent == id {
				id++
			}
			_, err = conn.Write(status(t, epoch, sent))
			require.NoError(t, err)
			verdict := (<-heard).Verdict
			verdicts = append(verdicts, verdict)
			kind, _, _ := strings.Cut(verdict, " ")
			told[strings.TrimSuffix(kind, ",")]++
		}
	}
	require.NoError(t, c.Close())
	<-ended
	require.NoError(t, file.Close())
	for _, kind := range []string{"gap", "late", "duplicate", ""} {
		require.Greater(t, told[kind], 20, kind)
	}
	port := fmt.Sprintf("udp.port==%d,udpkit", c.Addr().Port())
	for i, got := range wireshark(t, name, "-d", port) {
		assert.Equal(t, verdicts[i], got.one("udpkit.verdict"), i)
		for _, what := range []string{"gap", "late", "duplicate"} {
			assert.Equal(t, strings.Contains(verdicts[i], what), len(got["udpkit.expert."+what]) > 0, what)
		}
	}
}

// TestWiresharkTellsWhatBecame: an exchange with a repair, acknowledgements, a server that begins
// anew, and a relay's reader, each with what the capture shows of it, and which frames belong
// together.
func TestWiresharkTellsWhatBecame(t *testing.T) {
	const epoch, next udpkit.Epoch = 0xaa, 0xbb
	everybody := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.255"), udpkit.DefaultPort)
	ack := func(id uint64) []byte {
		b, err := udpkit.AppendAck(nil, udpkit.Ack{ClientID: "ann", MessageID: id, Epoch: epoch})
		require.NoError(t, err)
		return b
	}
	question := fmt.Appendf(nil, "%-342s", "Client ann misses messages 2 to 3 epoch 00000000000000aa")
	data := func(first uint64, count int) []byte {
		return frame(relaywire.Frame{Kind: relaywire.Data, First: first, Count: count, Entries: bytes.Repeat(relaywire.AppendMessage(nil, 1, "ann", "text"), count)})
	}
	steps := []struct {
		from, to netip.AddrPort
		payload  []byte
		verdict  string
		about    string // the frame that it belongs to
		expert   string
	}{
		{server, everybody, status(t, epoch, 1), "", "", ""},
		{client, server, ack(1), "", "1", ""},
		{client, server, ack(1), "duplicate", "1", "duplicate"},
		{server, everybody, status(t, epoch, 4), "gap 2-3", "", "gap"},
		{client, server, question, "", "", ""},
		{server, client, status(t, epoch, 2), "sent again", "5", "again"},
		{server, everybody, status(t, epoch, 3), "sent again", "5", "again"}, // to all
		{server, everybody, status(t, epoch, 3), "sent again, duplicate", "5", "duplicate"},
		{client, server, ack(4), "", "4", ""},
		{server, everybody, status(t, epoch, 5), "", "", ""},
		{server, client, status(t, epoch, 5), "", "", ""}, // another target
		{server, everybody, status(t, next, 1), "a new run", "", "run"},
		{server, everybody, status(t, epoch, 7), "gap 6", "", "gap"},
		{server, client, frame(relaywire.Frame{Kind: relaywire.Welcome, Try: 1, Next: 2, First: 1, Last: 9}), "", "", ""},
		{server, client, data(3, 2), "gap 2", "", "gap"},
		{server, client, data(2, 1), "late", "", "late"},
		{server, client, data(2, 1), "sent again", "", "again"},
		{server, client, frame(relaywire.Frame{Kind: relaywire.Gap, First: 5, Last: 6}), "", "", "lost"},
		{server, client, data(7, 1), "", "", ""},
		{server, client, slices.Concat(data(8, 2), data(10, 2), data(13, 1)), "gap 12", "", "parted"},
		{server, client, []byte("HELLO|ann|nonsense"), "", "", "malformed"},
		{server, client, []byte("BYE|ann|00000000000000bb"), "", "", "ended"},
	}
	var recorded []service.Recorded
	for _, s := range steps {
		recorded = append(recorded, service.Recorded{From: s.from, To: s.to, Payload: s.payload})
	}
	name := recording(t, recorded...)
	for _, options := range [][]string{nil, {"-2"}} { // in two passes, as Wireshark looks again
		for i, got := range wireshark(t, name, options...) {
			s := steps[i]
			assert.Equal(t, s.verdict, got.one("udpkit.verdict"), i)
			assert.Equal(t, s.about, got.one("udpkit.acknowledges")+got.one("udpkit.asked_in"), i)
			if s.expert != "" {
				assert.Contains(t, got, "udpkit.expert."+s.expert, i)
			} else {
				assert.NotContains(t, got, "_ws.expert", i)
			}
			if i == 8 {
				assert.Equal(t, "0.005000000", got.one("udpkit.rtt"))
			}
		}
	}
}

// recorder is a function that a role tells its datagrams.
type recorder func(service.Recorded)

// Record implements udpkit.Recorder.
func (r recorder) Record(d service.Recorded) { r(d) }
