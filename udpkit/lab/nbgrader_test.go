package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// nbgraderConfig leaves out what nbgrader does to solutions, which are out already: it would put
// "YOUR CODE HERE" in the place of what the students begin with.
const nbgraderConfig = `c = get_config()
c.CourseDirectory.course_id = "udp"
c.ExecutePreprocessor.timeout = 300
c.GenerateAssignment.preprocessors = ["nbgrader.preprocessors." + name for name in
    ("LockCells", "CheckCellMetadata", "ClearOutput", "ComputeChecksums", "SaveCells")]
`

// TestNbgrader: nbgrader takes what is handed out, and gives the points that Grade gives.
func TestNbgrader(t *testing.T) {
	if _, err := exec.LookPath("nbgrader"); err != nil {
		testenv.Skip(t, "needs nbgrader of PyPI: %v", err)
	}
	env := realSetup(t)
	course, handout := t.TempDir(), filepath.Join(t.TempDir(), "handout")
	_, err := Handout(t.Context(), Config{Dir: "."}, handout)
	require.NoError(t, err)
	const file = "broadcast.ipynb"
	place := func(dir string) string {
		path := filepath.Join(course, dir, "udp", file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		return path
	}
	nbgrader := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), "nbgrader", args...)
		cmd.Dir = course
		cmd.Env = append(env.Environ, "UDPKIT_GRADE=1", goplsVariable+"="+os.DevNull, "PATH="+os.Getenv("PATH"), "JUPYTER_CONFIG_DIR="+course)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	require.NoError(t, os.WriteFile(filepath.Join(course, "nbgrader_config.py"), []byte(nbgraderConfig), 0o600))
	given, err := readNotebook(filepath.Join(handout, file))
	require.NoError(t, err)
	require.NoError(t, given.write(place("source")))
	nbgrader("generate_assignment", "udp")
	for student, answered := range map[string][]string{"anna": {"exercise-1", "exercise-2"}, "ben": {"exercise-2"}} {
		answers, err := readNotebook(filepath.Join(course, "release", "udp", file))
		require.NoError(t, err)
		for _, c := range answers.cells {
			for _, id := range answered {
				if c.text("id") == id {
					c.setSource(solutionOf(t, "broadcast", id))
				}
			}
		}
		require.NoError(t, answers.write(place(filepath.Join("submitted", student))))
	}
	nbgrader("autograde", "udp")
	nbgrader("export", "--to", "marks.csv")
	marks, err := os.ReadFile(filepath.Join(course, "marks.csv"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^udp,.*,anna,.*,3\.0,0\.0,3\.0,3\.0\r?$`, string(marks))
	require.Regexp(t, `(?m)^udp,.*,ben,.*,2\.0,0\.0,2\.0,3\.0\r?$`, string(marks))
}
