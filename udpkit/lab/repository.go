package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	modulePath   = "github.com/gonb-labs/udp-notebooks"
	notebooksDir = "notebooks"
)

// findRepository looks from dir upwards for the directory whose go.mod is this module's.
func findRepository(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("lab: find the repository from %s: %w", dir, err)
	}
	for at := start; ; at = filepath.Dir(at) {
		if moduleOf(filepath.Join(at, "go.mod")) == modulePath {
			// GoNB takes a comma-separated list of paths.
			if strings.Contains(at, ",") {
				return "", fmt.Errorf("%w: the kernel cannot use a path with a comma in it (%s): rename the directory", ErrConfig, at)
			}
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%w: %s", ErrNoRepository, start)
		}
	}
}

// repositoryOrCopy returns the repository that cfg.Dir is in, or the copy of it there, which is
// made if there is none.
func repositoryOrCopy(ctx context.Context, cfg Config) (string, error) {
	repository, err := findRepository(cfg.Dir)
	if errors.Is(err, ErrNoRepository) {
		if cfg.Dir, err = copyOfModule(ctx, cfg); err == nil {
			repository, err = findRepository(cfg.Dir)
		}
	}
	return repository, err
}

// moduleOf returns the module path that a go.mod declares, or "".
func moduleOf(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == "module" {
			return strings.Trim(fields[1], `"`)
		}
	}
	return ""
}
