package broadcast

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Share opens a socket at a port that others may have too, if they share it: a broadcast reaches
// all of them. Port 0 is any free one.
func Share(port int) (net.PacketConn, error) {
	if port < 0 || port > 65535 {
		return nil, fmt.Errorf("%w: port %d is not from 0 to 65535", udpkit.ErrConfig, port)
	}
	return udp.Listen(context.Background(), netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), udp.Options{Reuse: true})
}

// Wait waits until a client has taken, refused or dropped so many datagrams, for two seconds at the
// most. It reports whether it has.
func Wait(c *udpkit.Client, datagrams uint64) bool {
	for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
		s := c.Stats()
		not := s.Untrusted.Unsigned + s.Untrusted.Forged + s.Untrusted.Expired + s.Untrusted.Repeated
		if s.Received+s.Duplicates+s.Malformed+not >= datagrams {
			return true
		}
	}
	return false
}

// Explain writes what is in a message that is signed with a shared key: what was signed, and the
// parts of its token, see package key. Of another datagram it says that it is none.
func Explain(w io.Writer, datagram []byte) error {
	const before = `,"mac":"`
	var m struct {
		MAC string `json:"mac"`
	}
	at := strings.LastIndex(string(datagram), before)
	token, err := []byte(nil), json.Unmarshal(datagram, &m)
	if err == nil {
		token, err = base64.RawURLEncoding.DecodeString(m.MAC)
	}
	if err != nil || at < 0 || len(token) != 36 {
		_, err = fmt.Fprintf(w, "%d bytes that are no signed message\n", len(datagram))
		return err
	}
	clock := time.UnixMilli(int64(binary.BigEndian.Uint64(token[12:])))
	_, err = fmt.Fprintf(w, "%d bytes. What was said:\n  %s\nand the token behind it:\n  session  %x    drawn at random by the server\n  count    %d    its datagrams up to this one\n  clock    %s    when it was signed\n  MAC      %x    over all of this, with the key\n",
		len(datagram), datagram[:at+len(before)], token[:8], binary.BigEndian.Uint32(token[8:]), format.Millis(clock), token[20:])
	return err
}
