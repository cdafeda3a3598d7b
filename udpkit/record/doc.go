// Package record keeps what a role has sent and received in a file that Wireshark opens, and reads
// such files back, also those of other programs. It needs no privilege: it does not capture, the
// role tells it each datagram, with what it made of it.
//
// A role knows payloads, addresses and times. The headers of IP and UDP are rebuilt from these,
// with valid checksums; what only a capture would show, such as the time to live, fragments and
// VLANs, is not in them. Where a role receives on all addresses, the one that a datagram was sent
// to is what the system tells: Linux, macOS, FreeBSD and Windows do. On others it is taken to be
// this host's in the sender's network. What the kernel dropped was never seen.
//
// Of TCP, as chats use it, each segment is what the program has written or read at once. The
// handshake, the sequence numbers, which begin at 0, and the end are made up for it, so that
// Wireshark follows the stream; what went over the network may have been cut otherwise, and what
// was sent again was never seen. The file's comment says so.
//
// The file is pcapng (LINKTYPE_RAW) with times in nanoseconds and two interfaces, "received" and
// "sent". The role's verdict is the packet's comment. What was sealed or encrypted with a key is
// recorded so, and keys are not recorded.
package record
