//go:build unix && !linux

package lab

import (
	"fmt"
	"os/exec"
	"strings"
)

// Another process's environment cannot be read everywhere here, so members go by parentage.
const membersByMark = false

// members returns the ids of the process and of all that descend from it.
func members(leader int, _ string) (pids []int) {
	table, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	found := false
	for line := range strings.Lines(string(table)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err != nil {
			continue
		}
		children[parent] = append(children[parent], pid)
		found = found || pid == leader
	}
	if !found {
		return nil
	}
	pids = []int{leader}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}
