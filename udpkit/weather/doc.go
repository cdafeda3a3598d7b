// Package weather is bad weather between two programs, on purpose: it forwards what one of them
// sends to the other, and loses, delays, doubles and reorders some of it on the way, or all of it
// for a while. What it does can be changed while it runs.
//
// A [Forwarder] listens on one address and forwards to another. To whom it forwards, each source
// seems to be a program of its own: it has a socket, as behind a router's NAT, and what is answered
// to that goes back through the same weather. What happens to the n-th datagram of a source, in one
// direction, depends on the seed, the source's number, n and the settings alone.
//
// # Bounds
//
// At most [MaxSources] sources are known at a time; those of UDP of which nothing was heard, in
// either direction, for [IdleTime] make room. Each costs a socket and up to 128 KiB, or over TCP
// two sockets and up to 512 KiB. On the way are at most [MaxWaiting] datagrams, [MaxWaitingBytes]
// together.
// What there is no room for is dropped and counted. Whoever reaches the address can send to the
// program behind it, and by a forged source have its answers sent to another host, four for one
// datagram if Duplicate is 1 and the program answers each once: listen on more than this machine
// for friends only.
//
// # TCP
//
// Over TCP a connection is forwarded as a stream, in which nothing is lost, doubled or reordered:
// TCP sees to that. What is lost comes [Retransmission] later, twice as much later if it is lost
// again, and what is behind it waits, as it does in reality. Duplicate and Reorder do nothing; a
// partition holds all up.
package weather
