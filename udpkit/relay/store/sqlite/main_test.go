package sqlite_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable names what this test binary is to do in place of the tests.
const childVariable = "UDPKIT_TEST_CHILD"

var children = map[string]func(){"append": appendUntilKilled, "serve": serveUntilKilled}

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		child()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
