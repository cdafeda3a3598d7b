package lab

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHandout: students get all that is ours, but for the solutions, and nothing that is there is
// touched.
func TestHandout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "class")
	n, err := Handout(t.Context(), Config{Dir: "."}, dir)
	require.NoError(t, err)
	require.Equal(t, len(notebooks(t)), n)
	require.FileExists(t, filepath.Join(dir, "images", "datagram.svg"))
	exercises := 0
	for _, name := range notebooks(t) {
		theirs, err := readNotebook(filepath.Join(dir, name+".ipynb"))
		require.NoError(t, err)
		ours, err := readNotebook(filepath.Join("..", "..", "notebooks", name+".ipynb"))
		require.NoError(t, err)
		tasks := ours.tasks()
		require.Len(t, theirs.cells, len(ours.cells)+len(tasks), "an answer and a check for each exercise")
		ids := map[string]bool{}
		for _, c := range theirs.cells {
			require.Contains(t, []string{"", "[]"}, strings.TrimSpace(string(c["outputs"])), name)
			text := c.text("source")
			require.NotContains(t, text, "A solution", name)
			require.Equal(t, strings.Count(text, "<details>"), strings.Count(text, "</details>"), name)
			id := c.text("id")
			require.False(t, ids[id], "%s: two cells %s", name, id)
			require.Regexp(t, regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`), id)
			ids[id] = true
		}
		graded := theirs.forGrading(tasks)
		require.Len(t, graded.tasks(), 0, "no cell has an answer and runs it")
		for _, task := range tasks {
			exercises++
			require.True(t, ids[task.id] && ids[task.id+checkSuffix], "%s %s", name, task.id)
			require.Contains(t, task.check, ".Check")
			require.Positive(t, task.points)
		}
	}
	require.Positive(t, exercises)

	answer := filepath.Join(dir, "sockets.ipynb")
	require.NoError(t, os.WriteFile(answer, []byte("mine"), 0o600))
	_, err = Handout(t.Context(), Config{Dir: "."}, dir)
	require.ErrorIs(t, err, ErrNotEmpty)
	text, err := os.ReadFile(answer)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	for _, inside := range []string{"class", filepath.Join("..", "..", "notebooks", "class")} {
		_, err = Handout(t.Context(), Config{Dir: "."}, inside)
		require.ErrorIs(t, err, ErrConfig)
		require.NoDirExists(t, inside)
	}
}

// TestChecksFailCells: who grades goes by the status of a cell, which only panel.Main sets.
func TestChecksFailCells(t *testing.T) {
	for _, name := range notebooks(t) {
		for _, c := range cells(t, name) {
			if source := strings.Join(c.Source, ""); c.Type == "code" && regexp.MustCompile(`\.Check[A-Z]`).MatchString(source) {
				require.Regexp(t, `(?s)%%\npanel\.Main\(.*return \w+\.Check`, source, name)
			}
		}
	}
}
