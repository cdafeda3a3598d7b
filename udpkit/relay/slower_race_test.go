//go:build race

package relay

const Slower = 10
