package broadcast

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// Session is a server that sends messages to a client over a bad path.
type Session struct {
	Messages int           // that the server sends, 1 to 1,000
	Interval time.Duration // between two of them, at least 1 ms
	Loss     float64       // the share of all datagrams that is lost, each way, 0 to 0.9
	Repair   bool          // the client asks for what it misses
	Seed     uint64        // of chance
}

// Fate is what became of a message.
type Fate struct {
	Number   uint64
	After    time.Duration // it had been sent when it came
	Came     bool
	Repaired bool
}

// Outcome is what has become of a session.
type Outcome struct {
	Session
	Fates          []Fate // in the order of the numbers
	Carried, Lost  uint64 // datagrams of both directions
	Gaps, Repaired uint64
	Questions      uint64
}

// check refuses what would take long or prove nothing.
func (s Session) check() error {
	if s.Messages < 1 || s.Messages > 1000 || s.Interval < time.Millisecond || s.Interval > time.Second || s.Loss < 0 || s.Loss > 0.9 {
		return fmt.Errorf("%w: 1 to 1000 messages, 1 ms to 1 s between them, and a loss from 0 to 0.9", udpkit.ErrConfig)
	}
	return nil
}

// Run runs the session, which takes as long as its messages, and up to five seconds more for what
// the client still asks for. What has not come by then is missing.
func (s Session) Run(ctx context.Context) (*Outcome, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var (
		mu   sync.Mutex
		sent = make(map[uint64]time.Time)
		come = make(map[uint64]udpkit.MessageEvent)
	)
	note := func(e udpkit.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e := e.(type) {
		case udpkit.SentEvent:
			sent[e.MessageID] = e.At
		case udpkit.MessageEvent:
			come[e.MessageID] = e
		}
	}
	client, err := udpkit.NewClient(udpkit.ClientConfig{ID: "ann", Listen: loopback, NoRepair: !s.Repair, OnEvent: note})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	way, err := newPath(ctx, client.Addr(), s.Loss, s.Seed)
	if err != nil {
		return nil, err
	}
	defer way.Close()
	patience := 5 * time.Second
	if !s.Repair {
		patience = 100 * time.Millisecond // for what is under way
	}
	server, err := udpkit.NewServer(udpkit.ServerConfig{
		Targets: udpkit.ListTargets(service.AddrOf(way.entrance.LocalAddr())), Interval: s.Interval,
		MaxMessages: uint64(s.Messages), NoRepair: !s.Repair, AckWait: patience, OnEvent: note,
	})
	if err != nil {
		return nil, err
	}
	defer server.Close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var roles sync.WaitGroup
	served := make(chan struct{})
	roles.Go(func() { defer close(served); _ = server.Run(ctx) })
	roles.Go(func() { _ = client.Run(ctx) })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-served:
			waiting = false
		case <-tick.C:
			stats := client.Stats()
			waiting = stats.Received < uint64(s.Messages)
		}
	}
	cancel()
	roles.Wait()

	stats := client.Stats()
	out := &Outcome{Session: s, Carried: way.carried.Load(), Lost: way.dropped.Load(), Gaps: stats.Gaps, Repaired: stats.Repaired, Questions: stats.Questions}
	for n := uint64(1); n <= uint64(s.Messages); n++ {
		e, ok := come[n]
		out.Fates = append(out.Fates, Fate{Number: n, Came: ok, Repaired: e.Repaired, After: max(0, e.ReceivedAt.Sub(sent[n]))})
	}
	return out, nil
}

// Missing returns how many messages have not come.
func (o *Outcome) Missing() (n int) {
	for _, f := range o.Fates {
		if !f.Came {
			n++
		}
	}
	return n
}

// String says what has become of the session, in a line.
func (o *Outcome) String() string {
	repair := "without repair"
	if o.Repair {
		repair = "with repair"
	}
	return fmt.Sprintf("%-15s %d of %d messages came, %d of them repaired, %d missing; %d of %d datagrams lost",
		repair+":", len(o.Fates)-o.Missing(), len(o.Fates), o.Repaired, o.Missing(), o.Lost, o.Carried)
}

// Picture shows for each message of some sessions how long it took: one that came at once is low,
// one that was asked for higher, and one that is missing a red line.
func Picture(sessions ...*Outcome) (chart.Picture, error) {
	p := chart.Picture{
		Title:  "For each message, how long after it was sent it came",
		Legend: []chart.Word{{Text: "came at once", Color: chart.Good}, {Text: "was asked for", Color: chart.Accent}, {Text: "missing", Color: chart.Alarm}},
	}
	for _, o := range sessions {
		dots := chart.Dots{Title: "without repair", X: "message", Y: "ms", MinY: 100}
		if o.Repair {
			dots.Title = "with repair"
		}
		for _, f := range o.Fates {
			at := float64(f.Number)
			switch {
			case !f.Came:
				dots.Without = append(dots.Without, at)
			case f.Repaired:
				dots.Dots = append(dots.Dots, chart.Dot{X: at, Y: milliseconds(f.After), Color: chart.Accent})
			default:
				dots.Dots = append(dots.Dots, chart.Dot{X: at, Y: milliseconds(f.After), Color: chart.Good})
			}
		}
		p.Bands = append(p.Bands, chart.Band{Height: 130, Charts: []chart.Chart{dots}})
	}
	if len(p.Bands) == 0 {
		return p, chart.Nothing("no session has run")
	}
	return p, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
