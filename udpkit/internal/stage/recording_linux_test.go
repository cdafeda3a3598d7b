package stage_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestFullDisk: a recording that has no room does not end the role. In the end it is said where the
// recording is, beside the one that was there, and how much is missing.
func TestFullDisk(t *testing.T) {
	if !testenv.InMountNamespace(t) {
		return
	}
	disk := testenv.SmallDisk(t, 1)
	name := filepath.Join(disk, "a.pcapng")
	require.NoError(t, os.WriteFile(name, []byte("another"), 0o600))
	s, err := stage.Open(t.Context(), stage.Setup{Record: name})
	require.NoError(t, err)
	defer s.Release()
	require.NoError(t, os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 900<<10), 0o600))
	for range 1000 {
		s.Record.Record(service.Recorded{At: time.Now(), Payload: make([]byte, 1000)})
	}
	require.Eventually(t, func() bool { return s.Ended("x") != "x, recorded in "+filepath.Join(disk, "a-2.pcapng") }, 30*time.Second, 10*time.Millisecond)
	assert.NoError(t, s.Context().Err())
	why := ""
	require.NoError(t, s.Finish(nil, "as planned", func(end string) error { why = end; return nil }))
	assert.Regexp(t, `^as planned, recorded in .*/a-2\.pcapng but for [\d,]+ packets \(no space left on device\)$`, why)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "another", string(content))
}
