package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/lastly"
)

// goplsVersion is the newest that builds with Go 1.26. It is not in go.mod, where it would raise the requirements of
// everything else.
const goplsVersion = "v0.23.0"

//go:embed requirements.txt
var requirements []byte

//go:embed custom.css
var customCSS []byte

// Env is a lab that is set up.
type Env struct {
	// Repository is the absolute path of the checkout that notebooks import udpkit from.
	Repository string
	// Notebooks is the directory of its notebooks.
	Notebooks string
	// Bin is the directory of gonb, goimports and gopls.
	Bin string
	// Python is the interpreter of the environment that has JupyterLab and nbclient.
	Python string
	// Jupyter is a directory that this checkout's Jupyter configuration, data and logs are in.
	Jupyter string
	// Environ is the environment for every Jupyter process: with it, and only with it, Jupyter finds the kernel named
	// by the constant Kernel, and leaves the user's own Jupyter settings alone.
	Environ []string
}

// toolchain is what `go env` tells about the Go that the repository selects.
type toolchain struct {
	GOROOT, GOVERSION, GOFLAGS, GOPATH, GOMODCACHE, GOCACHE string
}

// Setup builds and downloads what is missing, and returns quickly when nothing is. What was finished before an
// interruption is kept. Several may set up at the same time: they wait for each other. Setup, but neither Run nor Check,
// also builds a gopls that could not be built before, or that was deleted.
func Setup(ctx context.Context, cfg Config) (*Env, error) { return setUp(ctx, cfg, true) }

func setUp(ctx context.Context, cfg Config, again bool) (*Env, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" || runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		return nil, fmt.Errorf("%w: the GoNB kernel does not run on %s: use WSL, or Docker with: docker compose up", ErrUnsupported, runtime.GOOS)
	}
	repository, err := findRepository(cfg.Dir)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(cfg.Stdout, "The lab is JupyterLab with a Go kernel. The first start builds and downloads both, which takes a few minutes; "+
		"the next ones take seconds.")
	golang, err := findGo(ctx, repository)
	if err != nil {
		return nil, err
	}
	python, err := findPython(ctx)
	if err != nil {
		return nil, err
	}
	cache := cfg.CacheDir
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil { // which names the variable
			return nil, fmt.Errorf("lab: no cache directory: %w", err)
		}
		cache = filepath.Join(cache, "udpkit")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return nil, fmt.Errorf("lab: cache directory: %w", err)
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, fmt.Errorf("lab: make the cache directory: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(cache, "lock"), cfg.Stdout)
	if err != nil {
		return nil, err
	}
	defer unlock()

	s := &setup{ctx: ctx, out: cfg.Stdout, cache: cache, golang: golang, env: &Env{
		Repository: repository,
		Notebooks:  filepath.Join(repository, notebooksDir),
	}}
	for _, part := range []func() error{s.tools, func() error { return s.gopls(again) }, func() error { return s.python(python) }, s.jupyter, s.warm} {
		err := part()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("lab: set-up stopped, what is finished is kept: %w", ctx.Err())
		}
		if err != nil {
			return nil, err
		}
	}
	return s.env, nil
}

// setup is a set-up that is under way.
type setup struct {
	ctx        context.Context
	out        io.Writer
	cache      string
	golang     toolchain
	env        *Env
	path       string            // PATH of the kernel
	kernelVars map[string]string // what the kernel's environment has on top of Jupyter's
}

// findGo asks the Go that the repository's go.mod selects.
func findGo(ctx context.Context, repository string) (t toolchain, err error) {
	const remedy = "install Go 1.26 or later (go.dev/dl) and put it on PATH"
	if _, err := exec.LookPath("go"); err != nil {
		return t, fmt.Errorf("%w: %w: %s", ErrNoGo, err, remedy)
	}
	out, err := run(ctx, repository, goEnviron(""), "go", "env", "-json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &t)
	}
	if err != nil {
		return t, fmt.Errorf("%w: %w: %s", ErrNoGo, err, remedy)
	}
	return t, nil
}

