package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// cookieFor returns what proves that a client gets what is sent to its address.
func (s *Server) cookieFor(period uint32, f *relaywire.Frame, addr netip.AddrPort) (c relaywire.Cookie) {
	mac := hmac.New(sha256.New, s.secret[:])
	var b [4 + 8 + 1 + 16 + 2]byte
	binary.BigEndian.PutUint32(b[:], period)
	binary.BigEndian.PutUint64(b[4:], f.ID)
	b[12] = f.Role
	ip := addr.Addr().As16()
	copy(b[13:], ip[:])
	binary.BigEndian.PutUint16(b[29:], addr.Port())
	mac.Write(b[:])
	mac.Write([]byte(addr.Addr().Zone() + "|" + f.Name))
	binary.BigEndian.PutUint32(c[:], period)
	var sum [sha256.Size]byte
	copy(c[4:], mac.Sum(sum[:0]))
	return c
}
