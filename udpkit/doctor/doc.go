// Package doctor says what is wrong with the UDP of this machine, and what to do next.
//
// [Examine] looks at the interfaces, at who has the port, at what the firewall does with it, and
// whether a datagram of its own comes back by each way. Each thing that is wrong is a [Finding].
// Without findings all is well, as far as can be seen: without being root, no rules of a firewall.
//
// It sends, up to 4 times, a datagram of 92 bytes by each way of each interface: to this machine's
// own address, to the subnet's broadcast address, to 255.255.255.255, and by multicast that no
// router forwards (TTL 1). Nothing goes beyond the local networks.
package doctor
