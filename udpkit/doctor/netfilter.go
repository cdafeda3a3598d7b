package doctor

import (
	"net/netip"
	"slices"
	"strings"
)

// packet is a datagram to the port that a firewall is to decide about.
type packet struct {
	nic  string // by which it comes in, or goes out
	by   way
	to   netip.Addr
	port uint16
}

// truth is what is known of a condition.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

func when(is bool) truth {
	if is {
		return yes
	}
	return no
}

// not is the opposite.
func (t truth) not() truth { return yes - t }

// action is what a rule does.
type action uint8

const (
	proceed action = iota // to the next rule
	accept
	drop
	jump
	goTo
	back // to the chain that has jumped here
)

// rule is one of a firewall.
type rule struct {
	text       string
	conditions []func(packet) truth // all of them
	action     action
	target     string // of jump and goTo
}

func (r rule) holds(p packet) truth {
	all := yes
	for _, condition := range r.conditions {
		all = min(all, condition(p))
	}
	return all
}

// chain is a list of rules.
type chain struct {
	rules  []rule
	drops  bool // what reaches its end
	policy string
}

// ruleset is a table of chains, by name, with those at which the system begins.
type ruleset struct {
	chains  map[string]*chain
	in, out []string
}

// maxSteps bounds the work for a ruleset, and its loops.
const maxSteps = 100_000

// verdict returns the rule that drops a packet for certain; "" if there is none.
func (s ruleset) verdict(begins []string, p packet) string {
	for _, name := range begins { // each of them can drop it
		w := walk{ruleset: s, packet: p}
		c := s.chains[name]
		if c == nil {
			continue
		}
		what, text := w.run(name)
		if what == proceed || what == back {
			if what = accept; c.drops {
				what, text = drop, c.policy
			}
		}
		if what == drop && !w.doubtful {
			return text
		}
	}
	return ""
}

// walk follows one packet.
type walk struct {
	ruleset
	packet
	steps    int
	doubtful bool // some rule before may have decided
}

func (w *walk) run(name string) (action, string) {
	c := w.chains[name]
	if c == nil {
		w.doubtful = true
		return proceed, ""
	}
	for _, r := range c.rules {
		if w.steps++; w.steps > maxSteps {
			w.doubtful = true
			return proceed, ""
		}
		holds := r.holds(w.packet)
		if holds == no {
			continue
		}
		what, text := r.action, r.text
		if what == jump || what == goTo {
			what, text = w.run(r.target)
			if what == back || what == proceed && r.action == jump {
				continue
			}
		}
		switch {
		case r.action == goTo && what == proceed:
			what = back
		case what == proceed:
			continue
		}
		if holds == maybe {
			w.doubtful = true
			continue
		}
		return what, text
	}
	return proceed, ""
}

// within reports whether a word is in a list of words.
func within(word string, list []string) truth { return when(slices.Contains(list, word)) }

// named reports whether an interface has a name, which may end in + or * for any that begins so.
func named(nic, name string) truth {
	if begin, ok := strings.CutSuffix(strings.Replace(name, "*", "+", 1), "+"); ok {
		return when(strings.HasPrefix(nic, begin))
	}
	return when(nic == name)
}

// addressed reports whether an address is one, or is in a subnet.
func addressed(to netip.Addr, text string) truth {
	if p, err := netip.ParsePrefix(text); err == nil {
		return when(p.Contains(to))
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return when(a == to)
	}
	return maybe
}

// cast is what netfilter calls a way.
func (w way) cast() string {
	switch w {
	case directed, limited:
		return "broadcast"
	case multicast:
		return "multicast"
	}
	return "unicast"
}

// typed reports whether an address is of a type (RTN_LOCAL and so on).
func typed(p packet, name string) truth {
	switch name = strings.ToLower(name); name {
	case "broadcast", "multicast", "unicast":
		return when(p.by.cast() == name)
	case "local":
		return when(p.by.cast() == "unicast")
	}
	return maybe
}
