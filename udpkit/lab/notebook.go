package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

const (
	indexNotebook  = "index.ipynb"
	serverNotebook = "server.ipynb"
	clientNotebook = "client.ipynb"
	// copyMark is a field of a notebook's metadata: who carries it was made here and may be made
	// anew or removed.
	copyMark = "udpkit_copy_of"
)

var copyName = regexp.MustCompile(`^client-([0-9]+)\.ipynb$`)

// makeCopies makes client-2.ipynb to client-<clients>.ipynb beside client.ipynb anew, removes
// copies of an earlier start that are no longer wanted, and returns the names of all notebooks to
// open, the server's first. A file with such a name that was not made here is the user's: it is
// neither overwritten nor removed.
func makeCopies(dir string, clients int) ([]string, error) {
	for _, name := range []string{serverNotebook, clientNotebook} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("%w: %w: restore it with: git checkout -- %s/%s", ErrNoNotebook, err, notebooksDir, name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("lab: list the notebooks: %w", err)
	}
	for _, entry := range entries {
		match := copyName.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if n, err := strconv.Atoi(match[1]); err == nil && n <= clients && n > 1 || !isCopy(path) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("lab: remove the copy of an earlier start: %w", err)
		}
	}
	names := []string{serverNotebook, clientNotebook}
	for n := 2; n <= clients; n++ {
		name := fmt.Sprintf("client-%d.ipynb", n)
		names = append(names, name)
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil && !isCopy(path) {
			continue
		}
		if err := copyNotebook(filepath.Join(dir, clientNotebook), path); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				err = fmt.Errorf("%w (the lab writes copies of %s there: make the directory writable for user %d; with Docker, start it as "+
					"its owner: UDPKIT_UID=$(id -u) UDPKIT_GID=$(id -g) docker compose up)", err, clientNotebook, os.Getuid())
			}
			return nil, fmt.Errorf("lab: copy %s: %w", clientNotebook, err)
		}
	}
	return names, nil
}

// isCopy reports whether the notebook carries the mark.
func isCopy(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var notebook struct {
		Metadata map[string]json.RawMessage `json:"metadata"`
	}
	return json.Unmarshal(data, &notebook) == nil && notebook.Metadata[copyMark] != nil
}

// copyNotebook writes a marked copy without outputs, so that it starts clean.
func copyNotebook(from, to string) error {
	n, err := readNotebook(from)
	if err != nil {
		return err
	}
	n.clean()
	n.metadata[copyMark] = json.RawMessage(strconv.Quote(filepath.Base(from)))
	return n.write(to)
}

// writeFile writes so that a reader sees the old content or the new, never a part.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".udpkit-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails, and may, once it is renamed
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Chmod(mode)
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
