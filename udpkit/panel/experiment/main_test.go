package experiment_test

import (
	"os"
	"testing"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/experiment"
	"go.uber.org/goleak"
)

// withoutWire makes this program one that does not call Wire.
const withoutWire = "UDPKIT_TEST_WITHOUT_WIRE"

func TestMain(m *testing.M) {
	if os.Getenv(withoutWire) == "" {
		experiment.Wire()
	}
	goleak.VerifyTestMain(m)
}
