package concurrency_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/concurrency"
)

// withoutWire makes this program one that does not call Wire.
const withoutWire = "UDPKIT_TEST_WITHOUT_WIRE"

func TestMain(m *testing.M) {
	if os.Getenv(withoutWire) == "" {
		concurrency.Wire()
	}
	goleak.VerifyTestMain(m)
}
