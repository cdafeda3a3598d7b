package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

const (
	// copyDir is where the notebooks and the package of an installed udpkit are copied to.
	copyDir = "udp-notebooks"
	// versionFile is in a copy and has its version.
	versionFile = ".udpkit-version"
)

// moduleVersion returns the version of the module that this program was installed from, or "" and
// what it was built from instead.
func moduleVersion() (version, instead string) {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath {
		return "", "an unknown version"
	}
	if v := info.Main.Version; strings.HasPrefix(v, "v") && !strings.HasSuffix(v, "+dirty") {
		return v, ""
	}
	return "", cmp.Or(info.Main.Version, "(devel)")
}

// copyOfModule returns the copy of the module, in cfg.Dir, that belongs to this program. One that
// is missing is made: by the Go command, which downloads the module unless it already has it. It
// is complete or not there.
func copyOfModule(ctx context.Context, cfg Config) (string, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return "", fmt.Errorf("lab: find %s: %w", cfg.Dir, err)
	}
	version, instead := moduleVersion()
	if version == "" {
		return "", fmt.Errorf("%w: neither %s nor a directory above it has the go.mod of %s, and this udpkit is %s, which no notebooks can be "+
			"downloaded for: change to a checkout, or install a version that brings them: go install %[3]s/udpkit/cmd/udpkit@latest",
			ErrNoRepository, dir, modulePath, instead)
	}
	target := filepath.Join(dir, copyDir)
	if _, err := os.Lstat(target); err == nil {
		return target, checkCopy(target, version)
	}
	end := step(cfg.Stdout, fmt.Sprintf("Copying the notebooks and the package of %s to %s", version, target))
	err = makeCopy(ctx, dir, version)
	end(err)
	if err != nil {
		return "", err
	}
	return target, nil
}

// checkCopy returns an error that says what to do if what is there is not of this version.
func checkCopy(target, version string) error {
	have, err := os.ReadFile(filepath.Join(target, versionFile))
	there := strings.TrimSpace(string(have))
	switch {
	case err == nil && there == version:
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s is of version %s, and this udpkit is %s: rename it, and the next start makes a new one; or go on with it as it is: "+
			"cd %[2]s && udpkit lab", ErrNoRepository, target, there, version)
	case moduleOf(filepath.Join(target, "go.mod")) == modulePath:
		return fmt.Errorf("%w, but above a checkout: cd %s && udpkit lab", ErrNoRepository, target)
	}
	return fmt.Errorf("%w, and the copy of it that belongs to this udpkit, %s, cannot be made: %s is something else: rename it, or start in another directory",
		ErrNoRepository, version, target)
}

// makeCopy makes the copy in dir.
func makeCopy(ctx context.Context, dir, version string) error {
	if err := lookForGo(); err != nil {
		return err
	}
	// First for its messages, in which it would write JSON otherwise. Go ignores a go.mod in the
	// temporary directory, so no module of the user's has a say.
	module, out := modulePath+"@"+version, ""
	_, err := run(ctx, os.TempDir(), goEnviron(""), "go", "mod", "download", module)
	if err == nil {
		out, err = run(ctx, os.TempDir(), goEnviron(""), "go", "mod", "download", "-json", module)
	}
	var downloaded struct{ Dir string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &downloaded)
	}
	if err != nil {
		return installError("the notebooks could not be downloaded", err)
	}
	temp, err := os.MkdirTemp(dir, ".udp-notebooks-")
	if err != nil {
		return fmt.Errorf("lab: copy the notebooks: %w: start in a directory that you may write", err)
	}
	whole := filepath.Join(temp, copyDir)
	err = os.CopyFS(whole, os.DirFS(downloaded.Dir)) // which, unlike Go's own, may be written
	if err == nil {
		err = os.WriteFile(filepath.Join(whole, versionFile), []byte(version+"\n"), 0o644)
	}
	if err == nil {
		err = os.Rename(whole, filepath.Join(dir, copyDir))
	}
	if err = errors.Join(err, os.RemoveAll(temp)); err != nil {
		return fmt.Errorf("lab: copy the notebooks: %w", err)
	}
	return nil
}
