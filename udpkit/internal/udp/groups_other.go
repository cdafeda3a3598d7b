//go:build !linux

package udp

import "net"

// OwnGroupsOnly has a socket receive multicasts to the groups only that it has joined itself, as
// these systems do by themselves.
func OwnGroupsOnly(*net.UDPConn) error { return nil }
