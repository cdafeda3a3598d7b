package experiment_test

import (
	"testing"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/experiment"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	experiment.Wire()
	goleak.VerifyTestMain(m)
}
