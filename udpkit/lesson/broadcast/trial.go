package broadcast

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// ackWait is how long a trial goes on after its last message: what is missing by then is lost.
const ackWait = 3 * time.Second

// TrialConfig says what [Try] tries.
type TrialConfig struct {
	// Messages is how many the server sends, 1 to 500, and Interval the time between two, 1 ms to
	// 1 s.
	Messages int
	Interval time.Duration
	// Loss is the share of all datagrams that are lost, in both directions, 0 to 1.
	Loss float64
	// Seed chooses which ones.
	Seed uint64
	// NoRepair has the client ask for nothing.
	NoRepair bool
	// Record is the directory where server.pcapng and client.pcapng are written: what each of the
	// two sends and receives. "" is none.
	Record string
}

// Trial is what became of each message.
type Trial struct {
	TrialConfig
	// Fates has one for each message, in the order in which they were sent.
	Fates []Fate
	// Questions is how many of the client's questions came to the server, and Again how many
	// messages it sent again.
	Questions, Again uint64
}

// Fate is what became of a message.
type Fate struct {
	Came, Repaired bool
	After          time.Duration // from sending it for the first time, if it came
}

// Try has a server send to a client over a path that loses datagrams. It takes three seconds longer
// than the messages do.
func Try(ctx context.Context, cfg TrialConfig) (trial Trial, err error) {
	trial = Trial{TrialConfig: cfg, Fates: make([]Fate, max(0, min(cfg.Messages, 500)))}
	if cfg.Messages != len(trial.Fates) || cfg.Messages == 0 || cfg.Interval < time.Millisecond || cfg.Interval > time.Second || !(cfg.Loss >= 0 && cfg.Loss <= 1) {
		return Trial{}, errors.New("a trial has 1 to 500 messages, 1 ms to 1 s between two, and a loss from 0 to 1")
	}
	records, closeRecords, err := cfg.record()
	if err != nil {
		return Trial{}, err
	}
	defer func() { err = errors.Join(err, closeRecords()) }() // after those that record
	local := netip.MustParseAddrPort("127.0.0.1:0")
	client, err := udpkit.NewClient(udpkit.ClientConfig{ID: "listener", Listen: local, NoRepair: cfg.NoRepair, Record: records.client, OnEvent: func(e udpkit.Event) {
		if m, ok := e.(udpkit.MessageEvent); ok && m.MessageID >= 1 && m.MessageID <= uint64(len(trial.Fates)) {
			trial.Fates[m.MessageID-1] = Fate{Came: true, Repaired: m.Repaired || m.Late, After: max(0, m.Latency)}
		}
	}})
	if err != nil {
		return Trial{}, err
	}
	defer client.Close()
	p, err := newPath(client.Addr(), cfg.Loss, cfg.Seed)
	if err != nil {
		return Trial{}, err
	}
	defer p.close()
	server, err := udpkit.NewServer(udpkit.ServerConfig{
		Listen: local, Targets: udpkit.ListTargets(p.addr()), Interval: cfg.Interval, MaxMessages: uint64(cfg.Messages), NoRepair: cfg.NoRepair, AckWait: ackWait, Record: records.server,
	})
	if err != nil {
		return Trial{}, err
	}
	defer server.Close()
	if err := While(ctx, server.Run, client.Run); err != nil {
		return Trial{}, fmt.Errorf("the trial failed: %w", err)
	}
	if err := context.Cause(ctx); err != nil {
		return Trial{}, err
	}
	stats := server.Stats()
	trial.Questions, trial.Again = stats.Questions, stats.Repairs
	return trial, nil
}

// recorders are nil where nothing is recorded.
type recorders struct{ server, client udpkit.Recorder }

// record begins what Record says.
func (cfg TrialConfig) record() (r recorders, end func() error, err error) {
	if cfg.Record == "" {
		return recorders{}, func() error { return nil }, nil
	}
	server, err := record.Create(filepath.Join(cfg.Record, "server.pcapng"))
	if err != nil {
		return recorders{}, nil, err
	}
	client, err := record.Create(filepath.Join(cfg.Record, "client.pcapng"))
	if err != nil {
		return recorders{}, nil, errors.Join(err, server.Close())
	}
	return recorders{server, client}, func() error { return errors.Join(server.Close(), client.Close()) }, nil
}

// Counts returns how many messages came at once, how many were repaired, and how many lost.
func (t Trial) Counts() (came, repaired, lost int) {
	for _, f := range t.Fates {
		switch {
		case f.Repaired:
			repaired++
		case f.Came:
			came++
		default:
			lost++
		}
	}
	return came, repaired, lost
}

func (t Trial) name() string {
	if t.NoRepair {
		return "without repair"
	}
	return "with repair"
}

// Table returns the counts of some trials as text.
func Table(trials ...Trial) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-15s %8s %10s %6s %10s %11s\n", "", "at once", "repaired", "lost", "questions", "sent again")
	for _, t := range trials {
		came, repaired, lost := t.Counts()
		fmt.Fprintf(&b, "%-15s %8d %10d %6d %10d %11d\n", t.name(), came, repaired, lost, t.Questions, t.Again)
	}
	return b.String()
}

// TrialPicture shows when each message of some trials came, one trial above the other and on one
// scale.
func TrialPicture(trials ...Trial) (chart.Picture, error) {
	if len(trials) == 0 {
		return chart.Picture{}, chart.Nothing("no trial was made")
	}
	picture := chart.Picture{Legend: []chart.Word{
		{Text: "came at once", Color: chart.Good}, {Text: "repaired", Color: chart.Accent}, {Text: "lost", Color: chart.Alarm},
	}}
	longest := 0.0 // ms
	for _, t := range trials {
		for _, f := range t.Fates {
			longest = max(longest, milliseconds(f.After))
		}
	}
	scale := 100 * (math.Floor(longest/100) + 1) // longer than all, for all
	var words []string
	for _, t := range trials {
		came, repaired, lost := t.Counts()
		words = append(words, fmt.Sprintf("%s, %d came at once, %d were repaired, %d lost", t.name(), came, repaired, lost))
		dots := chart.Dots{Title: fmt.Sprintf("%s, %.0f %% loss", t.name(), 100*t.Loss), X: "message", Y: "came after (ms)", MinY: scale}
		for i, f := range t.Fates {
			switch x := float64(i + 1); {
			case f.Repaired:
				dots.Dots = append(dots.Dots, chart.Dot{X: x, Y: milliseconds(f.After), Color: chart.Accent})
			case f.Came:
				dots.Dots = append(dots.Dots, chart.Dot{X: x, Y: milliseconds(f.After), Color: chart.Good})
			default:
				dots.Without = append(dots.Without, x)
			}
		}
		picture.Bands = append(picture.Bands, chart.Band{Height: 170, Charts: []chart.Chart{dots}})
	}
	picture.Title = fmt.Sprintf("When each message came: %s", strings.Join(words, "; "))
	return picture, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
