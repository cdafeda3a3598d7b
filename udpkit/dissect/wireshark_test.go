package dissect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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
	for _, p := range slices.Concat(samples, damage, long()) {
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
