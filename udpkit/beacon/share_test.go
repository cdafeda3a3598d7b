package beacon_test

import (
	"context"
	"net"
	"net/netip"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/sock"
)

func listenShared() (*net.UDPConn, uint16, error) {
	conn, err := sock.ListenUDP(context.Background(), netip.MustParseAddrPort("0.0.0.0:0"), sock.Options{Reuse: true})
	if err != nil {
		return nil, 0, err
	}
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}
