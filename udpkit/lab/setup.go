package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/gonb"
)

//go:embed requirements.txt
var requirements []byte

// Env is a lab that is set up.
type Env struct {
	// Repository is the absolute path of the checkout, or copy, that notebooks import udpkit from.
	Repository string
	// Notebooks is the directory of its notebooks. Run works on copies of them.
	Notebooks string
	// Bin is the directory of gonb, goimports and gopls.
	Bin string
	// Python is the interpreter of the environment that has JupyterLab and nbclient.
	Python string
	// Jupyter is a directory that this checkout's Jupyter configuration, data and logs are in.
	Jupyter string
	// Environ is the environment for every Jupyter process: with it, and only with it, Jupyter
	// finds the kernel named by the constant Kernel, and leaves the user's own Jupyter settings
	// alone.
	Environ []string

	work    string       // the directory of the copies that the lab works on
	gopls   goplsProgram // for the kernels to share; zero if there is none
	offline bool         // Execute runs notebooks in a network of their own
}

// Setup builds and downloads what is missing, and returns quickly when nothing is. What was
// finished before an interruption is kept. Several may set up at the same time: they wait for each
// other. Setup, but neither Run nor Check, also builds a gopls that could not be built before, or
// that was deleted. And it writes beside the notebooks what Run writes there, for a Jupyter that
// something else starts, as JupyterHub does.
func Setup(ctx context.Context, cfg Config) (*Env, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	env, err := setUp(ctx, cfg, true)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(env.Notebooks); errors.Is(err, fs.ErrNotExist) {
		return env, nil // an image's layer that is built before they come
	}
	if _, err := env.prepare(cfg); err != nil {
		return nil, err
	}
	return env, nil
}

func setUp(ctx context.Context, cfg Config, again bool) (*Env, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" || runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		return nil, fmt.Errorf("%w: the GoNB kernel does not run on %s: use WSL, or Docker with: docker compose up", ErrUnsupported, runtime.GOOS)
	}
	repository, err := repositoryOrCopy(ctx, cfg)
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

	s := &setup{ctx: ctx, out: console.NewProgress(cfg.Stdout), cache: cache, golang: golang, env: &Env{
		Repository: repository,
		Notebooks:  filepath.Join(repository, notebooksDir),
		work:       filepath.Join(repository, workDir),
	}}
	defer s.out.End()
	if err := s.plan(python, again); err != nil {
		return nil, err
	}
	for _, part := range []func() error{s.tools, func() error { return s.python(python) }, s.jupyter, func() error { return s.gopls(again) }, s.warm} {
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
	out        *console.Progress
	cache      string
	golang     toolchain
	env        *Env
	toolsDir   string
	pythonDir  string
	path       string            // PATH of the kernel
	kernelVars map[string]string // what the kernel's environment has on top of Jupyter's

	done, all time.Duration // that the steps are expected to take
}

// How long the steps take, about, on a laptop with a fast connection.
const (
	toolsTake  = 40 * time.Second
	goplsTakes = 60 * time.Second
	pythonTake = 50 * time.Second
	warmTakes  = 20 * time.Second
)

// plan decides where everything is, and how long it takes to make what is missing.
func (s *setup) plan(python interpreter, again bool) error {
	mod, err := os.ReadFile(filepath.Join(s.env.Repository, "go.mod"))
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	s.toolsDir = s.dir("tools", mod, []byte(s.golang.GOVERSION+runtime.GOOS+runtime.GOARCH+goplsVersion+gonb.Sum()))
	s.env.Bin = filepath.Join(s.toolsDir, "bin")
	s.pythonDir = s.dir("python", requirements, []byte(python.Executable+python.version()))
	s.env.Python = filepath.Join(s.pythonDir, "bin", "python")
	s.all = warmTakes
	if !stamped(s.toolsDir) {
		s.all += toolsTake
	}
	if s.goplsMissing(again) {
		s.all += goplsTakes
	}
	if !stamped(s.pythonDir) {
		s.all += pythonTake
	}
	return nil
}

// python makes the virtual environment with JupyterLab and nbclient.
func (s *setup) python(python interpreter) error {
	dir := s.pythonDir
	if stamped(dir) {
		// The interpreter behind it may have been upgraded away.
		if _, err := run(s.ctx, dir, pythonEnviron(), s.env.Python, "-c", "import nbformat._version"); err == nil || s.ctx.Err() != nil {
			return s.ctx.Err()
		}
	}
	return s.step("Installing JupyterLab into its own Python environment", pythonTake, func() error {
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

// warm compiles, the way the kernel does, a program that imports the package, so that modules are
// downloaded and the first Run in a notebook is quick. A package that does not compile is its
// author's to mend, with the lab running.
func (s *setup) warm() error {
	err := s.step("Compiling a cell", warmTakes, func() error {
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
func (s *setup) step(name string, takes time.Duration, do func() error) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.out.Step(name, s.done, max(s.all, s.done+takes))
	err := do()
	s.out.Done(err)
	s.done += takes
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