// goEnviron is the environment for a go command in the repository: without settings of the user's that would change
// which modules it builds with, or what for.
func goEnviron(flags string, more ...string) []string {
	env := without(os.Environ(), "GOWORK", "GOBIN", "GOOS", "GOARCH")
	env = append(env, "GOWORK=off")
	if flags != "" {
		env = append(env, "GOFLAGS="+flags)
	}
	return append(env, more...)
}

// kernelFlags is the user's GOFLAGS without -mod and -modfile, which break a workspace, and with two that make cells start
// sooner. Linking is most of what Run takes, and a third of that is debugging information, which nothing reads: stack traces
// do not need it. And a cell's program has no version control to ask.
func kernelFlags(flags string) string {
	fields := slices.DeleteFunc(strings.Fields(flags), func(f string) bool {
		f = strings.TrimLeft(f, "-")
		return strings.HasPrefix(f, "mod=") || strings.HasPrefix(f, "modfile=") || strings.HasPrefix(f, "buildvcs")
	})
	// In front, so that a -ldflags of the user's replaces ours.
	return strings.Join(append([]string{"-buildvcs=false", "-ldflags=-s"}, fields...), " ")
}

// tools builds the kernel and goimports at the versions in go.mod, which together with Go determines them.
func (s *setup) tools() error {
	mod, err := os.ReadFile(filepath.Join(s.env.Repository, "go.mod"))
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	dir := s.dir("tools", mod, []byte(s.golang.GOVERSION+runtime.GOOS+runtime.GOARCH+goplsVersion))
	s.env.Bin = filepath.Join(dir, "bin")
	if stamped(dir) {
		return nil
	}
	return s.step("Building the GoNB kernel and goimports", func() error {
		_, err := run(s.ctx, s.env.Repository, goEnviron(kernelFlags(s.golang.GOFLAGS), "GOBIN="+s.env.Bin), "go", "install",
			"github.com/janpfeifer/gonb", "golang.org/x/tools/cmd/goimports")
		if err != nil {
			return installError("the kernel could not be built", err)
		}
		return stamp(dir)
	})
}

// gopls adds completion and contextual help, and so may be missing. One that could not be built, or that the user has
// deleted, is built again only by a set-up that was asked for: later starts neither try nor complain.
func (s *setup) gopls(again bool) error {
	// Not in Bin, where the kernel looks for it: there is what starts it.
	dir, wrapper := filepath.Join(filepath.Dir(s.env.Bin), "gopls"), filepath.Join(s.env.Bin, "gopls")
	program := filepath.Join(dir, "gopls")
	_, missing := os.Stat(program)
	if missing != nil && (again || !stamped(dir)) {
		err := s.step("Building gopls, for completion", func() error {
			// From its own module, not from the repository's, so that its requirements stay its own.
			_, err := run(s.ctx, s.env.Bin, goEnviron(kernelFlags(s.golang.GOFLAGS), "GOBIN="+dir), "go", "install",
				"golang.org/x/tools/gopls@"+goplsVersion)
			return err
		})
		if s.ctx.Err() != nil {
			return err
		}
		if err != nil {
			fmt.Fprintf(s.out, "Completion will be missing, all else works: gopls could not be built: %v\n"+
				"A start does not try this again. To do so: udpkit lab --setup\n", err)
		}
		if err := errors.Join(os.MkdirAll(dir, 0o700), stamp(dir)); err != nil {
			return err
		}
		missing = err
	}
	if missing != nil {
		os.Remove(wrapper) // if there is one, it would start nothing
		return nil
	}
	return s.wrapGopls(dir, program, wrapper)
}

