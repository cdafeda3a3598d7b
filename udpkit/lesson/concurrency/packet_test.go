package concurrency

import (
	"bytes"
	"html/template"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzParse: no packet makes it panic, and what it accepts has its sizes.
func FuzzParse(f *testing.F) {
	udp := append([]byte{0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 10, 99, 0, 1, 10, 99, 0, 2}, 0x1e, 0x62, 0, 53, 0, 10, 0, 0, 'h', 'i')
	f.Add(udp)
	tcp := append([]byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 99, 0, 1, 10, 99, 0, 2}, make([]byte, 20)...)
	tcp[32], tcp[33] = 5<<4, 0x12
	f.Add(tcp)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _, ok := parse(b)
		if !ok {
			return
		}
		require.GreaterOrEqual(t, p.IP, 20)
		require.GreaterOrEqual(t, p.Header, 8)
		require.GreaterOrEqual(t, p.Data, 0)
		require.LessOrEqual(t, p.Size(), len(b))
		turned := bytes.Clone(b)
		reflect(turned)
		reflect(turned)
		require.Equal(t, b, turned)
	})
}

func TestParse(t *testing.T) {
	tcp := append([]byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 99, 0, 1, 10, 99, 0, 2}, make([]byte, 20)...)
	tcp[23], tcp[32], tcp[33] = 80, 5<<4, 0x12
	p, to, ok := parse(tcp)
	require.True(t, ok)
	require.EqualValues(t, 80, to)
	require.Equal(t, Packet{Flags: "SYN ACK", IP: 20, Header: 20}, p)
	for name, change := range map[string]func([]byte){
		"IPv6": func(b []byte) { b[0] = 0x65 }, "a fragment": func(b []byte) { b[7] = 1 }, "too long": func(b []byte) { b[3] = 41 },
		"a short IP header": func(b []byte) { b[0] = 0x44 }, "a short TCP header": func(b []byte) { b[32] = 4 << 4 },
		"options beyond the end": func(b []byte) { b[32] = 6 << 4 }, "ICMP": func(b []byte) { b[9] = 1 }, "too short": func(b []byte) { b[3] = 27 },
	} {
		b := bytes.Clone(tcp)
		change(b)
		_, _, ok := parse(b)
		require.False(t, ok, name)
	}
}

// TestRelay: without a wire UDP passes through a relay under the same conditions.
func TestRelay(t *testing.T) {
	send := func(c Conditions) Transfer {
		c.Delay, c.Messages, c.Size, c.Every = 5*time.Millisecond, 100, 50, time.Millisecond
		r, err := byRelay(t.Context(), job{Protocol: "udp", Conditions: c, Seed: 7, Transfer: true})
		require.NoError(t, err)
		return r
	}
	fair := send(Conditions{})
	require.Equal(t, 100, fair.Delivered)
	lossy := send(Conditions{Loss: 0.2})
	require.Equal(t, 100-lossy.Road.Lost, lossy.Delivered)
	require.InDelta(t, 20, lossy.Road.Lost, 12)
	require.Equal(t, lossy.Road.Lost, send(Conditions{Loss: 0.2}).Road.Lost, "the seed decides")
	require.Positive(t, send(Conditions{Detour: 0.3}).Disorder)
	require.Equal(t, 100, send(Conditions{Twice: 1}).Twice)
	require.Equal(t, 100, send(Conditions{Damage: 1}).Damaged, "a relay gives it a new checksum")
	require.Positive(t, send(Conditions{Rate: 20_000, MaxWait: 10 * time.Millisecond}).Road.Dropped)
}

// TestPages: what is shown where there is no wire, and no template fails.
func TestPages(t *testing.T) {
	bad := "<script>alert(1)</script>"
	transfer := &Transfer{Protocol: "udp", Sent: make([]time.Duration, 2), Arrived: []time.Duration{0, time.Millisecond}, Delivered: 1}
	for name, data := range map[string]any{
		"servers":      &ServersResult{Work: time.Second, Runs: []ServerRun{{Name: bad, Clients: make([]ServerClient, 2), Dropped: 2}}},
		"conversation": &ConversationResult{Delay: time.Second, UDP: &Exchange{Protocol: "udp", Packets: []Packet{{Data: 3}}}, NoWire: bad},
		"weather":      &WeatherResult{Cases: []WeatherCase{{Conditions: Conditions{Name: bad}, UDP: transfer}}, NoWire: bad},
		"flow":         &FlowResult{Offered: 5, Ends: []FlowEnd{{Protocol: bad, Accepted: 5}}},
		"speed":        &SpeedResult{Rounds: 1, Rows: []Speed{{Name: bad}}},
		"rows":         []Row{{Feature: bad}},
	} {
		var html, text bytes.Buffer
		require.NoError(t, page.ExecuteTemplate(&html, name, state{data, "a note"}))
		require.NotContains(t, html.String(), "<script")
		require.Contains(t, html.String(), template.HTMLEscapeString(bad), name)
		require.NotContains(t, html.String(), "ZgotmplZ")
		for _, cell := range regexp.MustCompile(`<td style="([^"]*)"`).FindAllStringSubmatch(html.String(), -1) {
			_, wrap, _ := strings.Cut(cell[1][strings.LastIndex(cell[1], "overflow-wrap"):], ":")
			require.True(t, strings.HasPrefix(wrap, "break-word"), "a narrow column of %s tears its words apart: %s", name, cell[1])
		}
		require.NoError(t, plain(&text, state{data, "a note"}))
		require.Contains(t, text.String(), "a note")
	}
	require.Error(t, plain(&bytes.Buffer{}, state{}))
}
