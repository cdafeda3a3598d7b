package dissect

import (
	"embed"
	"strings"
)

//go:embed wireshark
var scripts embed.FS

// Wireshark returns a dissector for Wireshark, in Lua. It shows what Of does, under the same names,
// and what becomes of a run: gaps, duplicates, what is late, and what was sent again.
func Wireshark() string {
	var parts []string
	files, _ := scripts.ReadDir("wireshark") // in the order of their names, in which Lua needs them
	for _, file := range files {
		part, _ := scripts.ReadFile("wireshark/" + file.Name())
		parts = append(parts, string(part))
	}
	return strings.Join(parts, "\n")
}
