package lab

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestInstalled: who has installed a version, and has no checkout, gets the notebooks and the
// package of that version. What is installed is what this checkout would be as a version.
func TestInstalled(t *testing.T) {
	realSetup(t) // its tools and Python are the installed one's too
	version := publish(t)
	bin := t.TempDir()
	t.Setenv("GOBIN", bin)
	goCommand(t, "install", modulePath+"/udpkit/cmd/udpkit@"+version)
	dir := t.TempDir()
	udpkitLab := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "udpkit"), "lab", "--setup")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	out, err := udpkitLab()
	require.NoError(t, err, out)
	copied := filepath.Join(dir, "udp-notebooks")
	assert.Contains(t, out, version+" to "+copied)
	assert.NotContains(t, out, "The first Run of a notebook", "a cell can import the package")
	index := filepath.Join(copied, workDir, indexNotebook)
	notebook, err := os.ReadFile(filepath.Join("..", "..", notebooksDir, indexNotebook))
	require.NoError(t, err)
	got, err := os.ReadFile(index)
	require.NoError(t, err)
	assert.Equal(t, string(notebook), string(got))
	for _, written := range []string{"client-2.ipynb", "chat" + layoutExtension} {
		assert.FileExists(t, filepath.Join(copied, workDir, written), "for a Jupyter that something else starts")
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing but the copy")

	// Notebooks are saved where they are.
	require.NoError(t, os.WriteFile(index, []byte("mine"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(copied, workDir, "mine.ipynb"), nil, 0o644))
	out, err = udpkitLab()
	require.NoError(t, err, out)
	assert.NotContains(t, out, "Copying")
	got, err = os.ReadFile(index)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(got))

	require.NoError(t, os.WriteFile(filepath.Join(copied, versionFile), []byte("v0.0.9\n"), 0o644))
	out, err = udpkitLab()
	assert.Error(t, err)
	assert.Contains(t, out, copied+" is of version v0.0.9, and this udpkit is "+version+": rename it")
	got, err = os.ReadFile(index)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(got))

	require.NoError(t, os.Remove(filepath.Join(copied, versionFile)))
	out, err = udpkitLab()
	assert.Error(t, err)
	assert.Contains(t, out, "above a checkout: cd "+copied)

	require.NoError(t, os.Rename(copied, filepath.Join(dir, "old")))
	require.NoError(t, os.WriteFile(copied, nil, 0o644))
	out, err = udpkitLab()
	assert.Error(t, err)
	assert.Contains(t, out, copied+" is something else")
}

// TestNoVersion: what was built from a checkout, as these tests are, has no version to copy from.
func TestNoVersion(t *testing.T) {
	dir := t.TempDir()
	_, err := Setup(t.Context(), Config{Dir: dir, Stdout: t.Output()})
	assert.ErrorIs(t, err, ErrNoRepository)
	assert.ErrorContains(t, err, dir)
	assert.ErrorContains(t, err, "change to a checkout, or install a version that brings them: go install "+modulePath+"/udpkit/cmd/udpkit@latest")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// publish makes a version of this checkout, which the Go command finds until the test ends.
func publish(t *testing.T) (version string) {
	t.Helper()
	root := filepath.Join("..", "..")
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		testenv.Skip(t, "not a checkout with git: %v", err)
	}
	contents := map[string][]byte{}
	sum := sha256.New()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		file := filepath.Join(root, filepath.FromSlash(name))
		if is, err := os.Lstat(file); os.IsNotExist(err) || err == nil && !is.Mode().IsRegular() {
			continue // removed, and not yet from the index; or a link, which no module has
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		contents[name] = content
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	// Other contents are another version, as the Go command keeps what it has downloaded.
	version = fmt.Sprintf("v0.1.0-test.h%x", sum.Sum(nil)[:6])
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, content := range contents {
		f, err := w.Create(modulePath + "@" + version + "/" + name)
		require.NoError(t, err)
		_, err = f.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	proxy := t.TempDir()
	at := filepath.Join(proxy, filepath.FromSlash(modulePath), "@v")
	require.NoError(t, os.MkdirAll(at, 0o755))
	for name, content := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(`{"Version":"` + version + `"}`),
		version + ".mod":  contents["go.mod"],
		version + ".zip":  archive.Bytes(),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(at, name), content, 0o644))
	}

	before, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY").Output()
	require.NoError(t, err)
	local := url.URL{Scheme: "file", Path: filepath.ToSlash(proxy)}
	t.Setenv("GOPROXY", local.String()+","+strings.TrimSpace(string(before)))
	t.Setenv("GONOSUMDB", modulePath)
	t.Setenv("GOFLAGS", "-mod=mod")
	cache := goCommand(t, "env", "GOMODCACHE")
	t.Cleanup(func() {
		dir := filepath.Join(cache, filepath.FromSlash(modulePath)+"@"+version)
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
		assert.NoError(t, os.RemoveAll(dir))
		kept, err := filepath.Glob(filepath.Join(cache, "cache", "download", filepath.FromSlash(modulePath), "@v", version+".*"))
		assert.NoError(t, err)
		for _, file := range kept {
			assert.NoError(t, os.Remove(file))
		}
	})
	return version
}

// goCommand runs the Go command outside any module, and returns what it printed.
func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = t.TempDir()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return strings.TrimSpace(string(out))
}
