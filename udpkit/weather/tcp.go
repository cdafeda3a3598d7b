package weather

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	// Retransmission is how long TCP waits until it sends again what was lost, the first time: what
	// Linux waits at least.
	Retransmission = 200 * time.Millisecond
	// maxRetransmissions is how often in a row a piece can be lost.
	maxRetransmissions = 6
	// pieceSize and maxPieces are how much of a stream is forwarded at a time, in bytes, and how
	// many pieces of one are on the way.
	pieceSize, maxPieces = 4 << 10, 48
	// dialTime is how long a connection to the program behind may take.
	dialTime = 10 * time.Second
	// lookAtPartition is how often it is looked whether a partition is over.
	lookAtPartition = 20 * time.Millisecond
)

// accept forwards connections until ctx ends, or the listener fails or is closed.
func (f *Forwarder) accept(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = f.listener.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		conn, err := f.listener.AcceptTCP()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return ctx.Err()
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			f.mu.Lock()
			f.report.ReadErrors++
			f.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		f.mu.Lock()
		if f.streams >= MaxSources {
			f.report.Refused++
			f.mu.Unlock()
			_ = conn.Close()
			continue
		}
		f.streams++
		ways := [2]*rand.Rand{f.dice(there), f.dice(back)}
		f.number++
		f.mu.Unlock()
		f.connections.Go(func() {
			f.connect(ctx, conn, ways)
			f.mu.Lock()
			f.streams--
			f.mu.Unlock()
		})
	}
}

// connect forwards a connection in both directions until both are over.
func (f *Forwarder) connect(ctx context.Context, from *net.TCPConn, ways [2]*rand.Rand) {
	defer from.Close()
	dialer := net.Dialer{Timeout: dialTime}
	to, err := dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, f.cfg.To)
	if err != nil {
		f.mu.Lock()
		f.report.Refused++
		f.mu.Unlock()
		_ = from.SetLinger(0) // a reset, as from nobody
		return
	}
	defer to.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_, _ = from.SetLinger(0), to.SetLinger(0) // a failure is passed on as one: as a reset
		_ = service.Close(from, to)
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { f.pump(ctx, cancel, there, ways[there], from, to) })
	both.Go(func() { f.pump(ctx, cancel, back, ways[back], to, from) })
	both.Wait()
}

// piece is a part of a stream on its way.
type piece struct {
	data []byte
	at   time.Time
}

// pump forwards one direction of a connection to its end, which it passes on; a failure ends the
// connection.
func (f *Forwarder) pump(ctx context.Context, fail func(), d direction, dice *rand.Rand, from, to *net.TCPConn) {
	queue := make(chan piece, maxPieces)
	var writing sync.WaitGroup
	writing.Go(func() { f.write(ctx, fail, d, to, queue) })
	var last, free time.Time
	buffer := make([]byte, pieceSize)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			now := time.Now()
			var at time.Time
			at, free = f.arrival(d, dice, n, now, free)
			if at.Before(last) { // a stream stays in order
				at = last
			}
			last = at
			select {
			case queue <- piece{slices.Clone(buffer[:n]), at}:
			case <-ctx.Done():
				f.mu.Lock()
				f.waiting--
				f.waitingBytes -= n
				f.mu.Unlock()
			}
		}
		if err != nil {
			if ctx.Err() == nil && err != io.EOF {
				fail()
			}
			close(queue)
			writing.Wait()
			return
		}
	}
}

// arrival returns when a piece of a stream arrives that is sent now, and when the rate lets the
// next one through.
func (f *Forwarder) arrival(d direction, dice *rand.Rand, size int, now, free time.Time) (at, _ time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.report.counts(d)
	n.Received++
	fate := f.settings.Fate(dice)
	at = now
	if f.settings.Rate > 0 {
		if free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(size) * time.Second / time.Duration(f.settings.Rate))
		at = free
	}
	at = at.Add(fate.Delays[0])
	for i := 0; fate.Lost && i < maxRetransmissions; i++ {
		n.Lost++
		at = at.Add(Retransmission << i)
		fate.Lost = dice.Float64() < f.settings.Loss
	}
	f.waiting++
	f.waitingBytes += size
	return at, free
}

// write delivers the pieces at their times, and then the end of the stream.
func (f *Forwarder) write(ctx context.Context, fail func(), d direction, to *net.TCPConn, queue <-chan piece) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p := range queue {
		wait := time.Until(p.at)
		for parted := false; ctx.Err() == nil; wait = lookAtPartition {
			if wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
			}
			f.mu.Lock()
			is := f.partedAt(time.Now())
			if is && !parted {
				f.report.counts(d).Parted++
			}
			f.mu.Unlock()
			if parted = is; !is {
				break
			}
		}
		_, err := to.Write(p.data)
		f.mu.Lock()
		f.waiting--
		f.waitingBytes -= len(p.data)
		if err != nil {
			f.report.counts(d).Failed++
		} else {
			f.report.counts(d).Delivered++
		}
		f.mu.Unlock()
		if err != nil {
			fail()
		}
	}
	if ctx.Err() == nil && to.CloseWrite() != nil {
		fail()
	}
}
