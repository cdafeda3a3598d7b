package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func procNet(name string) string {
	text, _ := os.ReadFile("/proc/thread-self/net/" + name) // without /proc nothing is known
	return string(text)
}

func routes() []Route { return parseRoutes(procNet("route")) }

func datagrams() *Datagrams {
	if d, ok := parseDatagrams(procNet("snmp")); ok {
		return &d
	}
	return nil
}

// neighbour reports whether a host has answered ARP.
func neighbour(host netip.Addr) (answered, known bool) {
	return parseNeighbour(procNet("arp"), host)
}

// ownersOf lists the sockets on a port. Of programs of other users the system does not tell the
// process, but to root.
func ownersOf(_ context.Context, port uint16) (owners []Owner) {
	inodes := make(map[string]int) // to the index
	for _, line := range append(parseSockets(procNet("udp")), parseSockets(procNet("udp6"))...) {
		if line.local.Port() == port {
			inodes[fmt.Sprintf("socket:[%d]", line.inode)] = len(owners)
			owners = append(owners, Owner{Local: line.local, Dropped: line.drops})
		}
	}
	if len(owners) == 0 {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		if i, ok := inodes[target]; ok {
			process := strings.SplitN(link, "/", 4)[2]
			name, _ := os.ReadFile("/proc/" + process + "/comm")
			owners[i].PID, _ = strconv.Atoi(process)
			owners[i].Process = strings.TrimSpace(string(name))
		}
	}
	return owners
}
