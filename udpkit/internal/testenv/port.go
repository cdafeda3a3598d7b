package testenv

import (
	"math/rand/v2"
	"net"
	"testing"
)

// FreePort returns a UDP port that nobody has open. It is none of those that systems give out
// themselves, which begin at 32768 or later: one of these may be gone until the test opens it.
func FreePort(t testing.TB) uint16 {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		if conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port}); err == nil {
			_ = conn.Close()
			return uint16(port)
		}
	}
	t.Fatal("there is no free port from 20000 to 29999")
	return 0
}
