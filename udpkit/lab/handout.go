package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotEmpty is what Handout's error wraps if there is something in the directory already.
var ErrNotEmpty = errors.New("lab: the directory is not empty")

// Handout writes copies of the notebooks for students to a directory, which is made if need be:
// without solutions and outputs, and with the metadata by which nbgrader knows the exercises. The
// directory may be neither inside the repository nor hold anything. It returns how many notebooks
// there are.
func Handout(ctx context.Context, cfg Config, dir string) (notebooks int, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return 0, err
	}
	repository, err := repositoryOrCopy(ctx, cfg)
	if err != nil {
		return 0, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, fmt.Errorf("lab: find %s: %w", dir, err)
	}
	if inside, err := filepath.Rel(repository, dir); err == nil && filepath.IsLocal(inside) {
		return 0, fmt.Errorf("%w: %s is inside the repository, whose changes git would see: choose a directory outside of %s", ErrConfig, dir, repository)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return 0, fmt.Errorf("%w: %s: choose another one, so that nobody's answers are overwritten", ErrNotEmpty, dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("lab: look into the directory: %w", err)
	}
	source := filepath.Join(repository, notebooksDir)
	all, err := ours(source)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("lab: make the directory: %w", err)
	}
	for name, n := range all {
		n.forStudents(strings.ReplaceAll(name, "_", "-"))
		if err := n.write(filepath.Join(dir, name+".ipynb")); err != nil {
			return 0, fmt.Errorf("lab: write the copy of %s: %w", name, err)
		}
	}
	const images = "images"
	if err := os.CopyFS(filepath.Join(dir, images), os.DirFS(filepath.Join(source, images))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("lab: copy the pictures: %w", err)
	}
	return len(all), nil
}
