package format_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 412345: "412µs", 1236 * time.Microsecond: "1.24ms", -3210 * time.Millisecond: "-3.21s", 72*time.Second + 4e8: "1m12s",
	} {
		assert.Equal(t, want, format.Short(d))
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		assert.Equal(t, want, format.Number(n))
	}
	assert.Equal(t, "1 line, 2 lines", format.Plural(1, "line")+", "+format.Plural(uint64(2), "line"))
	for n, want := range map[int]string{1023: "1023 B", 208 << 10: "208 KiB", 1023 << 10: "1023 KiB", 4 << 20: "4 MiB", 3 << 29: "1.5 GiB"} {
		assert.Equal(t, want, format.Bytes(n))
	}
	for share, want := range map[float64]string{0: "0 % 0.00 %", 0.00001: "< 1 % < 0.01 %", 0.0123: "1 % 1.23 %", 1: "100 % 100.00 %"} {
		assert.Equal(t, want, format.Percent(share, 0)+" "+format.Percent(share, 2))
	}
	assert.Equal(t, ", 1 a, 2 b", format.Reasons(map[string]uint64{"b": 2, "a": 1}, ", "))
	assert.Empty(t, format.Reasons(map[string]uint64{}, ", "))
	now := time.Now()
	assert.Equal(t, now.Format("15:04:05"), format.Clock(now))
	assert.Equal(t, now.AddDate(0, 0, -1).Format(time.DateTime), format.Clock(now.AddDate(0, 0, -1)))
	assert.Equal(t, now.Format("15:04:05.000"), format.Millis(now))
}

func TestRefused(t *testing.T) {
	var r format.Refused
	from := netip.MustParseAddrPort("10.0.0.7:5000")
	r.Take(from, "not a JSON object", 1)
	before := r
	r.Take(netip.AddrPort{}, "not valid UTF-8", 1234)
	r.Take(netip.AddrPortFrom(from.Addr(), 0), "not valid UTF-8", 2)
	r.Take(from, "not a JSON object", 10)
	assert.Equal(t, []string{
		"refused 1,234 datagrams from many sources: not valid UTF-8",
		"refused 2 datagrams from 10.0.0.7: not valid UTF-8",
		"refused 11 datagrams from 10.0.0.7:5000: not a JSON object",
	}, r.Lines())
	assert.Equal(t, []string{"refused 1 datagram from 10.0.0.7:5000: not a JSON object"}, before.Lines(), "a display may still have it")
	for port := range uint16(10) {
		r.Take(netip.AddrPortFrom(from.Addr(), port+1), "x", 1)
	}
	assert.Len(t, r.Lines(), 5)
}

// TestReason: of a failure on the network a person gets the reason.
func TestReason(t *testing.T) {
	op := &net.OpError{Op: "read", Net: "udp", Addr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, Err: os.NewSyscallError("recvmsg", errors.New("connection refused"))}
	assert.Equal(t, "no server; start it: connection refused", format.Reason(fmt.Errorf("no server; start it: %w", op)))
	assert.Equal(t, "plain", format.Reason(errors.New("plain")))
}
