// Package record keeps what a role has sent and received in a file that Wireshark opens, and reads
// such files back, also those of other programs. It needs no privilege: it does not capture, the
// role tells it each datagram, with what it made of it.
//
// A role knows payloads, addresses and times. The headers of IP and UDP are rebuilt from these,
// with valid checksums; what only a capture would show, such as the time to live, fragments and
// VLANs, is not in them. Where a role receives on all addresses, the one that a datagram was sent
// to is taken to be this host's in the sender's network. What the kernel dropped was never seen.
//
// The file is pcapng (LINKTYPE_RAW) with times in nanoseconds and two interfaces, "received" and
// "sent". The role's verdict is the packet's comment. What was sealed with a key is recorded
// sealed, and keys are not recorded.
package record
