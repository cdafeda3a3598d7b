package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// notebookFile is a notebook's content; what this package does not know stays as it is.
type notebookFile struct {
	whole, metadata map[string]json.RawMessage
	cells           []cell
}

// cell is one of its cells.
type cell map[string]json.RawMessage

// readNotebook reads one.
func readNotebook(path string) (notebookFile, error) {
	var n notebookFile
	data, err := os.ReadFile(path)
	if err != nil {
		return n, err
	}
	err = json.Unmarshal(data, &n.whole)
	if err == nil {
		err = json.Unmarshal(n.whole["cells"], &n.cells)
	}
	if err == nil && n.whole["metadata"] != nil {
		err = json.Unmarshal(n.whole["metadata"], &n.metadata)
	}
	if err != nil {
		return n, fmt.Errorf("%w: %s is not a notebook: %w", ErrNoNotebook, path, err)
	}
	if n.metadata == nil {
		n.metadata = map[string]json.RawMessage{}
	}
	return n, nil
}

// write writes it in the form that Jupyter has for it.
func (n notebookFile) write(path string) error {
	n.whole["cells"], n.whole["metadata"] = encode(n.cells), encode(n.metadata)
	var out bytes.Buffer
	if err := json.Indent(&out, encode(n.whole), "", " "); err != nil {
		return fmt.Errorf("encode a notebook: %w", err)
	}
	return writeFile(path, out.Bytes(), 0o644)
}

// encode returns JSON, in which <, > and & stay. What is encoded here is JSON already, or simple.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return b.Bytes()
}

// clean removes the outputs.
func (n notebookFile) clean() {
	for _, c := range n.cells {
		if c.code() {
			c["outputs"], c["execution_count"] = json.RawMessage("[]"), json.RawMessage("null")
		}
	}
}

func (c cell) code() bool { return c.text("cell_type") == "code" }

// text returns a field that is a text, or a list of its lines.
func (c cell) text(field string) string { return textOf(c[field]) }

// textOf returns what is a text, or a list of its lines.
func textOf(raw json.RawMessage) string {
	var text string
	var lines []string
	if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &lines) == nil {
		text = strings.Join(lines, "")
	}
	return text
}

// setSource sets the cell's text.
func (c cell) setSource(text string) {
	c["source"] = encode(strings.SplitAfter(text, "\n"))
	if text == "" {
		c["source"] = json.RawMessage("[]")
	}
}

// newCell returns a cell of code.
func newCell(id, source string, metadata map[string]any) cell {
	c := cell{"cell_type": encode("code"), "id": encode(id), "metadata": encode(metadata),
		"outputs": json.RawMessage("[]"), "execution_count": json.RawMessage("null")}
	c.setSource(source)
	return c
}

// parts returns what a cell declares, and what it runs: GoNB's %% and all behind it.
func (c cell) parts() (declared, runs string) {
	var before strings.Builder
	rest := c.text("source")
	for line := range strings.Lines(rest) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "%%" || word == "%main" || word == "%test" {
			break
		}
		before.WriteString(line)
	}
	declared = before.String()
	return strings.TrimRight(declared, "\n"), rest[len(declared):]
}
