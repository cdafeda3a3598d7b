package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Layouts are the names that Config.Layout may have: the three systems, each of which has notebooks
// that run side by side.
func Layouts() []string { return []string{"broadcast", "chat", "relay"} }

// systems are the notebooks of each system: the first gets the left half of the window, and is the
// one that one types into, if there is such. Its box would be out of sight in less.
var systems = map[string]struct {
	notebooks []string
	several   string // of these there are as many as Config.Clients says
	elsewhere string // with Config.Join, this runs on another machine
}{
	"broadcast": {[]string{serverNotebook, clientNotebook}, clientNotebook, ""},
	"chat":      {[]string{chatNotebook, "chat_server.ipynb"}, chatNotebook, "chat_server.ipynb"},
	"relay":     {[]string{"relay_writer.ipynb", "relay_server.ipynb", "relay_reader.ipynb"}, "", "relay_server.ipynb"},
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
	for name, system := range systems {
		if !e.have(system.notebooks) {
			continue
		}
		notebooks := slices.Clone(system.notebooks)
		for n := 2; system.several != "" && n <= cfg.Clients; n++ {
			notebooks = append(notebooks, numbered(system.several, n))
		}
		if cfg.Join.IsValid() {
			notebooks = slices.DeleteFunc(notebooks, func(name string) bool { return name == system.elsewhere })
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
			strings.Join(systems[wanted].notebooks, ", "), notebooksDir)
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
