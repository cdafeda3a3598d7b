package jetstream_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable has this test binary be a relay's server in place of the tests.
const childVariable = "UDPKIT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "serve" {
		serveUntilKilled()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
