// Package doctor says what is wrong with the UDP of a network, and what to do next.
//
// [Examine] looks at this machine: its interfaces, who has the port, what the firewall does with
// it, and whether a datagram of its own comes back by each way. With a host, on which an [Answerer]
// runs, it also tries what goes between the two, in both directions. Each thing that is wrong is a
// [Finding]. A network without findings is healthy, as far as can be seen without being root.
//
// [Silence] says in one sentence why nothing comes to a program that runs, and sends nothing.
//
// # What it sends
//
// Examine sends, alone, up to 4 times a datagram of 92 bytes by each way of each interface, and
// with a host up to 400 datagrams of 92 to 1472 bytes in 4 s. All of them go to the local networks:
// to this machine, to the subnets that it is in, by multicast that no router forwards (TTL 1), and
// to the host, whose address must be a private one or in one of these subnets.
//
// An Answerer never sends more than it is sent. It answers a question with one datagram of the same
// length, at most 1,000 a second, and only to sources in local networks; by broadcast, by multicast
// and to another port than the source's only who has shown a token, which only the source's address
// is sent; and never an answer, so that two of them do not answer one another for ever.
//
// Nothing is signed: who can send to the port can also lie to a doctor.
package doctor
