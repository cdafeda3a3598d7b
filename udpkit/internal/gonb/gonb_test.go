package gonb_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/gonb"
)

// TestEditRefuses: a kernel whose source has changed is not built with half of the edits. That they
// fit the version that is used, the lab's tests see, which build it.
func TestEditRefuses(t *testing.T) {
	assert.Error(t, gonb.Edit(t.TempDir()))
	assert.Len(t, gonb.Sum(), 12)
}
