package record_test

import (
	"bytes"
	"encoding/csv"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

func at(address string) netip.AddrPort { return netip.MustParseAddrPort(address) }

// some are datagrams of all kinds: both families, both directions, empty, odd and long ones.
var some = []service.Recorded{
	{From: at("192.0.2.1:1000"), To: at("192.0.2.255:9999"), Payload: []byte("odd")},
	{From: at("192.0.2.7:9999"), To: at("192.0.2.1:1000"), Payload: []byte("even"), Sent: true, Verdict: "acknowledged"},
	{From: at("[2001:db8::1]:1"), To: at("[2001:db8::2]:65535"), Payload: []byte("odd"), Verdict: "duplicate"},
	{From: at("[2001:db8::1]:1"), To: at("[2001:db8::2]:2"), Sent: true},
	{From: at("192.0.2.1:1000"), To: at("192.0.2.2:9999"), Verdict: "gap 5-7"},
	{From: at("192.0.2.1:1000"), To: at("192.0.2.2:9999"), Payload: bytes.Repeat([]byte{0xff}, 65507)},
}

var begun = time.Unix(1_700_000_000, 123_456_789)

// recording records datagrams, one each nanosecond.
func recording(t *testing.T, all ...service.Recorded) string {
	all = slices.Clone(all)
	for i := range all {
		all[i].At = begun.Add(time.Duration(i) * time.Nanosecond)
	}
	return recordingAt(t, all...)
}

func recordingAt(t *testing.T, all ...service.Recorded) string {
	name := filepath.Join(t.TempDir(), "recording.pcapng")
	f, err := record.Create(name)
	require.NoError(t, err)
	for _, r := range all {
		f.Record(r)
	}
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	f.Record(some[0]) // is ignored
	return name
}

func read(t *testing.T, name string) (all []record.Packet) {
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	for p, err := range record.Read(bytes.NewReader(content)) {
		require.NoError(t, err)
		all = append(all, p)
	}
	return all
}

// TestRoundTrip: what was recorded is read back.
func TestRoundTrip(t *testing.T) {
	all := read(t, recording(t, some...))
	require.Len(t, all, len(some))
	for i, p := range all {
		want := some[i]
		assert.Equal(t, i+1, p.Number)
		assert.True(t, begun.Add(time.Duration(i)).Equal(p.At), p.At)
		assert.Equal(t, want.From, p.From)
		assert.Equal(t, want.To, p.To)
		assert.True(t, bytes.Equal(want.Payload, p.Payload))
		assert.Equal(t, want.Verdict, p.Verdict)
		assert.Equal(t, want.Sent, p.Sent)
		assert.Equal(t, !want.Sent, p.Received)
	}
	assert.Empty(t, read(t, recording(t)))
}

// TestOwnAddress: where the role knows its port only, the address is the one in the peer's network.
func TestOwnAddress(t *testing.T) {
	all := read(t, recording(t,
		service.Recorded{From: at("127.0.0.1:1000"), To: at("0.0.0.0:9999")},
		service.Recorded{From: at("0.0.0.0:9999"), To: at("127.1.2.3:1000"), Sent: true},
		service.Recorded{From: at("127.0.0.1:1000"), To: at("[::]:9999")},
		service.Recorded{From: at("[::ffff:127.0.0.1]:1000"), To: at("127.0.0.2:9999")},
	))
	require.Len(t, all, 4)
	assert.Equal(t, at("127.0.0.1:9999"), all[0].To)
	assert.Equal(t, at("127.0.0.1:9999"), all[1].From)
	assert.Equal(t, at("127.0.0.1:9999"), all[2].To)
	assert.Equal(t, at("127.0.0.1:1000"), all[3].From)
}

// TestCutShort: of a file that ends anywhere, as that of a program that was killed, all whole
// packets are read. What never was a recording is an error.
func TestCutShort(t *testing.T) {
	content, err := os.ReadFile(recording(t, some[:5]...))
	require.NoError(t, err)
	before := 0
	for end := 4; end <= len(content); end++ {
		count := 0
		for _, err := range record.Read(bytes.NewReader(content[:end])) {
			require.NoError(t, err, end)
			count++
		}
		require.GreaterOrEqual(t, count, before)
		before = count
	}
	assert.Equal(t, 5, before)
	for _, text := range []string{"", "abc", "This is no recording, but text."} {
		failed := false
		for _, err := range record.Read(strings.NewReader(text)) {
			failed = true
			assert.ErrorContains(t, err, "no pcap or pcapng file")
		}
		assert.True(t, failed)
	}
}

// TestWrittenSoon: what was recorded is in the file without Close, as if the program were killed.
func TestWrittenSoon(t *testing.T) {
	name := filepath.Join(t.TempDir(), "recording.pcapng")
	f, err := record.Create(name)
	require.NoError(t, err)
	defer f.Close()
	assert.Empty(t, read(t, name), "a recording from the start")
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 250 {
				f.Record(some[1])
			}
		})
	}
	writers.Wait()
	require.Eventually(t, func() bool { return len(read(t, name)) == 1000 }, 30*time.Second, 10*time.Millisecond)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	assert.NoError(t, f.Err())
}

