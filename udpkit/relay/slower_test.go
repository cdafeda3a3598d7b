//go:build !race

package relay

// Slower divides what takes too long with the race detector.
const Slower = 1
