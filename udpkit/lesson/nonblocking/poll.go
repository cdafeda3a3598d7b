package nonblocking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// pollRow is what one poll interval costs.
type pollRow struct {
	Every time.Duration
	Delay time.Duration // how long a datagram waited, mean
	Idle  []float64     // share of a core
}

type pollData struct {
	Rows []pollRow
	Note string
}

// Poll shows what the pause of the non-blocking style buys and costs: for each interval the CPU
// time of a second without datagrams, and how long datagrams that come at random times wait for the
// next look.
func Poll(ctx context.Context, intervals ...time.Duration) error {
	d := pollData{Note: "measuring"}
	show := exercise.NewShow(page.Lookup("poll"), plain, d)
	for _, every := range intervals {
		row, err := pollOnce(ctx, every)
		if ctx.Err() != nil {
			d.Note = "interrupted"
			break
		}
		if err != nil {
			return errors.Join(err, show.End(d))
		}
		d.Rows = append(d.Rows, row)
		show.News(d)
		d.Note = fmt.Sprintf("%d datagrams at random times, and %v of silence, for each interval.", pollDatagrams, pollIdle)
	}
	return show.End(d)
}

const (
	pollDatagrams = 20
	pollIdle      = time.Second
)

func pollOnce(ctx context.Context, every time.Duration) (pollRow, error) {
	row := pollRow{Every: every}
	sockets, err := newPair()
	if err != nil {
		return row, err
	}
	defer sockets.close()
	var sentAt, waited atomic.Int64
	var handled counter
	began := time.Now()
	run, _, err := start(ctx, udpkit.NonBlocking, udpkit.ReceiverConfig{PollInterval: every}, sockets.receiver, func(udpkit.Datagram) {
		waited.Add(int64(time.Since(began)) - sentAt.Load())
		handled.add()
	})
	if err != nil {
		return row, err
	}
	row.Idle = idle(ctx, pollIdle)
	for range pollDatagrams {
		if !measure.Sleep(ctx, time.Duration(rand.Int64N(int64(every)))) {
			break
		}
		one := handled.expect(1)
		sentAt.Store(int64(time.Since(began)))
		if _, err := sockets.sender.Write([]byte("now")); err != nil {
			return row, errors.Join(err, run.stop())
		}
		select {
		case <-one:
		case <-time.After(time.Second): // lost
		case <-ctx.Done():
		}
	}
	err = run.stop()
	row.Delay = time.Duration(waited.Load() / int64(max(1, handled.count())))
	return row, err
}

// idle measures which share of a core this process uses while it waits; nil where that cannot be
// told.
func idle(ctx context.Context, d time.Duration) []float64 {
	runtime.GC() // now, rather than in the middle
	measure.Sleep(ctx, settle)
	from, ok := measure.CPU()
	began := time.Now()
	if !measure.Sleep(ctx, d) || !ok {
		return nil
	}
	to, _ := measure.CPU()
	return []float64{float64(to-from) / float64(time.Since(began))}
}

// settle is a rest before a measurement, for a picture to be drawn.
const settle = 30 * time.Millisecond
