package doctor

import (
	"slices"
	"strconv"
	"strings"
)

// parseIPTables reads what iptables -S prints. What it does not know may hold or not.
func parseIPTables(text string) ruleset {
	s := ruleset{chains: make(map[string]*chain), in: []string{"INPUT"}, out: []string{"OUTPUT"}}
	at := func(name string) *chain {
		if s.chains[name] == nil {
			s.chains[name] = new(chain)
		}
		return s.chains[name]
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := splitQuoted(line)
		if len(words) < 2 {
			continue
		}
		switch c := at(words[1]); words[0] {
		case "-P":
			c.drops, c.policy = slices.Contains(words[2:], "DROP"), line
		case "-A":
			r := iptablesRule(words[2:])
			r.text = line
			c.rules = append(c.rules, r)
		}
	}
	return s
}

// modules are those whose options are understood below.
var modules = []string{"udp", "comment", "conntrack", "state", "multiport", "pkttype", "addrtype"}

func iptablesRule(words []string) (r rule) {
	need := func(condition func(packet) truth, inverse bool) {
		if inverse {
			is := condition
			condition = func(p packet) truth { return is(p).not() }
		}
		r.conditions = append(r.conditions, condition)
	}
	doubt := func(packet) truth { return maybe }
	for inverse := false; len(words) > 0; {
		option, value := words[0], ""
		if len(words) > 1 {
			value = words[1]
		}
		taken := 2
		switch option {
		case "!":
			inverse, words = true, words[1:]
			continue
		case "-p":
			need(func(packet) truth { return within(value, []string{"udp", "17", "all", "0"}) }, inverse)
		case "-i", "-o":
			need(func(p packet) truth { return named(p.nic, value) }, inverse)
		case "-d":
			need(func(p packet) truth { return addressed(p.to, value) }, inverse)
		case "--dport", "--dports", "--destination-port":
			need(func(p packet) truth { return inPorts(p.port, value) }, inverse)
		case "--ctstate", "--state":
			need(func(packet) truth { return within("NEW", strings.Split(value, ",")) }, inverse)
		case "--pkt-type":
			need(func(p packet) truth { return when(p.by.cast() == value) }, inverse)
		case "--dst-type":
			need(func(p packet) truth { return typed(p, value) }, inverse)
		case "-m":
			if !slices.Contains(modules, value) {
				need(doubt, false)
			}
		case "--comment", "--reject-with":
		case "-j", "-g":
			r.action, r.target = iptablesAction(option, value)
			if r.action == proceed {
				return r // the rest are options of it
			}
		default:
			need(doubt, false)
			taken = 1
		}
		inverse, words = false, words[min(taken, len(words)):]
	}
	return r
}

func iptablesAction(option, target string) (action, string) {
	switch target {
	case "ACCEPT":
		return accept, ""
	case "DROP", "REJECT":
		return drop, ""
	case "RETURN":
		return back, ""
	case "LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "AUDIT", "CT", "NOTRACK", "SET":
		return proceed, ""
	}
	if option == "-g" {
		return goTo, target
	}
	return jump, target
}

// inPorts reports whether a port is in a list such as 53,37000:38000.
func inPorts(port uint16, list string) truth {
	for one := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(one, ":")
		low, err := strconv.ParseUint(first, 10, 16)
		high := low
		if isRange {
			var err2 error
			if high, err2 = strconv.ParseUint(last, 10, 16); err2 != nil {
				return maybe
			}
		}
		switch {
		case err != nil:
			return maybe
		case low <= uint64(port) && uint64(port) <= high:
			return yes
		}
	}
	return no
}

// splitQuoted takes a line apart at spaces, but for those between double quotes.
func splitQuoted(line string) (words []string) {
	var word strings.Builder
	quoted, any := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				words = append(words, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteRune(r)
			any = true
		}
	}
	if any {
		words = append(words, word.String())
	}
	return words
}
