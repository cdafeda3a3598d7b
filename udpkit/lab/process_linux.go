package lab

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

const membersByMark = true

// members returns the ids of all processes that carry the mark.
func members(_ int, mark string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	want := []byte("\x00" + markVariable + "=" + mark + "\x00")
	for _, file := range files {
		environment, err := os.ReadFile(file) // fails for other users' processes, which are none of ours
		if err != nil || !bytes.Contains(append(append([]byte{0}, environment...), 0), want) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
