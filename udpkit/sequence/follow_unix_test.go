//go:build unix

package sequence_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
)

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	ctx, stop := panel.Interrupt()
	defer stop()
	if files := os.Getenv("UDPKIT_TEST_FILES"); files != "" {
		return sequence.Follow(ctx, filepath.SplitList(files)...)
	}
	return followTape(ctx)
}

// followTape records and draws until it is interrupted, and then draws the end again.
func followTape(ctx context.Context) error {
	var tape sequence.Tape
	tape.Call(second, "the other one")
	role := tape.Role("ann")
	go func() {
		for i := range 600 {
			role.Record(sent(i, client, second, fmt.Append(nil, i), ""))
		}
	}()
	if err := tape.Follow(ctx); err != nil {
		return err
	}
	return tape.ShowEnd(3)
}

// TestFollow: a picture grows with files that are not there at first. What was just sent is not
// lost yet.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	atServer, atClient := filepath.Join(dir, "server.pcapng"), filepath.Join(dir, "client.pcapng")
	k := paneltest.StartCell(t, "UDPKIT_TEST_FILES="+atServer+string(filepath.ListSeparator)+atClient)
	k.Until(t, "Nothing is sent yet.")
	files := make(map[string]*record.File)
	for _, name := range []string{atServer, atClient} {
		f, err := record.Create(name)
		require.NoError(t, err)
		defer f.Close()
		files[name] = f
	}
	put := func(name string, id uint64, is bool) {
		files[name].Record(service.Recorded{At: time.Now(), From: server, To: client, Sent: is, Payload: status(t, id, "UP")})
	}
	put(atServer, 1, true)
	put(atClient, 1, false)
	k.Until(t, "1 datagram so far", "server to 192.0.2.2:37020: status 1 UP<")
	put(atServer, 2, true)
	page := k.Until(t, "2 datagrams so far", "status 2 UP<")
	assert.Empty(t, broken(page), "it may still come")
	require.NoError(t, k.End(t), k.Errors.String())
	page = k.Until(t, "status 2 UP · lost<", "Click on an arrow")
	assert.Equal(t, []string{"2"}, broken(page))
}

// TestTape: of a recording in memory the last steps are drawn, and the newest of them is open.
func TestTape(t *testing.T) {
	k := paneltest.StartCell(t)
	page := k.Until(t, "60 datagrams so far", "540 datagrams before these are left out")
	assert.Contains(t, page, "60. After 59.0 ms, ann to the other one: text 599<")
	assert.Regexp(t, `-60" checked `, page)
	require.NoError(t, k.End(t), k.Errors.String())
	page = k.Until(t, "3 datagrams;", "597 datagrams before these are left out")
	assert.Len(t, steps(page), 3)
	assert.Regexp(t, `-3" checked `, page)
	assert.Equal(t, 1, strings.Count(page, " checked "))
}

// TestNotFollowed: what cannot be read ends it.
func TestNotFollowed(t *testing.T) {
	require.ErrorContains(t, sequence.Follow(t.Context()), "no recording")
	none := filepath.Join(t.TempDir(), "none")
	require.NoError(t, os.WriteFile(none, []byte(strings.Repeat("none of ours ", 10)), 0o600))
	require.ErrorContains(t, sequence.Follow(t.Context(), none), "no pcap or pcapng file")
}
