package referee

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// ErrConfig is wrapped by errors about a configuration.
var ErrConfig = service.ErrConfig

// Side is the part that a program plays.
type Side string

// The sides. Of systems in which all play the same part it is Peer.
const (
	Client Side = "client"
	Server Side = "server"
	Peer   Side = "peer"
)

const (
	// StartUp is how long a program may take until it first answers or sends.
	StartUp = 60 * time.Second
	// DefaultPatience is how long what must come may take.
	DefaultPatience = 15 * time.Second
	// MaxRounds bounds the rounds.
	MaxRounds = 10_000
)

// Config says what is judged, and what it has to bear.
type Config struct {
	// System is one of Systems.
	System string
	// Side is the one that the program plays. Default: the first one of the system.
	Side Side
	// Command is the program and its arguments. It is needed.
	Command []string
	// Dir is the directory that the program runs in. Default: that of the referee.
	Dir string
	// Port is where the program is, or finds the other side. Default: a free one if Command has
	// {port}, else the one of the system in the course's documents.
	Port uint16
	// Weather happens to the datagrams in both directions. Its Rate and After are not used. A
	// partition comes once in a round, in its middle.
	Weather weather.Settings
	// Restart ends the other side in each round and begins it anew, as a new program.
	Restart bool
	// Second has another one of the other side play at the same time.
	Second bool
	// Forge sends what strangers send: datagrams that are no text, or no message, and messages that
	// are forged.
	Forge bool
	// Seed is that of the first round; each round has the next one.
	Seed uint64
	// Rounds is how many there are, 1 to MaxRounds, unless one finds something. Default: 1.
	Rounds int
	// Patience is how long what must come may take, 100 ms to an hour. Default: DefaultPatience.
	Patience time.Duration
	// Recordings is the directory in which the recording and the timeline of the round that found
	// something are made. Default: none are made.
	Recordings string
	// OnRound is called after each round.
	OnRound func(Round)
}

// Rule is what a program has to do.
type Rule struct {
	Name string `json:"rule"`
	// Text says what has to be so, in a sentence.
	Text string `json:"text"`
}

// Finding is a rule that was broken.
type Finding struct {
	Rule string `json:"rule"`
	// Text says how, in a sentence.
	Text string `json:"text"`
}

// Round is one run of the program.
type Round struct {
	Seed     uint64        `json:"seed"`
	Findings []Finding     `json:"findings,omitempty"`
	Took     time.Duration `json:"took_ns"`
	// Sent and Received count the datagrams of the other side, Lost those that the network lost in
	// both directions, and Lines what the program has printed.
	Sent     int `json:"sent"`
	Received int `json:"received"`
	Lost     int `json:"lost"`
	Lines    int `json:"lines"`
}

// Verdict is what came of all rounds.
type Verdict struct {
	System string `json:"system"`
	Side   Side   `json:"side"`
	// Rounds are those that were played; if the program broke a rule, then in the last one.
	Rounds int `json:"rounds"`
	// Seed is that of the last round, to play it again.
	Seed     uint64    `json:"seed"`
	Findings []Finding `json:"findings,omitempty"`
	// Output are the last lines of a program that broke a rule.
	Output []string `json:"output,omitempty"`
	// Recording and Timeline are the files of the last round if there are any.
	Recording string `json:"recording,omitempty"`
	Timeline  string `json:"timeline,omitempty"`
}

// Passed reports whether no rule was broken.
func (v Verdict) Passed() bool { return len(v.Findings) == 0 }

// script is one side of a system, as the other side and the network are played to it.
type script struct {
	system string
	side   Side
	port   uint16 // the one in the documents
	tcp    bool   // the system's transport
	shows  string // what the referee looks for in the lines
	rules  []Rule
	// play plays a round, and judges it. An error is not the program's fault.
	play func(*trial) error
}

// scripts are all systems and sides. The first one of a system is its default.
var scripts = slices.Concat(broadcastScripts, echoScripts, responderScripts, beaconScripts, relayScripts, chatScripts)

