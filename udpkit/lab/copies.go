package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// workDir is the directory of the copies that the lab works on. Git ignores what is in it, so
	// that no run changes what git knows, and no pull conflicts with what a user has written.
	workDir = "my-notebooks"
	// copiedFile is in it, and tells of each file what it was when it was copied.
	copiedFile = ".copied.json"
	// earlierDir is in it, and has what was run, but not edited, before it was renewed.
	earlierDir = "earlier"
)

// fingerprint tells whether a file has changed: at all, or, if it is a notebook, more than by
// running it.
type fingerprint struct {
	Whole string `json:"whole"`
	Text  string `json:"text"`
}

// fingerprintOf returns that of a file.
func fingerprintOf(path string) (fingerprint, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return fingerprint{}, err
	}
	sum := func(data []byte) string {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	p := fingerprint{Whole: sum(data), Text: sum(data)}
	if filepath.Ext(path) != ".ipynb" {
		return p, nil
	}
	if n, err := readNotebook(path); err == nil { // if it is none, somebody has edited it
		var text []string
		for _, c := range n.cells {
			// JupyterLab appends an empty cell when the last one is run.
			if source := strings.TrimRight(c.text("source"), "\n"); source != "" {
				text = append(text, c.text("cell_type"), source)
			}
		}
		p.Text = sum(encode(text))
	}
	return p, nil
}

// copier brings the copies up to date.
type copier struct {
	dir    string                 // of the copies
	copied map[string]fingerprint // what is in copiedFile
	newer  []string               // the copies that were edited, of which there is a newer original
}

// copyNotebooks copies to the working directory what is not there, and renews what is older than
// its original, unless somebody has edited it: that stays as it is, and out is told. Nothing is
// removed, and what has only been run before it is renewed is kept in earlierDir. There are to be
// several of some.
func (e *Env) copyNotebooks(out io.Writer, several []string, number int) error {
	c := copier{dir: e.work, copied: map[string]fingerprint{}}
	list := filepath.Join(c.dir, copiedFile)
	if data, err := os.ReadFile(list); err == nil {
		_ = json.Unmarshal(data, &c.copied) // what is not known counts as edited
	}
	originals := os.DirFS(e.Notebooks)
	files, err := fs.Glob(originals, "*.ipynb")
	if err == nil {
		var images []string
		images, err = fs.Glob(originals, "images/*")
		files = append(files, images...)
	}
	if err == nil {
		err = os.MkdirAll(c.dir, 0o777)
	}
	for _, name := range files {
		name = filepath.FromSlash(name)
		original := filepath.Join(e.Notebooks, name)
		if n, failure := readNotebook(original); failure == nil && n.metadata[copyMark] != nil {
			continue // of an earlier version, which worked there
		}
		if err == nil {
			err = c.renew(name, original, copyFile)
		}
	}
	for _, name := range several {
		if !slices.Contains(files, name) {
			continue
		}
		for n := 2; err == nil && n <= number; n++ {
			err = c.renew(numbered(name, n), filepath.Join(e.Notebooks, name), copyNotebook)
		}
	}
	if err == nil {
		err = writeFile(list, encode(c.copied), 0o644)
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w (the lab works on copies of the notebooks there: make the directory writable for user %d; with Docker, start it as "+
			"its owner: UDPKIT_UID=$(id -u) UDPKIT_GID=$(id -g) docker compose up)", err, os.Getuid())
	}
	if err != nil {
		return fmt.Errorf("lab: copy the notebooks to %s: %w", c.dir, err)
	}
	if len(c.newer) > 0 {
		slices.Sort(c.newer)
		fmt.Fprintf(out, "You have edited %s, of which there is a newer one in %s. Yours stays; to get the new one, rename yours and start again.\n",
			strings.Join(c.newer, ", "), e.Notebooks)
	}
	return nil
}

// numbered returns the name of the n-th copy of a notebook.
func numbered(name string, n int) string {
	return fmt.Sprintf("%s-%d.ipynb", strings.TrimSuffix(name, ".ipynb"), n)
}

// renew copies a file unless it is there as it should be, or somebody's.
func (c *copier) renew(name, original string, copy func(from, to string) error) error {
	to := filepath.Join(c.dir, name)
	want, err := fingerprintOf(original)
	if err != nil {
		return err
	}
	was := c.copied[name]
	switch is, err := fingerprintOf(to); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case was.Text == want.Text: // there is nothing new
		return nil
	case is.Text == want.Text: // nobody has told us, or somebody has it already
		c.copied[name] = want
		return nil
	case is.Text != was.Text:
		c.newer = append(c.newer, name)
		return nil
	case is.Whole != was.Whole:
		if err := c.keep(name); err != nil {
			return err
		}
	}
	if err = os.MkdirAll(filepath.Dir(to), 0o777); err == nil {
		err = copy(original, to)
	}
	if err == nil {
		c.copied[name], err = fingerprintOf(to)
	}
	return err
}

// keep moves a copy to earlierDir, where it gets a number if its name is taken.
func (c *copier) keep(name string) error {
	dir := filepath.Join(c.dir, earlierDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	to := filepath.Join(dir, name)
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(filepath.Join(c.dir, name), to)
		} else if err != nil {
			return err
		}
		to = filepath.Join(dir, numbered(name, n))
	}
}

// copyFile copies a file as it is.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, data, 0o644)
}

// copyNotebook writes a marked copy without outputs, so that it starts clean.
func copyNotebook(from, to string) error {
	n, err := readNotebook(from)
	if err != nil {
		return err
	}
	n.clean()
	n.metadata[copyMark] = encode(filepath.Base(from))
	return n.write(to)
}
