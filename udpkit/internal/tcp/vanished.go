// Package tcp sets what package net does not know of TCP connections.
package tcp

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// FindVanished breaks a TCP connection whose peer has vanished without a word, as when its cable is
// out or its machine asleep, within about the given time, at least 4 s: reading and writing then
// fail. Probes (RFC 9293, section 3.8.4) find it where nothing is under way. Where something is,
// what the peer has not acknowledged in that time does so on Linux, macOS and Windows; on other
// systems the retransmissions must run out first, which takes minutes.
func FindVanished(conn *net.TCPConn, within time.Duration) error {
	const probes = 3
	interval := within / 6 // in seconds for most systems
	err := conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: within - probes*interval, Interval: interval, Count: probes})
	raw, rawErr := conn.SyscallConn()
	if rawErr != nil {
		return errors.Join(err, rawErr)
	}
	controlErr := raw.Control(func(fd uintptr) { rawErr = setUserTimeout(fd, within) })
	if err = errors.Join(err, controlErr, rawErr); err != nil {
		return fmt.Errorf("the connection may not notice that its peer has vanished: %w", err)
	}
	return nil
}
