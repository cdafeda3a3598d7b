package record_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// TestFullDisk: while the disk is full the file can be read, and what is left out is counted; when
// there is room again the recording goes on and says what is missing.
func TestFullDisk(t *testing.T) {
	if !testenv.InMountNamespace(t) {
		return
	}
	disk := testenv.SmallDisk(t, 1)
	name := filepath.Join(disk, "recording.pcapng")
	f, err := record.Create(name)
	require.NoError(t, err)
	defer f.Close()
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 700<<10), 0o600))
	told := uint64(0)
	tell := func(n int) {
		for range n {
			f.Record(service.Recorded{At: time.Now(), From: at("192.0.2.1:1"), To: at("192.0.2.2:2"), Payload: make([]byte, 1000)})
			told++
		}
	}
	for begun := time.Now(); f.Err() == nil; time.Sleep(10 * time.Millisecond) {
		require.Less(t, time.Since(begun), 30*time.Second)
		tell(10)
	}
	require.ErrorIs(t, f.Err(), syscall.ENOSPC)
	require.ErrorContains(t, f.Err(), name)
	for range 3 {
		tell(500)
		time.Sleep(100 * time.Millisecond)
		all := read(t, name)
		require.NotEmpty(t, all)
		for _, p := range all {
			require.Len(t, p.Payload, 1000)
		}
	}
	require.NoError(t, os.Remove(ballast))
	tell(1)
	require.Eventually(t, func() bool { return f.Err() == nil }, 30*time.Second, 10*time.Millisecond)
	tell(1)
	require.NoError(t, f.Close())
	all := read(t, name)
	missed, why := f.Missed()
	assert.NotZero(t, missed)
	assert.Equal(t, "no space left on device", why)
	assert.Equal(t, told, uint64(len(all))+missed)
	said := 0
	for _, p := range all {
		if p.Verdict != "" {
			said++
			assert.Regexp(t, `^\d+ before this one are not recorded: no space left on device$`, p.Verdict)
		}
	}
	assert.Positive(t, said)
}
