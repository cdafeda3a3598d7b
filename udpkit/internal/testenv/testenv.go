// Package testenv is what the tests of several packages share.
package testenv

import (
	"os"
	"testing"
)

// Skip skips a test that needs what this machine lacks. Where UDPKIT_REQUIRE is set, as it is in
// continuous integration, the test fails instead: nothing may be left out there.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("UDPKIT_REQUIRE") != "" {
		t.Fatalf("UDPKIT_REQUIRE forbids to skip: "+format, args...)
	}
	t.Skipf(format, args...)
}
