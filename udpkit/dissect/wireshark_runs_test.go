package dissect_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

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
		{client, server, fmt.Appendf(nil, "%-342s", "Client ann misses messages 2 to 9007199254740991 epoch 00000000000000bb"), "", "", ""},
		{server, everybody, status(t, next, 2), "", "", ""}, // nobody could ask for it
		{server, everybody, status(t, next, 4), "gap 3", "", "gap"},
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

// TestWiresharkQuoted: what an ICMP error quotes has not been sent again.
func TestWiresharkQuoted(t *testing.T) {
	payload := gopacket.Payload(status(t, 0xaa, 1))
	from, to := net.IPv4(192, 0, 2, 1), net.IPv4(192, 0, 2, 7)
	datagram := gopacket.NewSerializeBuffer()
	fix := gopacket.SerializeOptions{FixLengths: true}
	require.NoError(t, gopacket.SerializeLayers(datagram, fix,
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from, DstIP: to},
		&layers.UDP{SrcPort: 1000, DstPort: udpkit.DefaultPort}, payload))
	quote := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(quote, fix,
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: to, DstIP: from},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort)},
		gopacket.Payload(datagram.Bytes())))

	name := filepath.Join(t.TempDir(), "capture.pcap")
	file, err := os.Create(name)
	require.NoError(t, err)
	w := pcapgo.NewWriter(file)
	require.NoError(t, w.WriteFileHeader(65536, layers.LinkTypeRaw))
	for _, b := range [][]byte{datagram.Bytes(), quote.Bytes(), datagram.Bytes()} {
		require.NoError(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, 0), CaptureLength: len(b), Length: len(b)}, b))
	}
	require.NoError(t, file.Close())
	all := wireshark(t, name)
	require.Len(t, all, 3)
	for i, verdict := range []string{"", "", "duplicate"} {
		if i != 1 { // from version 4.4 on Wireshark leaves it to nobody to read a quoted payload
			assert.Equal(t, "status", all[i].one("udpkit.kind"))
		}
		assert.Equal(t, verdict, all[i].one("udpkit.verdict"))
	}
}

// recorder is a function that a role tells its datagrams.
type recorder func(service.Recorded)

// Record implements udpkit.Recorder.
func (r recorder) Record(d service.Recorded) { r(d) }
