package testenv

import (
	"math/rand/v2"
	"net"
	"testing"
)

// FreePort returns a port that nobody has open, neither for UDP nor for TCP. It is none of those
// that systems give out themselves, which begin at 32768 or later: one of these may be gone until
// the test opens it.
func FreePort(t testing.TB) uint16 {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		if err != nil {
			continue
		}
		_ = conn.Close()
		if listener, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: port}); err == nil {
			_ = listener.Close()
			return uint16(port)
		}
	}
	t.Fatal("there is no free port from 20000 to 29999")
	return 0
}
