package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// cookieFor returns what proves that a client gets what is sent to its address.
func (s *Server) cookieFor(period uint32, f *frame, addr netip.AddrPort) (c cookie) {
	mac := hmac.New(sha256.New, s.secret[:])
	var b [4 + 8 + 1 + 16 + 2]byte
	binary.BigEndian.PutUint32(b[:], period)
	binary.BigEndian.PutUint64(b[4:], uint64(f.id))
	b[12] = byte(f.role)
	ip := addr.Addr().As16()
	copy(b[13:], ip[:])
	binary.BigEndian.PutUint16(b[29:], addr.Port())
	mac.Write(b[:])
	mac.Write([]byte(addr.Addr().Zone() + "|" + f.name))
	binary.BigEndian.PutUint32(c[:], period)
	var sum [sha256.Size]byte
	copy(c[4:], mac.Sum(sum[:0]))
	return c
}
