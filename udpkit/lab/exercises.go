package lab

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// pointsField is a field of the metadata of an exercise's cell: what it is worth.
const pointsField = "udpkit_points"

// checkSuffix is what the id of the cell that checks an exercise ends with, in a copy for students.
const checkSuffix = "-check"

var exerciseID = regexp.MustCompile(`^exercise-[0-9]+$`)

// task is an exercise of one of our notebooks.
type task struct {
	id     string // of its cell
	check  string // what the cell runs
	points int
}

// tasks returns the exercises of a notebook of ours.
func (n notebookFile) tasks() (all []task) {
	for _, c := range n.cells {
		if id := c.text("id"); c.code() && exerciseID.MatchString(id) {
			_, check := c.parts()
			all = append(all, task{id, check, c.points()})
		}
	}
	return all
}

// points returns what an exercise is worth: one point if the cell does not say.
func (c cell) points() int {
	var metadata map[string]json.RawMessage
	points := 0
	if json.Unmarshal(c["metadata"], &metadata) != nil || json.Unmarshal(metadata[pointsField], &points) != nil {
		return 1
	}
	return points
}

// solution is how the text before an exercise has it.
var solution = regexp.MustCompile(`(?s)\n*<details><summary>A solution</summary>.*?</details>`)

// forStudents takes the solutions and outputs out, and has two cells for each exercise: the answer,
// and the check with the metadata by which nbgrader knows both.
func (n *notebookFile) forStudents(name string) {
	n.clean()
	var cells []cell
	for _, c := range n.cells {
		id := c.text("id")
		if !c.code() {
			if text := c.text("source"); solution.MatchString(text) {
				c.setSource(solution.ReplaceAllString(text, ""))
			}
		}
		if !c.code() || !exerciseID.MatchString(id) {
			cells = append(cells, c)
			continue
		}
		grader := func(suffix string, check bool) map[string]any {
			m := map[string]any{"schema_version": 3, "grade_id": name + "-" + id + suffix, "cell_type": "code",
				"grade": check, "locked": check, "solution": !check, "task": false}
			if check {
				m["points"] = c.points()
			}
			return map[string]any{"nbgrader": m}
		}
		answer, check := c.parts()
		cells = append(cells, newCell(id, answer, grader("", false)), newCell(id+checkSuffix, check, grader(checkSuffix, true)))
	}
	n.cells = cells
}

// forGrading returns a notebook that declares what a student's does, where an init runs as well,
// and runs our checks of the exercises, each in a cell of its own, in place of the student's.
func (n notebookFile) forGrading(tasks []task) notebookFile {
	graded := notebookFile{
		whole:    map[string]json.RawMessage{"nbformat": encode(4), "nbformat_minor": encode(5)},
		metadata: map[string]json.RawMessage{},
		cells:    []cell{},
	}
	goesOn := map[string]any{"tags": []string{"raises-exception"}} // an error does not end the others
	for i, c := range n.cells {
		id := c.text("id")
		if !c.code() || strings.HasSuffix(id, checkSuffix) && exerciseID.MatchString(strings.TrimSuffix(id, checkSuffix)) {
			continue
		}
		if declared, _ := c.parts(); strings.TrimSpace(declared) != "" {
			graded.cells = append(graded.cells, newCell(fmt.Sprintf("cell-%d", i), declared, goesOn))
		}
		for _, task := range tasks {
			if task.id == id {
				graded.cells = append(graded.cells, newCell(id+checkSuffix, task.check, goesOn))
			}
		}
	}
	return graded
}

// ours returns our notebooks in a directory by name, without ".ipynb", and without the copies that
// the lab made.
func ours(dir string) (map[string]notebookFile, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	if err != nil {
		return nil, err
	}
	all := make(map[string]notebookFile)
	for _, path := range paths {
		n, err := readNotebook(path)
		if err != nil {
			return nil, err
		}
		if n.metadata[copyMark] == nil {
			all[strings.TrimSuffix(filepath.Base(path), ".ipynb")] = n
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: there is none in %s", ErrNoNotebook, dir)
	}
	return all, nil
}
