//go:build unix && !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package udpkit

func newPoller() (poller, error) { return newPoll() }
