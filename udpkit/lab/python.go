package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const (
	pythonRemedy = "install Python 3.10 or later (python.org, or on Debian and Ubuntu: sudo apt install python3-venv)"
	venvRemedy   = "install it (on Debian and Ubuntu: sudo apt install python3-venv)"
	probe        = `import importlib.util, json, sys
print(json.dumps({"executable": sys.executable, "major": sys.version_info[0], "minor": sys.version_info[1],
    "venv": all(importlib.util.find_spec(m) is not None for m in ("venv", "ensurepip"))}))`
)

// interpreter is what the probe tells of a Python.
type interpreter struct {
	Executable   string
	Major, Minor int
	Venv         bool
}

func (p interpreter) version() string { return fmt.Sprintf("%d.%d", p.Major, p.Minor) }

// findPython returns the first Python on PATH that is new enough and can make virtual environments.
func findPython(ctx context.Context) (interpreter, error) {
	var tooOld, noVenv []string
	names := []string{"python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := run(ctx, "", pythonEnviron(), path, "-c", probe)
		if ctx.Err() != nil {
			return interpreter{}, fmt.Errorf("lab: look for Python: %w", ctx.Err())
		}
		var p interpreter
		if err != nil || json.Unmarshal([]byte(out), &p) != nil || p.Major < 3 || p.Major == 3 && p.Minor < 10 {
			tooOld = append(tooOld, path)
			continue
		}
		if !p.Venv {
			noVenv = append(noVenv, path)
			continue
		}
		return p, nil
	}
	switch {
	case noVenv != nil:
		return interpreter{}, fmt.Errorf("%w (%s): %s", ErrNoVenv, strings.Join(noVenv, ", "), venvRemedy)
	case tooOld != nil:
		return interpreter{}, fmt.Errorf("%w: older than 3.10 or broken: %s: %s", ErrNoPython, strings.Join(tooOld, ", "), pythonRemedy)
	default:
		return interpreter{}, fmt.Errorf("%w: there is no python3 on PATH: %s", ErrNoPython, pythonRemedy)
	}
}

// pythonEnviron is the environment without what would make a Python, pip or Jupyter use the user's
// own packages and settings. How pip reaches the network (index, proxy, certificates) stays.
func pythonEnviron() []string {
	return without(os.Environ(), "PYTHON*", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "JUPYTER*", "IPYTHON*",
		"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_PYTHON")
}
