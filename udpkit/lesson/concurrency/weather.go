package concurrency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// WeatherResult is the same messages over TCP and UDP, on one network after the other.
type WeatherResult struct {
	Cases  []WeatherCase `json:"cases"`
	NoWire string        `json:"no_wire,omitempty"` // why TCP is missing
}

// WeatherCase is one network.
type WeatherCase struct {
	Conditions
	// TCP is nil where there is no wire for it; UDP then passed through a relay. UDP is nil if a
	// relay cannot show the case either.
	TCP *Transfer `json:"tcp,omitempty"`
	UDP *Transfer `json:"udp,omitempty"`
}

// Transfers returns those that there are, TCP first.
func (c WeatherCase) Transfers() []*Transfer {
	var all []*Transfer
	for _, t := range []*Transfer{c.TCP, c.UDP} {
		if t != nil {
			all = append(all, t)
		}
	}
	return all
}

// Case returns the case of that name; nil if there is none.
func (r *WeatherResult) Case(name string) *WeatherCase {
	if r == nil {
		return nil
	}
	for i := range r.Cases {
		if r.Cases[i].Name == name {
			return &r.Cases[i]
		}
	}
	return nil
}

// The names of the cases.
const (
	Fair    = "fair"
	Loss    = "loss"
	Damage  = "damage"
	Detours = "detours"
	Echoes  = "echoes"
	Narrow  = "narrow"
)

const (
	weatherDelay = 20 * time.Millisecond
	weatherSeed  = 4
	// share is the share of the packets that something happens to.
	share = 0.1
	// narrowRate is how many bytes a second pass on the narrow road, and narrowQueue how long a
	// packet may wait there.
	narrowRate  = 500_000
	narrowQueue = 30 * time.Millisecond
)

// weatherLoads are what is sent: a message every 5 ms, and on the narrow road twice as much as can
// pass.
var (
	weatherLoad = load{Messages: 200, Size: 100, Every: 5 * time.Millisecond}
	narrowLoad  = load{Messages: 1000, Size: 1000, Every: time.Millisecond}
)

func weatherCases() []Conditions {
	return []Conditions{
		{Name: Fair, Delay: weatherDelay},
		{Name: Loss, Delay: weatherDelay, Loss: share},
		{Name: Damage, Delay: weatherDelay, Damage: share},
		{Name: Detours, Delay: weatherDelay, Detour: share},
		{Name: Echoes, Delay: weatherDelay, Twice: share},
		{Name: Narrow, Delay: weatherDelay, Rate: narrowRate, Queue: narrowQueue},
	}
}

// Weather sends numbered messages over TCP and over UDP, on networks that lose, damage, reorder or
// repeat a tenth of all packets, or let too little pass. The results are added to file. It takes 20
// seconds.
func Weather(ctx context.Context, file string) error {
	return weather(ctx, file, weatherCases(), func(c Conditions) load {
		if c.Name == Narrow {
			return narrowLoad
		}
		return weatherLoad
	})
}

func weather(ctx context.Context, file string, cases []Conditions, loadOf func(Conditions) load) error {
	r := &WeatherResult{}
	return experiment(ctx, file, "weather", r, func(news func(any)) error {
		noWire := ""
		for _, conditions := range cases {
			c := WeatherCase{Conditions: conditions}
			for _, protocol := range protocols {
				l := loadOf(conditions)
				t, err := send(ctx, job{Protocol: protocol, Conditions: conditions, Seed: weatherSeed, Load: &l})
				switch {
				case errors.Is(err, ErrNoWire):
					noWire = err.Error()
				case err != nil:
					return fmt.Errorf("%s, %s: %w", conditions.Name, protocol, err)
				case protocol == "tcp":
					c.TCP = t
				default:
					c.UDP = t
				}
			}
			r = &WeatherResult{Cases: append(r.Cases[:len(r.Cases):len(r.Cases)], c), NoWire: noWire}
			news(r)
		}
		return nil
	}, func(all *Results) { all.Weather = r })
}

// send does the job on a wire, or if there is none, and the protocol is UDP, through a relay. That
// cannot show damage: it would send on a damaged message with a checksum that is right.
func send(ctx context.Context, j job) (*Transfer, error) {
	o, err := onWire(ctx, j)
	if errors.Is(err, ErrNoWire) && j.Protocol == "udp" && j.Conditions.Damage == 0 {
		t, err := byRelay(ctx, j)
		return &t, err
	}
	return o.Transfer, err
}
