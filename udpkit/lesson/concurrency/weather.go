package concurrency

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// weatherSeed makes the dice fall alike in each run.
const weatherSeed = 4

// The names of the networks of the lesson.
const (
	Fair    = "fair"
	Loss    = "loss"
	Damage  = "damage"
	Detours = "detours"
	Echoes  = "echoes"
	Narrow  = "narrow"
)

// Weather sends numbered messages over TCP and over UDP, on one network after the other, up to 10.
// The results are added to file. [Table] has a row for those that are named as the constants above
// are. The error wraps [ErrConfig] for conditions that are out of range.
func Weather(ctx context.Context, file string, networks ...Conditions) error {
	if err := within("networks", len(networks), 1, 10); err != nil {
		return err
	}
	networks = slices.Clone(networks)
	for i := range networks {
		networks[i].setDefaults()
		if err := networks[i].check(); err != nil {
			return fmt.Errorf("%s: %w", networks[i].Name, err)
		}
	}
	r := &WeatherResult{}
	return experiment(ctx, file, "weather", r, func(news func(any)) error {
		noWire := ""
		for _, conditions := range networks {
			c := WeatherCase{Conditions: conditions}
			for _, protocol := range protocols {
				t, err := send(ctx, job{Protocol: protocol, Conditions: conditions, Seed: weatherSeed, Transfer: true})
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
