package udp

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckPeer(t *testing.T) {
	for source, why := range map[string]string{
		"127.0.0.1:0":                "port 0",
		"[fe80::1%x]:0":              "port 0",
		"0.0.0.0:5":                  "no host",
		"[::]:5":                     "no host",
		"224.0.0.1:5":                "no host",
		"239.255.255.255:5":          "no host",
		"[ff02::1%x]:5":              "no host",
		"255.255.255.255:5":          "no host",
		"[::ffff:0.0.0.0]:5":         "no host",
		"[::ffff:224.0.0.1]:5":       "no host",
		"[::ffff:255.255.255.255]:5": "no host",
		"127.0.0.1:1":                "",
		"10.9.8.255:65535":           "", // a host of 10.9.0.0/16, for one
		"[fe80::1%x]:1":              "",
		"[::ffff:10.0.0.1]:1":        "",
	} {
		err := CheckPeer(netip.MustParseAddrPort(source))
		if why == "" {
			assert.NoError(t, err, source)
		} else {
			assert.ErrorContains(t, err, why, source)
		}
	}
	assert.Error(t, CheckPeer(netip.AddrPort{}))
	assert.Error(t, CheckPeer(netip.AddrPortFrom(netip.Addr{}, 5)))
}

func TestNoBroadcast(t *testing.T) {
	broadcast := netip.MustParseAddrPort("127.255.255.255:9")
	for _, forbidden := range []bool{false, true} {
		conn, err := Listen(t.Context(), netip.MustParseAddrPort("0.0.0.0:0"), Options{NoBroadcast: forbidden})
		require.NoError(t, err)
		_, err = conn.WriteToUDPAddrPort([]byte("x"), broadcast)
		if forbidden {
			assert.Error(t, err)
		} else {
			assert.NoError(t, err)
		}
		require.NoError(t, conn.Close())
	}
}
