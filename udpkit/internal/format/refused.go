package format

import (
	"fmt"
	"net/netip"
	"slices"
)

// maxRefused is how many sources and reasons are shown.
const maxRefused = 5

// Refused are the datagrams that were refused: the last sources and reasons, with how many.
type Refused []refused

type refused struct {
	from   netip.AddrPort
	reason string
	count  uint64
}

// Take adds datagrams of a source, which is not valid for several that are not told apart.
func (r *Refused) Take(from netip.AddrPort, reason string, count uint64) {
	list := slices.Clone(*r) // a display may have the other
	for i, was := range list {
		if was.from == from && was.reason == reason {
			count += was.count
			list = slices.Delete(list, i, i+1)
			break
		}
	}
	list = append(list, refused{from, reason, count})
	*r = Newest(list, maxRefused)
}

// Lines says it, a line for each.
func (r Refused) Lines() []string {
	var lines []string
	for _, one := range r {
		lines = append(lines, RefusedLine(one.from, one.reason, one.count))
	}
	return lines
}

// RefusedLine says what was refused from whom and why.
func RefusedLine(from netip.AddrPort, reason string, count uint64) string {
	who := "many sources"
	switch {
	case from.IsValid() && from.Port() == 0:
		who = from.Addr().String()
	case from.IsValid():
		who = from.String()
	}
	return fmt.Sprintf("refused %s from %s: %s", Plural(count, "datagram"), who, reason)
}
