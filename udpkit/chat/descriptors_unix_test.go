//go:build unix

package chat_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
)

// TestNoMoreDescriptors: who is in is served, who comes waits, and gets in when there are
// descriptors again.
func TestNoMoreDescriptors(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Rate: 1000})
	ann, bob := connect(t, s), connect(t, s)
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	t.Cleanup(func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)) })
	low := was
	low.Cur = 128
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	var taken []*os.File
	give := func(n int) {
		for _, f := range taken[len(taken)-n:] {
			require.NoError(t, f.Close())
		}
		taken = taken[:len(taken)-n]
	}
	t.Cleanup(func() { give(len(taken)) })
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			require.ErrorIs(t, err, syscall.EMFILE)
			break
		}
		taken = append(taken, f)
	}
	give(1) // for the newcomer's own side
	newcomer := connectFrom(t, s, "127.0.0.1")
	failed := wait(t, s.log, anyOf[chat.ErrorEvent])
	assert.ErrorIs(t, failed.Err, syscall.EMFILE)
	begun := time.Now()
	talk(t, ann, bob, 20)
	require.Eventually(t, func() bool { return s.Stats().AcceptErrors >= 6 }, patience, time.Millisecond, "it goes on trying")
	assert.Greater(t, time.Since(begun), 100*time.Millisecond, "it does not spin: 5, 10, 20, 40 and 80 ms")
	give(2)
	newcomer.expect("* you are")
	newcomer.send("at last\n")
	ann.expect("at last")
	assert.ErrorIs(t, wait(t, s.log, func(e chat.ErrorEvent) bool { return e.Ended }).Err, syscall.EMFILE, "which is over")
	assert.Positive(t, s.Stats().AcceptErrors)
}