// Systems returns the names of the systems, in the order of the documents.
func Systems() (names []string) {
	for _, s := range scripts {
		if !slices.Contains(names, s.system) {
			names = append(names, s.system)
		}
	}
	return names
}

// Sides returns the sides of a system, the default first; none of one that there is not.
func Sides(system string) (sides []Side) {
	for _, s := range scripts {
		if s.system == system {
			sides = append(sides, s.side)
		}
	}
	return sides
}

// Rules returns what a program has to do that plays a side of a system, and what the referee looks
// for in the lines that it prints.
func Rules(system string, side Side) (rules []Rule, shows string) {
	for _, s := range scripts {
		if s.system == system && s.side == side {
			return slices.Concat(s.rules, common), s.shows
		}
	}
	return nil, ""
}

func (c *Config) script() (script, error) {
	sides := Sides(c.System)
	if len(sides) == 0 {
		return script{}, fmt.Errorf("%w: there is no system %q: %s", ErrConfig, c.System, strings.Join(Systems(), ", "))
	}
	if c.Side == "" {
		c.Side = sides[0]
	}
	for _, s := range scripts {
		if s.system == c.System && s.side == c.Side {
			return s, nil
		}
	}
	return script{}, fmt.Errorf("%w: %s has no side %q: %v", ErrConfig, c.System, c.Side, sides)
}

func (c *Config) check() error {
	if len(c.Command) == 0 || c.Command[0] == "" {
		return fmt.Errorf("%w: there is no program to judge", ErrConfig)
	}
	if c.Rounds == 0 {
		c.Rounds = 1
	}
	if c.Rounds < 1 || c.Rounds > MaxRounds {
		return fmt.Errorf("%w: %d rounds: 1 to %d", ErrConfig, c.Rounds, MaxRounds)
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.Patience < 100*time.Millisecond || c.Patience > time.Hour {
		return fmt.Errorf("%w: a patience of %v: 100ms to 1h", ErrConfig, c.Patience)
	}
	if c.Weather.Loss > 0.5 {
		return fmt.Errorf("%w: a loss of %.0f%%: up to 50%%, or nothing would be left to judge", ErrConfig, 100*c.Weather.Loss)
	}
	return nil
}

// Run judges a program. An error wraps ErrConfig, says what kept the referee from judging, such as
// a program that cannot be started or a port in use, or is that of the context. A program that
// breaks a rule is no error: see the [Verdict].
func Run(ctx context.Context, cfg Config) (Verdict, error) {
	s, err := cfg.script()
	if err != nil {
		return Verdict{}, err
	}
	if err := cfg.check(); err != nil {
		return Verdict{}, err
	}
	v := Verdict{System: cfg.System, Side: cfg.Side}
	for i := range cfg.Rounds {
		v.Seed = cfg.Seed + uint64(i)
		t := newTrial(ctx, cfg, s, v.Seed)
		err := t.run()
		if ctx.Err() != nil {
			return v, context.Cause(ctx)
		}
		if err != nil {
			return v, err
		}
		v.Rounds++
		v.Findings = t.findings
		if cfg.OnRound != nil {
			cfg.OnRound(t.round())
		}
		if !v.Passed() {
			v.Output = t.program.tail(10)
			if cfg.Recordings != "" {
				v.Recording, v.Timeline, err = t.keep(cfg.Recordings)
			}
			return v, err
		}
	}
	return v, nil
}

// place returns where the program is, or finds the other side, and for a program that does both
// where it listens.
func (c Config) place(s script) (at netip.AddrPort, listen uint16, err error) {
	address := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	told := func(word string) bool {
		return slices.ContainsFunc(c.Command, func(w string) bool { return strings.Contains(w, word) })
	}
	port := cmp.Or(c.Port, s.port)
	if c.Port == 0 && told("{port}") {
		if port, err = freePort(s.tcp); err != nil {
			return at, 0, err
		}
	}
	listen = port
	if s.side == Peer {
		if listen, err = freePort(s.tcp); err != nil {
			return at, 0, err
		}
	}
	return netip.AddrPortFrom(address, port), listen, nil
}
