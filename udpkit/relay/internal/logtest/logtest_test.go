package logtest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	logtest.Run(t, func(_ *testing.T, messages int) relay.Log { return relay.NewMemory(messages) })
}