// TestInOrder: who tells first what was last is no reason for a file that is out of order.
func TestInOrder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "recording.pcapng")
	f, err := record.Create(name)
	require.NoError(t, err)
	const each = 300
	var tellers sync.WaitGroup
	for teller := range 4 {
		tellers.Go(func() {
			for range each {
				r := some[teller]
				r.At = time.Now()
				time.Sleep(time.Duration(teller) * time.Millisecond)
				f.Record(r)
			}
		})
	}
	tellers.Go(func() { // what is read at once is told one by one, with the answer to each
		for range 2 {
			read := time.Now()
			for range each / 4 {
				asked, answered := some[0], some[1]
				asked.At = read
				f.Record(asked)
				answered.At = time.Now()
				f.Record(answered)
				time.Sleep(4 * time.Millisecond)
			}
		}
	})
	tellers.Wait()
	require.NoError(t, f.Close())
	all := read(t, name)
	assert.Len(t, all, 5*each)
	assert.True(t, slices.IsSortedFunc(all, func(a, b record.Packet) int { return a.At.Compare(b.At) }))
	out, err := exec.CommandContext(t.Context(), tool(t, "capinfos"), name).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Regexp(t, `Strict time order: +True`, string(out))
	assert.Contains(t, string(out), "No capture: ")
}

// TestBeside: a recording never empties a file, and is beside it.
func TestBeside(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.pcapng")
	for i, want := range []string{"a.pcapng", "a-2.pcapng", "a-3.pcapng"} {
		f, err := record.Create(name)
		require.NoError(t, err)
		assert.Equal(t, want, filepath.Base(f.Name()))
		for range i + 1 {
			f.Record(some[0])
		}
		require.NoError(t, f.Close())
	}
	for i, file := range []string{"a.pcapng", "a-2.pcapng", "a-3.pcapng"} {
		assert.Len(t, read(t, filepath.Join(filepath.Dir(name), file)), i+1)
	}
}

func TestCannotCreate(t *testing.T) {
	_, err := record.Create(filepath.Join(t.TempDir(), "none", "recording.pcapng"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// tool finds a program of Wireshark's.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		testenv.Skip(t, "there is no %s here", name)
	}
	return path
}

// TestWireshark: it finds what was recorded, and no fault: all checksums are valid.
func TestWireshark(t *testing.T) {
	tshark := tool(t, "tshark")
	capinfos := tool(t, "capinfos")
	name := recording(t, some...)
	var fields []string
	for _, f := range []string{"frame.time_epoch", "ip.src", "ipv6.dst", "udp.srcport", "udp.length", "frame.comment", "frame.interface_name"} {
		fields = append(fields, "-e", f)
	}
	command := append([]string{"-r", name, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=,"}, fields...)
	out, err := exec.CommandContext(t.Context(), tshark, command...).Output()
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, [][]string{
		{"1700000000.123456789", "192.0.2.1", "", "1000", "11", "", "received"},
		{"1700000000.123456790", "192.0.2.7", "", "9999", "12", "acknowledged", "sent"},
		{"1700000000.123456791", "", "2001:db8::2", "1", "11", "duplicate", "received"},
		{"1700000000.123456792", "", "2001:db8::2", "1", "8", "", "sent"},
		{"1700000000.123456793", "192.0.2.1", "", "1000", "8", "gap 5-7", "received"},
		{"1700000000.123456794", "192.0.2.1", "", "1000", "65515", "", "received"},
	}, rows)

	for _, fault := range []string{"_ws.malformed", "udp.checksum.status != 1 || ip.checksum.status == 0"} {
		out, err = exec.CommandContext(t.Context(), tshark, "-r", name, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", fault).Output()
		require.NoError(t, err)
		assert.Empty(t, string(out), fault)
	}
	out, err = exec.CommandContext(t.Context(), capinfos, name).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "Number of packets:   6")
	assert.NotContains(t, string(out), "cut short")
}

// FuzzRead: no file, whatever is in it, has Read panic or go on for ever.
func FuzzRead(f *testing.F) {
	name := filepath.Join(f.TempDir(), "recording.pcapng")
	file, err := record.Create(name)
	require.NoError(f, err)
	for _, r := range some[:5] {
		file.Record(r)
	}
	require.NoError(f, file.Close())
	content, err := os.ReadFile(name)
	require.NoError(f, err)
	f.Add(content)
	f.Add([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x65\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x1c\x00\x00\x00\x1c\x00\x00\x00\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x11\x00\x00\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02\x00\x08\x00\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		count := 0
		for p, err := range record.Read(bytes.NewReader(content)) {
			if err == nil {
				require.True(t, p.From.IsValid() && p.To.IsValid())
			}
			count++
		}
		require.LessOrEqual(t, count, len(content)+1)
	})
}
