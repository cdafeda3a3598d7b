package sequence_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
)

var (
	server  = netip.MustParseAddrPort("192.0.2.1:4000")
	client  = netip.MustParseAddrPort("192.0.2.2:37020")
	second  = netip.MustParseAddrPort("192.0.2.3:37020")
	all     = netip.MustParseAddrPort("192.0.2.255:37020")
	answers = netip.MustParseAddrPort("192.0.2.2:5000") // where the client sends from
	begun   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func after(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }

func status(t *testing.T, id uint64, state string) []byte {
	b, err := udpkit.AppendMessage(nil, udpkit.Message{Timestamp: "t", State: udpkit.State(state), ID: id, Epoch: 0xaa})
	require.NoError(t, err)
	return b
}

func sent(ms int, from, to netip.AddrPort, payload []byte, verdict string) service.Recorded {
	return service.Recorded{At: after(ms), From: from, To: to, Sent: true, Payload: payload, Verdict: verdict}
}

func received(ms int, from, to netip.AddrPort, payload []byte, verdict string) service.Recorded {
	return service.Recorded{At: after(ms), From: from, To: to, Payload: payload, Verdict: verdict}
}

func recording(t *testing.T, list ...service.Recorded) string {
	name := filepath.Join(t.TempDir(), "a.pcapng")
	f, err := record.Create(name)
	require.NoError(t, err)
	for _, r := range list {
		f.Record(r)
	}
	require.NoError(t, f.Close())
	return name
}

func draw(t *testing.T, files ...string) string {
	var b strings.Builder
	require.NoError(t, sequence.Write(&b, files...))
	require.NotContains(t, b.String(), "ZgotmplZ")
	require.NotContains(t, b.String(), "<script")
	return b.String()
}

var (
	titles  = regexp.MustCompile(`<title>(\d+\. [^<]*)</title>`)
	row     = regexp.MustCompile(`<tr[^>]*><td[^>]*>([^<]*)</td><td[^>]*>[^<]*</td><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td></tr>`)
	arrowOf = regexp.MustCompile(`(?s)<title>(\d+)\. .*?</svg>`)
)

// steps returns what the arrows say.
func steps(page string) (list []string) {
	for _, m := range titles.FindAllStringSubmatch(page, -1) {
		list = append(list, m[1])
	}
	return list
}

// broken reports which arrows are broken and end in a cross.
func broken(page string) (numbers []string) {
	for _, m := range arrowOf.FindAllStringSubmatch(page, -1) {
		if strings.Contains(m[0], "stroke-dasharray:7 5") && strings.Contains(m[0], `d="M-6 -6L6 6M-6 6L6 -6"`) {
			numbers = append(numbers, m[1])
		}
	}
	return numbers
}

// TestLost: what one sent and the other did not receive is a broken arrow, though what lies between
// them has other addresses, and what came later is matched with the sending just before it.
func TestLost(t *testing.T) {
	in, out := netip.MustParseAddrPort("192.0.2.9:1"), netip.MustParseAddrPort("192.0.2.9:2")
	ack, err := udpkit.AppendAck(nil, udpkit.Ack{ClientID: "ann", MessageID: 1, Epoch: 0xaa})
	require.NoError(t, err)
	page := draw(t, recording(t,
		sent(0, server, in, status(t, 1, "ACTIVE"), ""),
		received(2, in, server, ack, ""),
		sent(100, server, in, status(t, 2, "ERROR"), ""),
		sent(200, server, in, status(t, 2, "ERROR"), "sent again"),
	), recording(t,
		received(1, out, client, status(t, 1, "ACTIVE"), ""),
		sent(1, answers, out, ack, ""),
		received(3, out, client, status(t, 1, "ACTIVE"), "duplicate"), // doubled on the way
		received(201, out, client, status(t, 2, "ERROR"), "repaired"),
	))
	assert.Equal(t, []string{
		"1. After 0.0 ms, server to client ann: status 1 ACTIVE · 1ms",
		"2. After 1.0 ms, client ann to server: acknowledgement 1 · 1ms",
		"3. After 3.0 ms, server to client ann: status 1 ACTIVE · duplicate",
		"4. After 100.0 ms, server to client ann: status 2 ERROR · lost",
		"5. After 200.0 ms, server to client ann: status 2 ERROR · sent again, repaired · 1ms",
	}, steps(page))
	assert.Equal(t, []string{"4"}, broken(page))
	assert.Contains(t, page, "<title>From left to right: server, 192.0.2.1:4000; client ann, 192.0.2.2:37020</title>", "and no line for what lies between")
	assert.Equal(t, 5, strings.Count(page, `<input type="radio" name="sequence-`))
	assert.Equal(t, 1, strings.Count(page, " checked "), "the first one is open")
	assert.Equal(t, 4, strings.Count(page, "next ›"))
	assert.Contains(t, page, "stroke-width:3;", "what is sent again differs not by its colour alone")
}

// TestBroadcast: one datagram to all is an arrow to each whose recording is there, and broken to
// the one that has not received it. To whom no recording is there, nothing is known to be lost.
func TestBroadcast(t *testing.T) {
	of := recording(t, sent(0, server, all, status(t, 1, "UP"), ""), sent(10, server, all, status(t, 2, "UP"), ""), sent(20, server, second, status(t, 2, "UP"), "sent again"))
	page := draw(t, of,
		recording(t, received(1, server, client, status(t, 1, "UP"), ""), received(11, server, client, status(t, 2, "UP"), "")),
		recording(t, received(1, server, second, status(t, 1, "UP"), "")),
	)
	assert.Len(t, steps(page), 5)
	assert.Equal(t, []string{"4", "5"}, broken(page))
	page = draw(t, of)
	assert.Len(t, steps(page), 3)
	assert.Empty(t, broken(page))
}

// TestGap: what a client alone has seen to be missing is a broken arrow without bytes.
func TestGap(t *testing.T) {
	page := draw(t, recording(t,
		received(0, server, client, status(t, 1, "UP"), ""),
		received(100, server, client, status(t, 5, "UP"), "gap 2-4"),
		received(101, server, client, status(t, 5, "UP"), "duplicate"),
	))
	assert.Equal(t, []string{
		"1. After 0.0 ms, server to 192.0.2.2:37020: status 1 UP",
		"2. After 100.0 ms, server to 192.0.2.2:37020: missing: 2 to 4 · lost",
		"3. After 100.0 ms, server to 192.0.2.2:37020: status 5 UP · gap 2-4",
		"4. After 101.0 ms, server to 192.0.2.2:37020: status 5 UP · duplicate",
	}, steps(page))
	assert.Equal(t, []string{"2"}, broken(page))
	assert.Contains(t, page, "stroke-dasharray:2 3", "the duplicate")
}

// TestHostile: what strangers sent, or wrote into a file, is text.
func TestHostile(t *testing.T) {
	const evil = `<script>alert(1)</script>"'` + "\u202e\x1b"
	page := draw(t, recording(t,
		received(0, server, client, []byte("Client "+evil+" received message 1"), evil),
		received(1, client, server, []byte(evil), ""),
		received(2, server, client, []byte("HELLO|<b>|00000000000000bb"), "gap 1-"+strings.Repeat("9", 50)),
		received(3, server, client, make([]byte, 60_000), ""),
		received(4, server, client, nil, ""),
	))
	for _, not := range []string{"alert(1)</", "<b>|", "\u202e", "\x1b"} {
		assert.NotContains(t, page, not)
	}
	assert.Contains(t, page, "&lt;script&gt;")
	assert.Contains(t, page, "58,976 more bytes")
	assert.Less(t, len(page), 100_000)
}

// TestBounds: 60 datagrams and 8 addresses are shown, and the rest is counted.
func TestBounds(t *testing.T) {
	var many, strangers []service.Recorded
	for i := range 600 {
		many = append(many, sent(i, server, client, fmt.Append(nil, i), ""))
		from := netip.AddrPortFrom(server.Addr(), uint16(1+i))
		strangers = append(strangers, received(i, from, client, []byte("a"), ""))
	}
	page := draw(t, recording(t, many...))
	assert.Len(t, steps(page), 60)
	assert.Contains(t, page, "540 datagrams more are left out")
	page = draw(t, recording(t, strangers...))
	assert.Len(t, steps(page), 7)
	assert.Contains(t, page, "593 datagrams more are left out")
}

// TestTCP: what was written to a connection is one arrow, though it is read in pieces, and both
// sides record it.
func TestTCP(t *testing.T) {
	segment := func(r service.Recorded, flags byte) service.Recorded {
		r.TCP = &service.Segment{Flags: flags}
		return r
	}
	const ack = service.FlagACK
	atClient := recording(t,
		segment(sent(0, client, server, nil, ""), service.FlagSYN),
		segment(received(0, server, client, nil, ""), service.FlagSYN|ack),
		segment(sent(0, client, server, nil, ""), ack),
		segment(sent(10, client, server, []byte("hello\n"), ""), service.FlagPSH|ack),
		segment(received(20, server, client, []byte("Time flies\n"), ""), service.FlagPSH|ack),
		segment(sent(30, client, server, nil, ""), service.FlagFIN|ack),
		segment(received(31, server, client, nil, ""), service.FlagRST|ack),
	)
	steps1 := []string{
		"1. After 0.0 ms, 192.0.2.2:37020 to 192.0.2.1:4000: connects",
		`2. After 10.0 ms, 192.0.2.2:37020 to 192.0.2.1:4000: text hello\n`,
		`3. After 20.0 ms, 192.0.2.1:4000 to 192.0.2.2:37020: text Time flies\n`,
		"4. After 30.0 ms, 192.0.2.2:37020 to 192.0.2.1:4000: ends its side of the connection",
		"5. After 31.0 ms, 192.0.2.1:4000 to 192.0.2.2:37020: breaks the connection",
	}
	assert.Equal(t, steps1, steps(draw(t, atClient)))
	atServer := recording(t,
		segment(received(10, client, server, []byte("hel"), ""), service.FlagPSH|ack),
		segment(received(11, client, server, []byte("lo\n"), ""), service.FlagPSH|ack),
		segment(sent(20, server, client, []byte("Time flies\n"), ""), service.FlagPSH|ack),
	)
	page := draw(t, atClient, atServer)
	assert.Equal(t, steps1[:4], steps(page), "who records its side would have said that it breaks the connection")
	assert.Empty(t, broken(page))
}

// TestSameBytes: of answers that are all alike, each comes to the one that it was sent to.
func TestSameBytes(t *testing.T) {
	page := draw(t,
		recording(t, sent(0, server, client, []byte("ok"), ""), sent(1, server, second, []byte("ok"), "")),
		recording(t, received(2, server, client, []byte("ok"), "")),
		recording(t, received(3, server, second, []byte("ok"), "")),
	)
	assert.Empty(t, broken(page))
	assert.Len(t, steps(page), 2)
}

// TestBytes: every byte belongs to a field.
func TestBytes(t *testing.T) {
	hello, err := beacon.AppendHello(nil, beacon.Hello{Name: "ann", ID: 0xbb})
	require.NoError(t, err)
	write := relaywire.Frame{Kind: relaywire.Write, ID: 7, First: 9, Count: 1, Entries: relaywire.AppendText(nil, "text")}
	question := fmt.Appendf(nil, "%-342s", "Client ann misses messages 5 to 7 epoch 00000000000000aa")
	for _, of := range []struct {
		payload []byte
		rows    []string
	}{
		{status(t, 5, "UP"), []string{"0–15|timestamp|t", "16–28|state|UP", "29–43|message_id|5", "44–70|epoch|00000000000000aa", "71|end of the object|"}},
		{hello, []string{"0–5|fixed text|", "6–8|name|ann", "9|fixed text|", "10–25|id|00000000000000bb"}},
		{question, []string{"0–6|fixed text|", "7–9|client_id|ann", "10–26|fixed text|", "27|from|5", "28–31|fixed text|", "32|to|7", "33–39|fixed text|", "40–55|epoch|00000000000000aa", "56–341|fixed text|"}},
		{write.Append(nil), []string{
			"0–1|“ur”, of the relay|", "2|version|", "3|kind of frame|", "4–11|id|0000000000000007", "12–19|first|9", "20|count|1",
			"21–26|messages|[{&#34;number&#34;:9,&#34;text&#34;:&#34;text&#34;}]",
		}},
		{[]byte("Time 00000000000000cc 1 2"), []string{
			"0–4|fixed text|", "5–20|time_id|00000000000000cc", "21|fixed text|", "22|received|1970-01-01T00:00:00.000000001Z",
			"23|fixed text|", "24|sent|1970-01-01T00:00:00.000000002Z",
		}},
		{[]byte("a"), []string{"0|text|a"}},
		{[]byte{0xff, 0xfe}, []string{"0–1|bytes|"}},
	} {
		var rows []string
		for _, m := range row.FindAllStringSubmatch(draw(t, recording(t, sent(0, server, client, of.payload, ""))), -1) {
			rows = append(rows, m[1]+"|"+m[2]+"|"+m[3])
		}
		assert.Equal(t, of.rows, rows)
	}
}

func TestNoRecording(t *testing.T) {
	require.ErrorContains(t, sequence.Write(t.Output()), "no recording")
	require.ErrorContains(t, sequence.Write(t.Output(), filepath.Join(t.TempDir(), "none")), "cannot open the recording")
	assert.Contains(t, draw(t, recording(t)), "No datagram is recorded.")
}
