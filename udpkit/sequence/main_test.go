package sequence_test

import (
	"testing"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// cell is what this program does as a notebook's cell; see follow_unix_test.go.
var cell func() error

func TestMain(m *testing.M) { paneltest.Main(m, cell) }
