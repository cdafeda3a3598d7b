package lab

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mark is what a student has reached in one exercise.
type Mark struct {
	// Student is the name of the directory with the student's notebooks.
	Student string `json:"student"`
	// Notebook is the name without ".ipynb", and Exercise that of the exercise in it.
	Notebook string `json:"notebook"`
	Exercise string `json:"exercise"`
	// Points is 0 or Of.
	Points int `json:"points"`
	Of     int `json:"of"`
	// Said is what was missing, in a sentence; "" if nothing.
	Said string `json:"said"`
}

// DefaultGradeLimit is the time that a notebook of a student has, unless told otherwise. The checks
// of a lesson take a minute at most where the answers are wrong, and compiling them another.
const DefaultGradeLimit = 5 * time.Minute

// Grade runs the checks of all exercises on students' answers and returns the marks, sorted, of
// each student in each exercise that there is. The students' notebooks, by the names that
// [Handout] gave them, are in the directories in dir, each of which has the student's name; or
// they are in dir itself, if there is one student. They stay as they are: copies are run, headless,
// each in a directory of its own, for limit at most and, on Linux, with a network of its own that
// leads nowhere; where the system forbids that, cfg.Stdout is told.
//
// What runs is what the answers declare and our checks, and nothing else of the notebooks. It runs
// with the rights of the caller, so whoever does not know the students has it done in a container.
// An answer that sets out to forge a verdict can: who reads it sees that.
func Grade(ctx context.Context, cfg Config, dir string, limit time.Duration) ([]Mark, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("%w: a notebook has %v, and needs more than that", ErrConfig, limit)
	}
	students, err := findStudents(dir)
	if err != nil {
		return nil, err
	}
	env, err := setUp(ctx, cfg, false)
	if err != nil {
		return nil, err
	}
	all, err := ours(env.Notebooks)
	if err != nil {
		return nil, err
	}
	if err := canBeOffline(env.Python); err != nil {
		fmt.Fprintf(cfg.Stdout, "The answers can use the network, since this system does not let a program have one of its own: %v\n", err)
	} else {
		env.offline = true
	}
	var marks []Mark
	for _, student := range slices.Sorted(maps.Keys(students)) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			tasks := all[name].tasks()
			if len(tasks) == 0 {
				continue
			}
			end := step(cfg.Stdout, fmt.Sprintf("Grading %s of %s", name, printable(student)))
			said, err := env.grade(ctx, filepath.Join(students[student], name+".ipynb"), tasks, limit)
			end(err)
			if err != nil {
				return nil, err
			}
			for _, task := range tasks {
				m := Mark{Student: student, Notebook: name, Exercise: task.id, Of: task.points, Said: said[task.id]}
				if m.Said == "" {
					m.Points = m.Of
				}
				marks = append(marks, m)
			}
		}
	}
	return marks, nil
}

// findStudents returns the directories with notebooks in dir, by name, or dir itself.
func findStudents(dir string) (map[string]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("lab: find the notebooks to grade: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("lab: find the notebooks to grade: %w", err)
	}
	students := make(map[string]string)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".ipynb" {
			return map[string]string{filepath.Base(dir): dir}, nil
		}
		path := filepath.Join(dir, e.Name())
		if found, err := fs.Glob(os.DirFS(path), "*.ipynb"); err == nil && len(found) > 0 {
			students[e.Name()] = path
		}
	}
	if len(students) == 0 {
		return nil, fmt.Errorf("%w: neither %s nor a directory in it has one", ErrNoNotebook, dir)
	}
	return students, nil
}

// mostNotebook is how large a notebook may be that a student's hand was on. Ours have not even a
// megabyte.
const mostNotebook = 32 << 20

