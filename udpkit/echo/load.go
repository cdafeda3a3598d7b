package echo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// MaxLoad is the most clients of a [Load].
const MaxLoad = 1000

// Exchange is what became of one client's datagram in a [Load].
type Exchange struct {
	Client   int       // from 0
	Sent     time.Time // when it was sent
	Answered time.Time // when the reply was here; zero if none came
	Payload  []byte    // of the reply
	Err      error     // why there is none, see Client.Send
}

// RTT returns the time from Sent to Answered, 0 if no reply came.
func (e Exchange) RTT() time.Duration {
	if e.Answered.IsZero() {
		return 0
	}
	return e.Answered.Sub(e.Sent)
}

// Load sends one datagram from each of this many clients, 1 to MaxLoad, at the same moment, each
// from a socket of its own, and waits for the replies, at most for the timeout; 0 means
// DefaultTimeout. It returns an exchange for each client, in their order. A lost reply is no error
// of Load but of its exchange: the error wraps ErrConfig, is the system's for the sockets, or the
// cause of the end of ctx.
func Load(ctx context.Context, to netip.AddrPort, clients int, timeout time.Duration) ([]Exchange, error) {
	if err := check(to, timeout); err != nil {
		return nil, err
	}
	if clients < 1 || clients > MaxLoad {
		return nil, fmt.Errorf("%w: %d clients: there can be 1 to %d", ErrConfig, clients, MaxLoad)
	}
	conns := make([]net.Conn, 0, clients)
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	for i := range clients {
		conn, err := dial(ctx, to)
		if err != nil {
			return nil, fmt.Errorf("client %d: %w", i, err)
		}
		conns = append(conns, conn)
	}
	exchanges := make([]Exchange, clients)
	start := make(chan struct{})
	var running sync.WaitGroup
	for i, conn := range conns {
		running.Go(func() {
			<-start
			e := Exchange{Client: i, Sent: time.Now()}
			r, err := exchange(ctx, conn, fmt.Appendf(nil, "Hello from client %d", i), timeout, nil)
			if e.Err = err; err == nil {
				e.Sent, e.Answered, e.Payload = r.Sent, r.Sent.Add(r.RTT), r.Payload
			}
			exchanges[i] = e
		})
	}
	close(start)
	running.Wait()
	return exchanges, context.Cause(ctx)
}
