package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/gonb"
)

const kernelModule = "github.com/janpfeifer/gonb"

// tools builds the kernel and goimports at the versions in go.mod, which together with Go and
// our edits determine them.
func (s *setup) tools() error {
	if stamped(s.toolsDir) {
		return nil
	}
	return s.step("Building the GoNB kernel and goimports", toolsTake, func() error {
		temp, err := os.MkdirTemp("", "udpkit-kernel-")
		if err != nil {
			return fmt.Errorf("lab: build the kernel: %w", err)
		}
		defer os.RemoveAll(temp)
		mod, err := s.editedKernel(temp)
		if err == nil {
			_, err = run(s.ctx, s.env.Repository, goEnviron(kernelFlags(s.golang.GOFLAGS), "GOBIN="+s.env.Bin), "go", "install", "-modfile="+mod,
				kernelModule, "golang.org/x/tools/cmd/goimports")
		}
		if err != nil {
			return installError("the kernel could not be built", err)
		}
		return stamp(s.toolsDir)
	})
}

// editedKernel copies the kernel's source to temp, where it is edited, and returns a go.mod that is
// the repository's but for that.
func (s *setup) editedKernel(temp string) (mod string, err error) {
	out, err := run(s.ctx, s.env.Repository, goEnviron(""), "go", "mod", "download", "-json", kernelModule)
	var published struct{ Dir string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &published)
	}
	source := filepath.Join(temp, "gonb")
	if err == nil {
		err = os.CopyFS(source, os.DirFS(published.Dir))
	}
	if err != nil {
		return "", err
	}
	err = gonb.Edit(source)
	mod = filepath.Join(temp, "go.mod")
	for name, more := range map[string]string{"go.mod": "\nreplace " + kernelModule + " => " + strconv.Quote(source) + "\n", "go.sum": ""} {
		text, readErr := os.ReadFile(filepath.Join(s.env.Repository, name))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(temp, name), append(text, more...), 0o600))
	}
	return mod, err
}
