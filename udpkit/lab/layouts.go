package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Layouts are the names that Config.Layout may have: the three systems, each of which has notebooks
// that run side by side.
func Layouts() []string { return []string{"broadcast", "chat", "relay"} }

// systems are the notebooks of each system: the server, and those that stand beside it.
var systems = map[string][]string{
	"broadcast": {serverNotebook, clientNotebook},
	"chat":      {"chat_server.ipynb", chatNotebook},
	"relay":     {"relay_server.ipynb", "relay_reader.ipynb", "relay_writer.ipynb"},
}

// layoutExtension is that of a file that JupyterLab opens as a workspace: the index links to them.
const layoutExtension = ".jupyterlab-workspace"

// prepare brings the copies up to date that the lab works on, writes beside them what opens them
// side by side, and returns that, by the names of the layouts. Where it cannot be written, the
// index has a dead link, and the address that is printed works. A system whose notebooks are not
// there has none.
func (e *Env) prepare(cfg Config) (map[string]map[string]any, error) {
	if err := e.copyNotebooks(cfg.Stdout, []string{clientNotebook, chatNotebook}, cfg.Clients); err != nil {
		return nil, err
	}
	layouts := make(map[string]map[string]any)
	for name, notebooks := range systems {
		if !e.have(notebooks) {
			continue
		}
		switch name {
		case "broadcast", "chat":
			for n := 2; n <= cfg.Clients; n++ {
				notebooks = append(notebooks[:len(notebooks):len(notebooks)], numbered(notebooks[1], n))
			}
		}
		if cfg.Join.IsValid() && name != "broadcast" {
			notebooks = notebooks[1:] // the server runs elsewhere
		}
		layouts[name] = workspace(name, notebooks)
		if data, err := json.Marshal(layouts[name]); err == nil {
			_ = writeFile(filepath.Join(e.work, name+layoutExtension), data, 0o644)
		}
	}
	wanted := cfg.Layout
	if wanted == "" && !e.have([]string{indexNotebook}) {
		wanted = "broadcast"
	}
	if wanted != "" && layouts[wanted] == nil {
		return nil, fmt.Errorf("%w: %s needs %s: restore them with: git checkout -- %s", ErrNoNotebook, wanted,
			strings.Join(systems[wanted], ", "), notebooksDir)
	}
	return layouts, nil
}

// have reports whether all the notebooks are in the working directory.
func (e *Env) have(notebooks []string) bool {
	for _, name := range notebooks {
		if _, err := os.Stat(filepath.Join(e.work, name)); err != nil {
			return false
		}
	}
	return true
}