// readTheirs reads a notebook that a student's hand was on: whatever is no file of that size, such
// as a link to what is somebody else's, is no notebook.
func readTheirs(path string) (notebookFile, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return notebookFile{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostNotebook {
		return notebookFile{}, fmt.Errorf("%w: %s is not a file of %d MB at most", ErrNoNotebook, path, mostNotebook>>20)
	}
	return readNotebook(path)
}

// grade runs the checks on a student's notebook and returns what is missing in each exercise, "" if
// nothing is. What is wrong with the notebook is no error.
func (e *Env) grade(ctx context.Context, path string, tasks []task, limit time.Duration) (said map[string]string, err error) {
	said = make(map[string]string)
	all := func(why string) {
		for _, task := range tasks {
			said[task.id] = why
		}
	}
	theirs, err := readTheirs(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		all("the notebook was not handed in")
		return said, nil
	case errors.Is(err, ErrNoNotebook):
		all("the file is not a notebook")
		return said, nil
	case err != nil:
		return nil, fmt.Errorf("lab: read an answer: %w", err)
	}
	dir, err := os.MkdirTemp("", "udpkit-grade-")
	if err != nil {
		return nil, fmt.Errorf("lab: grade: %w", err)
	}
	defer os.RemoveAll(dir)
	copied, ran := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "graded.ipynb")
	if err := theirs.forGrading(tasks).write(copied); err != nil {
		return nil, fmt.Errorf("lab: grade: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	apart, proof := *e, rand.Text()
	apart.Notebooks = dir
	failure := apart.Execute(limited, copied, ran, "UDPKIT_GRADE=1", "UDPKIT_GRADE_PROOF="+proof)
	unfinished := "the check did not come to an end"
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("lab: grade: %w", ctx.Err())
	case limited.Err() != nil:
		unfinished = fmt.Sprintf("the time, %v for the notebook, was over", limit)
	case failure != nil && !errors.Is(failure, ErrNotebook): // nothing of theirs has run
		return nil, failure
	}
	graded, err := readTheirs(ran)
	if err != nil { // what ran has destroyed it, or has ended what writes it
		all(unfinished)
		return said, nil
	}
	declared := "" // what is wrong with the answer, without which its check does not compile
	for _, c := range graded.cells {
		text, failed := c.printed()
		id, check := strings.CutSuffix(c.text("id"), checkSuffix)
		switch {
		case !check && failed:
			declared = cmp.Or(c.compileError(), firstError(text))
		case check && !failed && strings.Contains(text, "\n"+proof+"\n"):
			said[id] = ""
		case check:
			first := ""
			if failed || limited.Err() == nil { // else it is what it printed until the time was over
				first = firstError(text)
			}
			said[id] = inShort(cmp.Or(verdict(text), declared, c.compileError(), first, unfinished))
			declared = ""
		}
	}
	for _, task := range tasks {
		if _, ok := said[task.id]; !ok {
			said[task.id] = "the cell with the answer is not there"
		}
	}
	return said, nil
}

// printed returns what a cell has printed, and whether it failed.
func (c cell) printed() (text string, failed bool) {
	var outputs []struct {
		Type string          `json:"output_type"`
		Text json.RawMessage `json:"text"`
	}
	_ = json.Unmarshal(c["outputs"], &outputs) // without, nothing was printed
	for _, o := range outputs {
		text += textOf(o.Text)
		failed = failed || o.Type == "error"
	}
	return text, failed
}

// compilerSays is where the kernel's page for a compiler's error has the error.
var compilerSays = regexp.MustCompile(`: Line (\d+)</span>\s*</span>([^<]*)<div class="gonb-err-context">`)

// compileError returns the first error of the compiler; "" if there is none.
func (c cell) compileError() string {
	var outputs []struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	_ = json.Unmarshal(c["outputs"], &outputs) // without, nothing was shown
	for _, o := range outputs {
		if m := compilerSays.FindStringSubmatch(textOf(o.Data["text/html"])); m != nil {
			return printable(fmt.Sprintf("it does not compile: line %s: %s", m[1], html.UnescapeString(m[2])))
		}
	}
	return ""
}

// verdict returns what a check has found missing; "" if it has not said so.
func verdict(text string) string {
	const mark = "✗ Not yet: "
	i := strings.LastIndex(text, mark)
	if i < 0 {
		return ""
	}
	line, _, _ := strings.Cut(text[i+len(mark):], "\n")
	return printable(line)
}

// inShort returns a text as one line, which looks like one mark and fits into a table.
func inShort(text string) string {
	return fmt.Sprintf("%.1000s", strings.NewReplacer("\n", " ", "\t", " ").Replace(text))
}

// firstError returns the first line of what was printed that says something.
func firstError(text string) string {
	for line := range strings.Lines(printable(text)) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
