package doctor

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The tables below /proc/net of Linux. What cannot be read of them is left out.

// socketLine is a line of /proc/net/udp.
type socketLine struct {
	local netip.AddrPort
	inode uint64
	drops uint64 // datagrams that came while its buffer was full
}

// parseSockets reads /proc/net/udp and /proc/net/udp6.
func parseSockets(text string) (list []socketLine) {
	for fields := range table(text) {
		if len(fields) < 13 {
			continue
		}
		host, port, _ := strings.Cut(fields[1], ":")
		addr, ok := parseHexAddr(host)
		number, err := strconv.ParseUint(port, 16, 16)
		inode, err2 := strconv.ParseUint(fields[9], 10, 64)
		drops, err3 := strconv.ParseUint(fields[12], 10, 64)
		if ok && err == nil && err2 == nil && err3 == nil {
			list = append(list, socketLine{netip.AddrPortFrom(addr, uint16(number)), inode, drops})
		}
	}
	return list
}

// parseHexAddr reads an address as the kernel prints it: words of 32 bits in the machine's order.
func parseHexAddr(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	addr, ok := netip.AddrFromSlice(b)
	return addr.Unmap(), ok
}

// Route is a way that the system knows.
type Route struct {
	To        netip.Prefix `json:"to"`
	By        netip.Addr   `json:"by,omitzero"` // the router; none: the hosts are reached directly
	Interface string       `json:"interface"`
}

// parseRoutes reads /proc/net/route.
func parseRoutes(text string) (list []Route) {
	for fields := range table(text) {
		if len(fields) < 8 {
			continue
		}
		to, ok := parseHexAddr(fields[1])
		by, ok2 := parseHexAddr(fields[2])
		mask, ok3 := parseHexAddr(fields[7])
		flags, err := strconv.ParseUint(fields[3], 16, 16)
		if !ok || !ok2 || !ok3 || !to.Is4() || !mask.Is4() || err != nil || flags&1 == 0 { // RTF_UP
			continue
		}
		r := Route{Interface: fields[0]}
		m := mask.As4()
		if r.To, err = to.Prefix(leadingOnes(binary.BigEndian.Uint32(m[:]))); err != nil {
			continue
		}
		if by != netip.IPv4Unspecified() {
			r.By = by
		}
		list = append(list, r)
	}
	return list
}

func leadingOnes(n uint32) (ones int) {
	for ; n&(1<<31) != 0; n <<= 1 {
		ones++
	}
	return ones
}

// parseNeighbour reads from /proc/net/arp whether a host has answered; known is false if it was not
// asked.
func parseNeighbour(text string, host netip.Addr) (answered, known bool) {
	for fields := range table(text) {
		if len(fields) < 6 || fields[0] != host.String() {
			continue
		}
		flags, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "0x"), 16, 16)
		if err == nil {
			return flags&2 != 0, true // ATF_COM
		}
	}
	return false, false
}

// Datagrams are what the kernel has counted since the machine started.
type Datagrams struct {
	Received uint64 `json:"received"`
	// Dropped are those for which a program's receive buffer had no room.
	Dropped uint64 `json:"dropped"`
}

// parseDatagrams reads /proc/net/snmp: a line of names, and one of numbers.
func parseDatagrams(text string) (d Datagrams, ok bool) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		value := func(name string) uint64 {
			i := slices.Index(names, name)
			if i < 0 || i >= len(fields) {
				return 0
			}
			n, err := strconv.ParseUint(fields[i], 10, 64)
			ok = ok || err == nil
			return n
		}
		d = Datagrams{Received: value("InDatagrams"), Dropped: value("RcvbufErrors")}
		return d, ok
	}
	return d, false
}

// table yields the fields of each line but the first, which has the titles.
func table(text string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan(); lines.Scan(); {
			if !yield(strings.Fields(lines.Text())) {
				return
			}
		}
	}
}
