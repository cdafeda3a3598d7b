package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// nftLines reads what nft -a list ruleset prints, as people write it: each line by its table and
// handle.
func nftLines(text string) map[string]string {
	lines, table := make(map[string]string), ""
	for line := range strings.Lines(text) {
		words, handle, ok := strings.Cut(strings.TrimSpace(line), " # handle ")
		if name, is := strings.CutPrefix(words, "table "); ok && is {
			table = strings.TrimSuffix(name, " {")
		} else if ok {
			lines[table+" "+handle] = words
		}
	}
	return lines
}

// nftChain begins the text of a rule of nft; its chain follows, as nft takes it.
const nftChain = "chain "

// parseNFTables reads what nft -j list ruleset prints (libnftables-json(5)), and names its rules by
// their lines, of which none need be known. A condition that it does not know may hold or not.
func parseNFTables(text []byte, lines map[string]string) (ruleset, error) {
	s := ruleset{chains: make(map[string]*chain)}
	var list struct {
		Objects []struct {
			Chain *struct {
				Family, Table, Name, Hook, Policy, Type string
			}
			Rule *struct {
				Family, Table, Chain string
				Handle               uint64
				Expr                 []map[string]json.RawMessage
			}
		} `json:"nftables"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return s, fmt.Errorf("cannot read what nft prints: %w", err)
	}
	id := func(family, table, name string) string { return family + " " + table + " " + name }
	for _, o := range list.Objects {
		if c := o.Chain; c != nil {
			name := id(c.Family, c.Table, c.Name)
			s.chains[name] = &chain{drops: c.Policy == "drop", policy: fmt.Sprintf("%s%s: policy %s", nftChain, name, c.Policy)}
			switch {
			case c.Family != "ip" && c.Family != "inet" || c.Type != "filter":
			case c.Hook == "input":
				s.in = append(s.in, name)
			case c.Hook == "output":
				s.out = append(s.out, name)
			}
		}
		if r := o.Rule; r != nil {
			c := s.chains[id(r.Family, r.Table, r.Chain)]
			if c == nil {
				continue
			}
			c.rules = append(c.rules, nftRules(r.Expr, id(r.Family, r.Table, ""))...)
			for i := range c.rules {
				if c.rules[i].text == "" {
					text, _ := json.Marshal(r.Expr)
					c.rules[i].text = fmt.Sprintf("%s%s: %s", nftChain, id(r.Family, r.Table, r.Chain), cmp.Or(lines[fmt.Sprint(r.Family, " ", r.Table, " ", r.Handle)], string(text)))
				}
			}
		}
	}
	return s, nil
}

// nftRules makes rules of a list of statements: one, or one for each element of a verdict map.
func nftRules(statements []map[string]json.RawMessage, table string) (rules []rule) {
	var r rule
	for _, statement := range statements {
		for name, body := range statement {
			switch name {
			case "match":
				var m nftMatch
				if json.Unmarshal(body, &m) != nil {
					m = nftMatch{}
				}
				r.conditions = append(r.conditions, m.holds)
			case "accept":
				r.action = accept
			case "drop", "reject":
				r.action = drop
			case "return":
				r.action = back
			case "jump", "goto":
				var to struct{ Target string }
				_ = json.Unmarshal(body, &to) // then there is no such chain
				if r.action, r.target = jump, table+to.Target; name == "goto" {
					r.action = goTo
				}
			case "vmap":
				return append(rules, nftMap(r, body, table)...)
			case "counter", "log", "comment", "notrack", "mangle", "meta", "ct":
			default:
				r.conditions = append(r.conditions, func(packet) truth { return maybe })
			}
		}
	}
	return append(rules, r)
}

// nftMap makes a rule of each element of a verdict map.
func nftMap(begin rule, body json.RawMessage, table string) (rules []rule) {
	var m struct {
		Key  json.RawMessage
		Data struct{ Set [][2]json.RawMessage }
	}
	if json.Unmarshal(body, &m) != nil || m.Data.Set == nil {
		begin.conditions = append(begin.conditions, func(packet) truth { return maybe })
		begin.action = accept // or something else
		return []rule{begin}
	}
	for _, element := range m.Data.Set {
		var verdict map[string]json.RawMessage
		if json.Unmarshal(element[1], &verdict) != nil {
			continue
		}
		r := nftRules([]map[string]json.RawMessage{verdict}, table)[0]
		r.conditions = append(slices.Clone(begin.conditions), append(r.conditions, nftMatch{Op: "in", Left: m.Key, Right: element[0]}.holds)...)
		rules = append(rules, r)
	}
	return rules
}

// nftMatch is a condition.
type nftMatch struct {
	Op          string
	Left, Right json.RawMessage
}

func (m nftMatch) holds(p packet) truth {
	var left struct {
		Payload struct{ Protocol, Field string }
		Meta    struct{ Key string }
		CT      struct{ Key string }
		Fib     struct{ Result string }
	}
	if json.Unmarshal(m.Left, &left) != nil {
		return maybe
	}
	holds := maybe
	is := func(test func(value string) truth) truth { return nftAny(m.Right, test) }
	switch protocol, field := left.Payload.Protocol, left.Payload.Field; {
	case (protocol == "udp" || protocol == "th") && field == "dport":
		holds = is(func(value string) truth { return inPorts(p.port, value) })
	case slices.Contains([]string{"tcp", "sctp", "dccp", "icmp", "ip6", "icmpv6", "arp"}, protocol):
		return no
	case protocol == "ip" && field == "daddr":
		holds = is(func(value string) truth { return addressed(p.to, value) })
	case protocol == "ip" && field == "protocol", left.Meta.Key == "l4proto":
		holds = is(func(value string) truth { return within(value, []string{"udp", "17"}) })
	case left.Meta.Key == "iifname", left.Meta.Key == "iif", left.Meta.Key == "oifname", left.Meta.Key == "oif":
		holds = is(func(value string) truth { return named(p.nic, value) })
	case left.Meta.Key == "pkttype":
		holds = is(func(value string) truth {
			return when(p.by.cast() == value || value == "host" && p.by.cast() == "unicast")
		})
	case left.Meta.Key == "nfproto":
		holds = is(func(value string) truth { return when(value == "ipv4") })
	case left.CT.Key == "state":
		holds = is(func(value string) truth { return when(value == "new") })
	case left.Fib.Result == "type":
		holds = is(func(value string) truth { return typed(p, value) })
	}
	switch m.Op {
	case "==", "in":
		return holds
	case "!=":
		return holds.not()
	}
	return maybe
}

// nftAny tries the values that a right side has: one, a set, a range of ports, or a subnet.
func nftAny(right json.RawMessage, test func(string) truth) truth {
	var one any
	if json.Unmarshal(right, &one) != nil {
		return maybe
	}
	return nftValue(one, test)
}

func nftValue(value any, test func(string) truth) truth {
	switch v := value.(type) {
	case string:
		if len(v) > 0 && v[0] == '@' { // a set by name
			return maybe
		}
		return test(v)
	case float64:
		return test(fmt.Sprint(int64(v)))
	case []any:
		found := no
		for _, one := range v {
			found = max(found, nftValue(one, test))
		}
		return found
	case map[string]any:
		if set, ok := v["set"].([]any); ok {
			return nftValue(set, test)
		}
		if r, ok := v["range"].([]any); ok && len(r) == 2 {
			low, ok := r[0].(float64)
			high, ok2 := r[1].(float64)
			if ok && ok2 {
				return test(fmt.Sprintf("%d:%d", int64(low), int64(high)))
			}
		}
		if p, ok := v["prefix"].(map[string]any); ok {
			addr, _ := p["addr"].(string)
			bits, _ := p["len"].(float64)
			if a, err := netip.ParseAddr(addr); err == nil {
				return test(netip.PrefixFrom(a, int(bits)).String())
			}
		}
	}
	return maybe
}
