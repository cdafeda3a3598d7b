// Package paneltest has what the tests of panels share: a terminal with its screen, and a stand-in
// for GoNB that runs the test's program as a notebook's cell.
package paneltest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// Patience is how long a test waits for something that must come.
const Patience = 20 * time.Second

// Main is what TestMain does: as a cell, see StartCell, the program runs cell and nothing else. It
// returns only in a cell that has ended well.
func Main(m *testing.M, cell func() error) {
	if !gonbui.IsNotebook || cell == nil {
		goleak.VerifyTestMain(m)
		return
	}
	if err := cell(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Buffer is an io.Writer that can be read while others write.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns everything.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Shows waits for a text.
func (b *Buffer) Shows(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(b.String(), text) }, Patience, 5*time.Millisecond, "never shown: %q", text)
}
