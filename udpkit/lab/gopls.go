package lab

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// goplsVersion is the newest that builds with Go 1.26. It is not in go.mod, where it would raise
// the requirements of everything else.
const goplsVersion = "v0.23.0"

func (s *setup) goplsDir() string { return filepath.Join(filepath.Dir(s.env.Bin), "gopls") }

// goplsMissing reports whether gopls is to be built: again, or for the first time.
func (s *setup) goplsMissing(again bool) bool {
	_, err := os.Stat(filepath.Join(s.goplsDir(), "gopls"))
	return err != nil && (again || !stamped(s.goplsDir()))
}

// gopls adds completion and contextual help, and so may be missing. One that could not be built, or
// that the user has deleted, is built again only by a set-up that was asked for: later starts
// neither try nor complain.
func (s *setup) gopls(again bool) error {
	// Not in Bin, where the kernel looks for it: there is what starts it.
	dir, wrapper := s.goplsDir(), filepath.Join(s.env.Bin, "gopls")
	program := filepath.Join(dir, "gopls")
	_, missing := os.Stat(program)
	if s.goplsMissing(again) {
		err := s.step("Building gopls, for completion", goplsTakes, func() error {
			// From its own module, not from the repository's, so that its requirements stay its
			// own.
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

// goplsLimits are those of gopls, shared and not. They count the 95 MB that it allocates when it
// starts, never uses, and so do not cost anybody, unless what they are cut from was in use before:
// hence GOGC, with which nothing has been collected by then (with 100 it sometimes has). Each
// kernel that asks adds 30 MB to what is in use. A limit below that does not hold, and costs each
// answer 0.2 s of processor time: this one is for a student's one notebook.
var goplsLimits = []string{"GOMEMLIMIT=240MiB", "GOGC=400"}

// wrapGopls puts into Bin what the kernel starts as gopls: in a lab it leads to the one gopls that
// the lab's kernels share, elsewhere, as under JupyterHub, it becomes a gopls. That has settings of
// its own, in which telemetry is off, and limits. Neither reaches a cell.
func (s *setup) wrapGopls(dir, program, wrapper string) error {
	home := filepath.Join(dir, "home")
	settings := "XDG_CONFIG_HOME=" + home
	if runtime.GOOS == "darwin" {
		settings = "HOME=" + home
	}
	s.env.gopls = goplsProgram{path: program, log: filepath.Join(s.env.Jupyter, "gopls.log"), idle: goplsIdle, linger: goplsLinger}
	s.env.gopls.environ = without(os.Environ(), slices.Collect(maps.Keys(s.kernelVars))...)
	for _, name := range slices.Sorted(maps.Keys(s.kernelVars)) {
		s.env.gopls.environ = append(s.env.gopls.environ, name+"="+s.kernelVars[name])
	}
	s.env.gopls.environ = append(append(s.env.gopls.environ, goplsLimits...), settings)
	// Both are replaced by what they start, so that the kernel, which kills at its end what it has
	// started, kills that. It looks for the socket that it has named for 30 s, and once it is
	// connected needs no gopls to run.
	script := `#!/bin/sh
if [ -n "$` + goplsVariable + `" ] && [ "$1" = -listen ]; then
	ln -s "$` + goplsVariable + `" "${2#unix;}" && exec sleep 60
fi
exec env`
	for _, word := range append(slices.Clone(goplsLimits), settings, program) {
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
