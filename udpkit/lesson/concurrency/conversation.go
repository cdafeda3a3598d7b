package concurrency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ConversationResult is one question and its answer over each protocol, on a wire on which every
// packet takes Delay.
type ConversationResult struct {
	Delay time.Duration `json:"delay_ns"`
	// TCP and UDP are nil where there is no wire to look at; NoWire says why.
	TCP    *Exchange `json:"tcp,omitempty"`
	UDP    *Exchange `json:"udp,omitempty"`
	NoWire string    `json:"no_wire,omitempty"`
}

// RoundTrips returns how many round trips fit into the time until the answer.
func (r ConversationResult) RoundTrips(e *Exchange) float64 {
	return float64(e.Answered) / float64(2*r.Delay)
}

// Exchanges returns those that there are.
func (r ConversationResult) Exchanges() []*Exchange {
	var all []*Exchange
	for _, e := range []*Exchange{r.TCP, r.UDP} {
		if e != nil {
			all = append(all, e)
		}
	}
	return all
}

// Conversation asks one question over TCP and one over UDP, and captures every packet of both. Each
// packet takes delay, one way, from 1 ms to 1 s; 20 ms are long beside all that a computer does
// meanwhile. The results are added to file. The error wraps [ErrConfig] for another delay.
func Conversation(ctx context.Context, file string, delay time.Duration) error {
	if err := within("delay", delay, time.Millisecond, time.Second); err != nil {
		return err
	}
	r := &ConversationResult{Delay: delay}
	return experiment(ctx, file, "conversation", r, func(news func(any)) error {
		for _, protocol := range protocols {
			o, err := onWire(ctx, job{Protocol: protocol, Conditions: Conditions{Delay: r.Delay}})
			next := *r
			switch {
			case errors.Is(err, ErrNoWire):
				next.NoWire = err.Error()
			case err != nil:
				return fmt.Errorf("%s: %w", protocol, err)
			case protocol == "tcp":
				next.TCP = o.Exchange
			default:
				next.UDP = o.Exchange
			}
			r = &next
			news(r)
		}
		return nil
	}, func(all *Results) { all.Conversation = r })
}

var protocols = []string{"tcp", "udp"}
