package beacon_test

import (
	"testing"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// alone is testenv.Alone, with a card named "spare", which is down.
func alone(t *testing.T) bool {
	t.Helper()
	if !testenv.Alone(t) {
		return false
	}
	testenv.IP(t, "link add spare type veth peer name other")
	return true
}