// wrapGopls puts into Bin what starts gopls. The kernel starts one for each notebook, and keeps it. Left to itself each
// takes 200 MB and more, and has a second process beside it for Go's telemetry. So it gets settings of its own in which
// telemetry is off, and a limit to its memory, which costs no time that one would notice. Neither reaches a cell.
//
// A part of that limit are the 95 MB that gopls allocates when it starts, never uses, and so does not cost anybody, unless
// what they are cut from was in use before: GOGC is that high so that nothing has been collected by then.
func (s *setup) wrapGopls(dir, program, wrapper string) error {
	home := filepath.Join(dir, "home")
	settings := "XDG_CONFIG_HOME=" + home
	if runtime.GOOS == "darwin" {
		settings = "HOME=" + home
	}
	// Replaced by gopls, so that the kernel, which kills at its end what it has started, kills gopls.
	script := "#!/bin/sh\nexec env GOMEMLIMIT=240MiB GOGC=400"
	for _, word := range []string{settings, program} {
		script += " '" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	script += " \"$@\"\n"
	if there, err := os.ReadFile(wrapper); err == nil && string(there) == script {
		return nil
	}
	err := os.MkdirAll(home, 0o700)
	if err == nil {
		_, err = run(s.ctx, dir, goEnviron("", "GOTOOLCHAIN=local", settings), filepath.Join(s.golang.GOROOT, "bin", "go"), "telemetry", "off")
	}
	if err == nil {
		err = writeFile(wrapper, []byte(script), 0o700)
	}
	if err != nil {
		return fmt.Errorf("lab: limit the memory of gopls: %w", err)
	}
	return nil
}

// python makes the virtual environment with JupyterLab and nbclient.
func (s *setup) python(python interpreter) error {
	dir := s.dir("python", requirements, []byte(python.Executable+python.version()))
	s.env.Python = filepath.Join(dir, "bin", "python")
	if stamped(dir) {
		// The interpreter behind it may have been upgraded away.
		if _, err := run(s.ctx, dir, pythonEnviron(), s.env.Python, "-c", "import nbformat._version"); err == nil || s.ctx.Err() != nil {
			return s.ctx.Err()
		}
	}
	return s.step("Installing JupyterLab into its own Python environment", func() error {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("lab: remove an unfinished Python environment: %w", err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("lab: make the Python environment's directory: %w", err)
		}
		if _, err := run(s.ctx, s.cache, pythonEnviron(), python.Executable, "-m", "venv", dir); err != nil {
			return fmt.Errorf("%w: %w: %s", ErrNoVenv, err, venvRemedy)
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, requirements, 0o600); err != nil {
			return fmt.Errorf("lab: write the requirements: %w", err)
		}
		_, err := run(s.ctx, dir, pythonEnviron(), s.env.Python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check",
			"--prefer-binary", "--require-hashes", "--requirement", list)
		if err != nil {
			return installError("JupyterLab could not be installed", err)
		}
		return stamp(dir)
	})
}

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
	spec := map[string]any{
		"argv":           []string{filepath.Join(s.env.Bin, "gonb"), "--kernel", "{connection_file}", "-go_work=" + s.env.Repository},
		"display_name":   "Go (gonb)",
		"language":       "go",
		"interrupt_mode": "message",
		"env":            jupyterEscaped(s.kernelVars),
	}
	server := map[string]any{
		"ServerApp": map[string]any{
			// The whole repository, so that a notebook's links to the package's source work; notebooks/ shows first.
			"root_dir":            s.env.Repository,
			"open_browser":        false,
			"port_retries":        0,
			"allow_remote_access": false, // a name that some web page made point here is refused
			"jpserver_extensions": map[string]bool{"jupyterlab": true, "jupyter_lsp": false},
		},
		"FileContentsManager": map[string]any{"preferred_dir": s.env.Notebooks},
		"LabApp":              map[string]any{"news_url": nil, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate", "extension_manager": "readonly", "custom_css": true},
		"KernelSpecManager":   map[string]any{"ensure_native_kernel": false, "allowed_kernelspecs": []string{Kernel}},
		"MultiKernelManager":  map[string]any{"default_kernel_name": Kernel},
	}
	page := map[string]any{"disabledExtensions": map[string]bool{
		"@jupyterlab/apputils-extension:announcements": true,
		"@jupyterlab/lsp-extension":                    true,
	}}
	settings := map[string]any{"@jupyterlab/apputils-extension:notification": map[string]any{"checkForUpdates": false, "fetchNews": "false"}}
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

// warm compiles, the way the kernel does, a program that imports the package, so that modules are downloaded and the
// first Run in a notebook is quick. A package that does not compile is its author's to mend, with the lab running.
func (s *setup) warm() error {
	err := s.step("Compiling a cell", func() error {
		list, err := run(s.ctx, s.env.Repository, goEnviron(kernelFlags(s.golang.GOFLAGS)), "go", "list", "-find",
			"-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "./udpkit/...")
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "udpkit-warm-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		program := "package main\n\nimport (\n"
		for pkg := range strings.FieldsSeq(list) {
			// A cell has no use for the lab itself, and may not import what is internal.
			if !strings.Contains(pkg, "/internal/") && pkg != modulePath+"/udpkit/lab" {
				program += "\t_ \"" + pkg + "\"\n"
			}
		}
		program += "\t_ \"github.com/janpfeifer/gonb/gonbui\"\n)\n\nfunc main() {}\n"
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
			return err
		}
		vars := maps.Clone(s.kernelVars)
		delete(vars, "GOPROXY") // this is when modules are downloaded
		env := without(os.Environ(), slices.Collect(maps.Keys(vars))...)
		for name, value := range vars {
			env = append(env, name+"="+value)
		}
		for _, args := range [][]string{
			{"mod", "init", "gonb_warm"}, {"work", "init"}, {"work", "use", s.env.Repository, "."}, {"build", "-o", filepath.Join(dir, "cell")},
		} {
			if _, err := run(s.ctx, dir, env, "go", args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && s.ctx.Err() == nil {
		fmt.Fprintf(s.out, "The first Run of a notebook will be slow or fail: %v\n", err)
		return nil
	}
	return err
}

// dir is the cache directory for something that is determined by the parts.
func (s *setup) dir(kind string, parts ...[]byte) string {
	sum := sha256.Sum256(bytes.Join(parts, []byte{0}))
	return filepath.Join(s.cache, kind+"-"+hex.EncodeToString(sum[:6]))
}

// step runs a step of the set-up with its progress shown.
func (s *setup) step(name string, do func() error) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	end := step(s.out, name)
	err := do()
	end(err)
	return err
}

// A directory is complete once it has its stamp, which is written last.
func stamped(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "complete"))
	return err == nil
}

func stamp(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "complete"), nil, 0o600); err != nil {
		return fmt.Errorf("lab: mark %s as complete: %w", dir, err)
	}
	return nil
}

// lock waits until nobody else has the lock file.
func lock(ctx context.Context, path string, out io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: lock the cache directory: %w", err)
	}
	for said := false; ; {
		ok, err := tryLock(f)
		if ok {
			return func() { f.Close() }, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lab: lock %s: %w", path, err)
		}
		if !said {
			fmt.Fprintln(out, "Waiting for another set-up of the lab to end ...")
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lab: wait for another set-up to end: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// installError says what to do about a download or build that failed.
func installError(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s: check the network connection and start again (what is finished is kept); the end of what it said:\n%w", ErrInstall, what, err)
}

// run runs a program to its end and returns what it printed; if it fails, the end of that is in the error.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = time.Second
	over, err := lastly.Start(cmd.Start, func() { _ = killGroup(cmd) })
	if err == nil {
		err = cmd.Wait()
		over()
	}
	what := strings.Join(append([]string{filepath.Base(name)}, args[:min(2, len(args))]...), " ")
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", what, err, lastLines(stdout.String()+stderr.String(), 5))
	}
	return stdout.String(), nil
}

// lastLines returns the last n lines that are not blank.
func lastLines(text string, n int) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// without returns the environment without the named variables. A name that ends with * stands for all that begin so.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(names, func(n string) bool {
			prefix, all := strings.CutSuffix(n, "*")
			return name == n || all && strings.HasPrefix(name, prefix)
		})
	})
}
