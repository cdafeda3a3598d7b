package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A release makes its manual pages so:
//
//	go test ./udpkit/cmd/udpkit -run '^TestManPages$' -man DIR
var manDir = flag.String("man", "", "`directory` to write the manual pages to")

// listed is a list in a help text, whose lines stay as they are.
var listed = regexp.MustCompile(`(?m)^  \S.*(\n  .*)*`)

// TestManPages: each command has a manual page, with the text of its help.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	root := rootCommand()
	root.DisableAutoGenTag = true
	forMan(root)
	require.NoError(t, doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "udpkit", Manual: "udpkit"}, dir))

	page, err := os.ReadFile(filepath.Join(dir, "udpkit-relay-server.1"))
	require.NoError(t, err)
	for _, text := range []string{"Store what writers write", `\fB--retain-age\fP`, `udpkit relay server --data ~/log`, `\fBudpkit-relay(1)\fP`} {
		assert.Contains(t, string(page), text)
	}
	page, err = os.ReadFile(filepath.Join(dir, "udpkit.1"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "\n0  what was asked was done", "a line of its own")
	var count func(cmd *cobra.Command) int
	count = func(cmd *cobra.Command) int {
		n := 1
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				n += count(c)
			}
		}
		return n
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	require.NoError(t, err)
	assert.Len(t, pages, count(root))
}

// forMan makes Markdown of the texts.
func forMan(cmd *cobra.Command) {
	cmd.Long = listed.ReplaceAllStringFunc(cmd.Long, func(list string) string {
		return "\n    " + strings.ReplaceAll(list[2:], "\n  ", "\n    ") + "\n"
	})
	for _, c := range cmd.Commands() {
		forMan(c)
	}
}
