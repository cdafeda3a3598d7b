package udpkit

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// BenchmarkClientSocket measures a client from the socket to the statistics, by the sender: the
// statuses are in the socket before, sent one by one or with UDP_SEGMENT.
func BenchmarkClientSocket(b *testing.B) {
	const waiting, piece = 1000, 100
	for _, segments := range []bool{false, true} {
		name := map[bool]string{false: "ordinary sender", true: "UDP_SEGMENT"}[segments]
		b.Run(name, func(b *testing.B) {
			c, err := NewClient(ClientConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), NoAck: true})
			require.NoError(b, err)
			defer c.Close()
			sender, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(c.Addr()))
			require.NoError(b, err)
			defer sender.Close()
			m := hotMessage
			m.ID = 1_000_000 // all of one length
			var buf []byte
			send := func() {
				for range waiting / piece {
					buf = buf[:0]
					size := 0
					for range piece {
						m.ID++
						before := len(buf)
						buf, err = AppendMessage(buf, m)
						require.NoError(b, err)
						if size = len(buf) - before; !segments {
							_, err = sender.Write(buf[before:])
							require.NoError(b, err)
						}
					}
					if segments {
						testenv.SendSegments(b, sender, buf, size)
					}
				}
			}
			receive := func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				n := 0
				err := c.receiver.Receive(ctx, c.conn, func(d Datagram) {
					c.handle(d)
					if n++; n == waiting {
						cancel()
					}
				})
				require.ErrorIs(b, err, context.Canceled)
			}
			send()
			receive() // the history is full, and the socket in its mode
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += waiting {
				b.StopTimer()
				send()
				b.StartTimer()
				receive()
			}
			sum := c.Stats()
			require.Zero(b, sum.Missed+sum.Malformed+sum.Truncated+sum.Duplicates)
		})
	}
}
