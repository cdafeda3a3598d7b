package relaypanel

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// TestPageFailures: a failure is shown with its last cause, until it is over, whatever else fails.
func TestPageFailures(t *testing.T) {
	p := &page{view: &view{}}
	for _, step := range []struct {
		what, text string
		ended      bool
		shown      []string
	}{
		{"storing", "the disk is full", false, []string{"the disk is full"}},
		{"reading", "no answer", false, []string{"the disk is full", "no answer"}},
		{"storing", "permission denied\x1b[2J", false, []string{"no answer", "permission denied\\x1b[2J"}},
		{"storing", "stored again", true, []string{"no answer"}},
		{"reading", "read again", true, nil},
	} {
		p.fail(relay.ErrorEvent{What: step.what, Text: step.text, Ended: step.ended})
		var shown []string
		for _, e := range p.Failures {
			shown = append(shown, e.Text)
		}
		assert.Equal(t, step.shown, shown)
	}
	require.Len(t, p.Lines, 2)
	assert.Equal(t, "stored again", p.Lines[0].Notice)
}
