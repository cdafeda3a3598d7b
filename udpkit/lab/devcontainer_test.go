package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDevcontainer: what devcontainer.json and Binder refer to is there. The images are built by
// TestCompose: the one is a stage of the other.
func TestDevcontainer(t *testing.T) {
	repository, err := findRepository(".")
	require.NoError(t, err)
	dir := filepath.Join(repository, ".devcontainer")
	text, err := os.ReadFile(filepath.Join(dir, "devcontainer.json"))
	require.NoError(t, err)
	var config struct {
		Build        struct{ Context, Dockerfile, Target string }
		RemoteUser   string
		ForwardPorts []int
	}
	comments := regexp.MustCompile(`(?m)^\s*//.*$`)
	require.NoError(t, json.Unmarshal(comments.ReplaceAll(text, nil), &config))
	assert.Equal(t, repository, filepath.Join(dir, config.Build.Context))
	assert.Equal(t, []int{DefaultPort}, config.ForwardPorts)
	dockerfile, err := os.ReadFile(filepath.Join(dir, config.Build.Dockerfile))
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^FROM \S+ AS `+config.Build.Target+`$`, string(dockerfile))
	assert.Contains(t, string(dockerfile), "\nUSER "+config.RemoteUser+"\n")

	binder, err := os.ReadFile(filepath.Join(repository, ".binder", "Dockerfile"))
	require.NoError(t, err)
	assert.Equal(t, string(dockerfile), string(binder))
	stages := regexp.MustCompile(`(?m)^FROM \S+ AS (\S+)$`).FindAllStringSubmatch(string(binder), -1)
	assert.Equal(t, "lab", stages[len(stages)-1][1], "Binder builds the last")
}
