// Package echo is where network programming begins: one program asks, another answers.
//
// A [Server] returns each datagram to where it came from. A [Responder] answers each with the text
// [Acknowledgement], one at a time or concurrently: with work to do for each, the difference is
// what 20 clients wait for the last of 20, or all for one. A [Client] sends lines and reports what
// became of each; [Send] does that once, [Load] from many clients at the same moment.
//
// # Whose answer is it
//
// The wire carries the payload and nothing else, so there is no place for a number that would tell
// the answer to this line from a late answer to the one before. The port is: each exchange has a
// socket, and so a port, of its own, as DNS resolvers have for each query (RFC 5452, section 9.2).
// What comes late, or twice, goes to a port that is closed. The socket is connected, hence the
// system passes on nothing but what the server's own address has sent, and tells when nobody
// listens there.
//
// # What is not answered
//
// Two servers that answer each other would never end, and one datagram with a forged source is
// enough to start them (CVE-2024-2169). Hence no answer goes
//
//   - to the server's own port number, on whatever address: that is a server like
//     this one, or this one itself; a client has a port that its system chose;
//   - to port 0, to an unspecified, multicast or broadcast address;
//   - from a Responder to its own text, [Acknowledgement];
//   - to a source that has had 1,000 answers (see ServerConfig.Limit) without a
//     pause of a second between two of them, until it has paused. People and
//     programs pause; a loop does not: it ends after as many rounds, as long as one
//     takes less than a second.
//
// The last is counted in a table of fixed size, which sources share by a secret hash: a million
// forged ones take no memory and keep nobody out.
//
// # When not to use it
//
// Anybody can send in somebody else's name, who then gets the answer. It is no longer than the
// question (a Responder's fits into the shortest Ethernet frame, as an empty datagram does), but
// there is no reason to offer that on a public address. The default is 127.0.0.1.
//
// A server on 0.0.0.0, which is every IPv4 address of this machine, or on ::, which is every
// address, answers from the one that was asked: a connected socket takes no other answer. Linux,
// macOS, FreeBSD and Windows tell which one that was; on other systems name one in Listen.
package echo
