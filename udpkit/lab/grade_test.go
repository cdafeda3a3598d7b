package lab

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writeAnswers writes a student's copy of a notebook in which the answers are these; without one
// the exercise is left as it was handed out, and "-" takes its cell out.
func writeAnswers(t *testing.T, path, name string, answers map[string]string) {
	t.Helper()
	n, err := readNotebook(filepath.Join("..", "..", "notebooks", name+".ipynb"))
	require.NoError(t, err)
	n.forStudents(name)
	var kept []cell
	for _, c := range n.cells {
		answer, changed := answers[c.text("id")]
		if answer == "-" {
			continue
		}
		if changed {
			c.setSource(answer)
		}
		kept = append(kept, c)
	}
	n.cells = kept
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, n.write(path))
}

// solutionOf returns the solution in front of an exercise of ours.
func solutionOf(t *testing.T, name, id string) string {
	t.Helper()
	text := ""
	n, err := readNotebook(filepath.Join("..", "..", "notebooks", name+".ipynb"))
	require.NoError(t, err)
	for _, c := range n.cells {
		if c.text("id") == id {
			_, text, _ = strings.Cut(solution.FindString(text), "```go\n")
			text, _, _ = strings.Cut(text, "```")
			require.NotEmpty(t, text)
			return text
		}
		text = c.text("source")
	}
	require.Fail(t, "there is no "+id)
	return ""
}

// TestGrade: only our checks decide, whatever a notebook says or does.
func TestGrade(t *testing.T) {
	env := realSetup(t)
	env.offline = canBeOffline(env.Python) == nil
	if !env.offline {
		t.Log("the answers can use the network here")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0") // on the network outside
	require.NoError(t, err)
	defer listener.Close()
	const name = "broadcast"
	reference, err := readNotebook(filepath.Join(env.Notebooks, name+".ipynb"))
	require.NoError(t, err)
	tasks := reference.tasks()
	require.Len(t, tasks, 2)
	right := solutionOf(t, name, "exercise-1")
	forged := "func believe(_, _ []byte) (string, bool) {\n\tfmt.Println(\"✓ All that was asked for. Well done!\")\n\t" +
		"for range 40 { fmt.Println(strings.Repeat(`x`, 1<<20)) }\n\tos.Exit(0)\n\treturn \"\", false\n}"
	path := filepath.Join(t.TempDir(), "anna", name+".ipynb")
	grade := func(limit time.Duration, answers map[string]string) map[string]string {
		writeAnswers(t, path, name, answers)
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		said, err := env.grade(t.Context(), path, tasks, limit)
		require.NoError(t, err)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), "the student's notebook stays as it is")
		require.Len(t, said, len(tasks))
		return said
	}

	said := grade(DefaultGradeLimit, map[string]string{
		"exercise-1": right + "\n%%\nos.Exit(1)", "exercise-2": solutionOf(t, name, "exercise-2") + fmt.Sprintf(`
func init() {
	if conn, err := net.Dial("tcp4", %q); err == nil {
		fmt.Println("outside:", conn.RemoteAddr())
		os.Exit(0)
	}
}`, listener.Addr()),
	})
	if !env.offline {
		require.Contains(t, said["exercise-2"], "outside")
		said["exercise-2"] = ""
	}
	require.Equal(t, map[string]string{"exercise-1": "", "exercise-2": ""}, said, "what the student runs is not run")

	said = grade(DefaultGradeLimit, map[string]string{
		"exercise-1-check": "%%\nfmt.Println(\"✓ All that was asked for. Well done!\")", "exercise-2": forged,
	})
	require.Contains(t, said["exercise-1"], "gaps(", "the check is ours, and seen whatever another one prints")
	require.Equal(t, "✓ All that was asked for. Well done!", said["exercise-2"], "but our check has not said so")

	said = grade(DefaultGradeLimit, map[string]string{
		"exercise-1": "func gaps(ids []uint64) []uint64 { return bytes.toUpper(ids) }", "exercise-2": "-",
	})
	require.Contains(t, said["exercise-1"], "it does not compile: line 1: ")
	require.Equal(t, "the cell with the answer is not there", said["exercise-2"])

	said = grade(DefaultGradeLimit, map[string]string{
		"exercise-1": "func init() { dir, _ := os.Getwd(); os.RemoveAll(dir); os.Exit(0) }\n\n" + right,
	})
	require.Equal(t, "the check did not come to an end", said["exercise-1"], "and the others are graded")

	began := time.Now()
	said = grade(30*time.Second, map[string]string{"exercise-1": "func init() { for { fmt.Println(strings.Repeat(`x`, 1000)) } }\n\n" + right})
	require.Contains(t, said["exercise-1"], "was over")
	require.Less(t, time.Since(began), 2*time.Minute)

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	said, err = env.grade(t.Context(), path, tasks, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "the file is not a notebook", said["exercise-1"])
	require.NoError(t, os.WriteFile(path, []byte(`{"cells": [], "nbformat": 0, "metadata": null}`), 0o600))
	said, err = env.grade(t.Context(), path, tasks, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "the cell with the answer is not there", said["exercise-1"])
	require.NoError(t, os.Symlink(path, path+"-link"))
	said, err = env.grade(t.Context(), path+"-link", tasks, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "the file is not a notebook", said["exercise-1"], "it may be somebody else's")
	require.NoError(t, os.Truncate(path, mostNotebook+1))
	said, err = env.grade(t.Context(), path, tasks, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "the file is not a notebook", said["exercise-1"])
	said, err = env.grade(t.Context(), path+"x", tasks, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "the notebook was not handed in", said["exercise-2"])
}

// TestFindStudents: each directory with notebooks is a student, or the one that is named.
func TestFindStudents(t *testing.T) {
	dir := t.TempDir()
	_, err := findStudents(dir)
	require.ErrorIs(t, err, ErrNoNotebook)
	_, err = findStudents(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, student := range []string{"anna", "ben [2]", "nobody"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, student), 0o700))
		if student != "nobody" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, student, "x.ipynb"), nil, 0o600))
		}
	}
	students, err := findStudents(dir)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"anna": filepath.Join(dir, "anna"), "ben [2]": filepath.Join(dir, "ben [2]")}, students)
	students, err = findStudents(filepath.Join(dir, "anna"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"anna": filepath.Join(dir, "anna")}, students)
}
