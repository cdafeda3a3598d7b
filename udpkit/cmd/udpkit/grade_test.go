package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
)

func TestMarks(t *testing.T) {
	marks := []lab.Mark{
		{Student: "anna", Notebook: "sockets", Exercise: "exercise-1", Points: 1, Of: 1},
		{Student: "anna", Notebook: "sockets", Exercise: "exercise-2", Of: 2, Said: `=1+1, "why"`},
		{Student: "ben", Notebook: "sockets", Exercise: "exercise-1", Of: 1, Said: "nothing"},
	}
	var table, lines, sheet strings.Builder
	require.NoError(t, printMarks(&table, marks))
	require.Regexp(t, `(?m)^anna +all +1 of 3 *$`, table.String())
	require.Regexp(t, `(?m)^ben +all +0 of 1 *$`, table.String())
	require.NoError(t, printMarksJSON(&lines, marks))
	require.Equal(t, 3, strings.Count(lines.String(), "\n"))
	require.Contains(t, lines.String(), `{"student":"anna","notebook":"sockets","exercise":"exercise-1","points":1,"of":1,"said":""}`)
	require.NoError(t, printMarksCSV(&sheet, marks))
	require.Equal(t, "student,notebook,exercise,points,of,said\nanna,sockets,exercise-1,1,1,\n"+
		"anna,sockets,exercise-2,0,2,\"'=1+1, \"\"why\"\"\"\nben,sockets,exercise-1,0,1,nothing\n", sheet.String())
}

// TestHandoutAndGrade: what is wrong with the command line is said before anything is done.
func TestHandoutAndGrade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "class")
	require.Equal(t, 0, run(t.Context(), []string{"handout", dir}))
	for args, code := range map[string]int{
		"handout --quiet " + dir:     1, // it is not empty any more
		"handout":                    2,
		"handout .":                  2, // inside the repository
		"grade":                      2,
		"grade a b":                  2,
		"grade --json --csv " + dir:  2,
		"grade " + dir + "/none":     1,
		"grade " + dir + "/images":   1, // without a notebook
		"grade --limit 0s " + dir:    2,
		"grade --limit never " + dir: 2,
	} {
		assert.Equal(t, code, run(t.Context(), strings.Fields(args)), args)
	}
}
