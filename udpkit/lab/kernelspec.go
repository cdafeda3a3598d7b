package lab

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

//go:embed custom.css
var customCSS []byte

// jupyter writes Jupyter's configuration and the kernel specification, for this checkout alone.
func (s *setup) jupyter() error {
	dir := s.dir("jupyter", []byte(s.env.Repository))
	s.env.Jupyter = dir
	s.path = strings.Join([]string{s.env.Bin, filepath.Join(s.golang.GOROOT, "bin"), os.Getenv("PATH")}, string(os.PathListSeparator))
	s.env.Environ = append(pythonEnviron(),
		"PATH="+strings.Join([]string{filepath.Dir(s.env.Python), s.path}, string(os.PathListSeparator)),
		"JUPYTER_CONFIG_DIR="+filepath.Join(dir, "config"),
		"JUPYTER_DATA_DIR="+filepath.Join(dir, "data"),
		"JUPYTER_RUNTIME_DIR="+filepath.Join(dir, "runtime"),
		"JUPYTERLAB_SETTINGS_DIR="+filepath.Join(dir, "settings"),
		"JUPYTERLAB_WORKSPACES_DIR="+filepath.Join(dir, "workspaces"),
		"IPYTHONDIR="+filepath.Join(dir, "ipython"),
		"PYTHONNOUSERSITE=1",
	)
	s.kernelVars = map[string]string{
		"PATH":    s.path,
		"GOENV":   "off", // what `go env -w` set is replaced by the following
		"GOFLAGS": kernelFlags(s.golang.GOFLAGS),
		"GOPATH":  s.golang.GOPATH, "GOMODCACHE": s.golang.GOMODCACHE, "GOCACHE": s.golang.GOCACHE,
		"GOWORK":      "",      // found in the cell's directory
		"GOTOOLCHAIN": "local", // the repository's, first on PATH
		"GOPROXY":     "off",   // no hidden `go get` before each cell
		"GOOS":        "", "GOARCH": "",
	}
	argv := []string{filepath.Join(s.env.Bin, "gonb"), "--kernel", "{connection_file}", "-go_work=" + s.env.Repository}
	if runtime.GOOS != "windows" {
		argv = append([]string{"/usr/bin/env", "PATH=" + s.path}, argv...) // VS Code ignores the one below
	}
	spec := map[string]any{
		"argv":           argv,
		"display_name":   "Go (gonb)",
		"language":       "go",
		"interrupt_mode": "message",
		"env":            jupyterEscaped(s.kernelVars),
	}
	server := map[string]any{
		"ServerApp": map[string]any{
			// The whole repository, so that a notebook's links to the package's source work;
			// the copies show first.
			"root_dir":            s.env.Repository,
			"open_browser":        false,
			"port_retries":        0,
			"jpserver_extensions": map[string]bool{"jupyterlab": true, "jupyter_lsp": false},
		},
		"FileContentsManager": map[string]any{"preferred_dir": s.env.work},
		"LabApp":              map[string]any{"news_url": nil, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate", "extension_manager": "readonly", "custom_css": true},
		"KernelSpecManager":   map[string]any{"ensure_native_kernel": false, "allowed_kernelspecs": []string{Kernel}},
		"MultiKernelManager":  map[string]any{"default_kernel_name": Kernel},
	}
	page := map[string]any{"disabledExtensions": map[string]bool{
		"@jupyterlab/apputils-extension:announcements": true,
		"@jupyterlab/lsp-extension":                    true,
	}}
	settings := map[string]any{
		"@jupyterlab/apputils-extension:notification": map[string]any{"checkForUpdates": false, "fetchNews": "false"},
		// A page that is reloaded shows what was saved: a live panel, and that it is old.
		"@jupyterlab/docmanager-extension:plugin": map[string]any{"autosaveInterval": 10},
		// The compiler's errors have the number of the line.
		"@jupyterlab/notebook-extension:tracker": map[string]any{"codeCellConfig": map[string]any{"lineNumbers": true}},
	}
	for _, file := range []struct {
		path    string
		content any
	}{
		{"data/kernels/" + Kernel + "/kernel.json", spec},
		{"config/jupyter_server_config.json", server},
		{"config/labconfig/page_config.json", page},
		{"config/labconfig/default_setting_overrides.json", settings},
		{"config/custom/custom.css", customCSS},
	} {
		path := filepath.Join(dir, filepath.FromSlash(file.path))
		data, isText := file.content.([]byte)
		var err error
		if !isText {
			data, err = json.MarshalIndent(file.content, "", "  ")
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = writeFile(path, data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("lab: configure Jupyter: %w", err)
		}
	}
	return nil
}

// jupyterEscaped doubles dollar signs, since Jupyter expands variables in a kernel's environment.
func jupyterEscaped(vars map[string]string) map[string]string {
	escaped := map[string]string{}
	for name, value := range vars {
		escaped[name] = strings.ReplaceAll(value, "$", "$$")
	}
	return escaped
}

// kernelFlags is the user's GOFLAGS without -mod and -modfile, which break a workspace, and with
// two that make cells start sooner. Linking is most of what Run takes, and a third of that is
// debugging information, which nothing reads: stack traces do not need it. And a cell's program has
// no version control to ask.
func kernelFlags(flags string) string {
	fields := slices.DeleteFunc(strings.Fields(flags), func(f string) bool {
		f = strings.TrimLeft(f, "-")
		return strings.HasPrefix(f, "mod=") || strings.HasPrefix(f, "modfile=") || strings.HasPrefix(f, "buildvcs")
	})
	// In front, so that a -ldflags of the user's replaces ours.
	return strings.Join(append([]string{"-buildvcs=false", "-ldflags=-s"}, fields...), " ")
}
