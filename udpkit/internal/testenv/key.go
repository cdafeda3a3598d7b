package testenv

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// Ring returns a ring with a key for each seed: of the same seed it is the same. Without a seed it
// has one key, which nobody else has.
func Ring(t testing.TB, seeds ...byte) *key.Ring {
	t.Helper()
	var secrets [][]byte
	for _, seed := range seeds {
		secret := make([]byte, key.Size)
		for i := range secret {
			secret[i] = seed + byte(i)
		}
		secrets = append(secrets, secret)
	}
	if secrets == nil {
		secrets = [][]byte{make([]byte, key.Size)}
		rand.Read(secrets[0]) // never fails
	}
	ring, err := key.New(secrets...)
	require.NoError(t, err)
	return ring
}
