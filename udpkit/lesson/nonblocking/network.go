package nonblocking

import (
	"context"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// bufferSize is enough for every datagram that is sent here, in bytes.
const bufferSize = 2048

// pair is a socket that receives and one that sends to it.
type pair struct{ receiver, sender *net.UDPConn }

func newPair() (pair, error) {
	sender, receiver, err := exercise.Pair()
	return pair{receiver, sender}, err
}

func (p pair) close() {
	_ = p.sender.Close() // nothing can be lost by an error here
	_ = p.receiver.Close()
}

// running is a Receive on a goroutine of its own.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

// start begins to receive from conn.
func start(ctx context.Context, style udpkit.Style, cfg udpkit.ReceiverConfig, conn *net.UDPConn, handle udpkit.Handler) (*running, udpkit.Receiver, error) {
	cfg.BufferSize = bufferSize
	receiver, err := udpkit.NewReceiver(style, cfg)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		err := receiver.Receive(ctx, conn, handle)
		if ctx.Err() != nil {
			err = nil
		}
		r.ended <- err
	}()
	return r, receiver, nil
}

// stop ends it, and returns an error if it had ended before.
func (r *running) stop() error {
	r.cancel()
	return <-r.ended
}

// goroutines returns how many there are, once those that are about to end have ended: it waits a
// moment for the number to come down to want.
func goroutines(want int) int {
	for range 50 {
		if runtime.NumGoroutine() <= want {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

// counter counts to a number that somebody waits for.
type counter struct {
	mu      sync.Mutex
	n, want int
	reached chan struct{}
}

// expect returns a channel that is closed once n more have been counted.
func (c *counter) expect(n int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want, c.reached = c.n+n, make(chan struct{})
	return c.reached
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == c.want {
		close(c.reached)
	}
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
