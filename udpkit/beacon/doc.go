// Package beacon lets programs on one network find each other: each says HELLO every 0.8 seconds by
// UDP broadcast or multicast, and each keeps a table of those that it hears.
//
//	b, err := beacon.New(beacon.Config{Name: "ann"})
//	if err != nil {
//		return err
//	}
//	defer b.Close()
//	go b.Run(ctx)
//	...
//	for _, p := range b.Peers() {
//		fmt.Println(p.Name, p.Addr, p.LastSeen)
//	}
//
// The sender and the receiver run side by side in [Beacon.Run]. A peer that says goodbye leaves the
// table at once; one that falls silent, after [Config.Expiry].
//
// # Wire format
//
// One datagram of at most [MaxSize] bytes, to port 3400:
//
//	HELLO|               I am here: what the original program sends
//	HELLO|<name>         and this is my name
//	HELLO|<name>|<id>    and this is my run
//	BYE|<name>|<id>      this run has ended
//
// The name has 1 to 64 bytes of printable UTF-8 without "|", the id is 16 lower-case hexadecimal
// digits, drawn at random for each run. By its id a beacon knows its own datagrams, and a peer that
// is heard over several interfaces is one. A sender without an id is known by its IP address and
// name, since the original program sends each HELLO from another port.
//
// # What to rely on
//
// A beacon sends on its timer only. It never answers, so nothing that it receives can make it send:
// no loop, no amplification. What it receives is decoded strictly, the table is bounded, and a peer
// in it is not pushed out by others, however many there are: a full table refuses newcomers until
// somebody leaves or expires. Names are for display; anyone on the network can send any name or id.
//
// A goodbye, and another name, are believed only from the address that the table has for the peer.
// That keeps others from doing it by accident, not a forger: without a key, a datagram proves
// nothing about its sender.
//
// # With a shared key
//
// With [Config.Key] a beacon signs each datagram (package key): it stays readable, and " mac " and
// a token of 48 characters follow the id. With [Config.Seal] it is encrypted. Then only what a
// holder of the key has sent is believed or shown; the rest is told in a [RefusedEvent] and counted
// in Stats.Untrusted. The original program, and beacons without a key, are not heard, and beacons
// without a key do not hear one that signs: they say which key is missing. The original program
// shows what is signed as it stands. The key does not tell its holders apart.
//
// Each target gets a datagram of its own, and each is believed once. So a recording brings nobody
// back to a beacon that has heard it, unless since then it has heard more than 1,024 other runs, or
// twice [Config.MaxPeers] if that is more. To one that has not heard it, as it started later or was
// cut off, each recorded datagram can be played once: the first within [key.MaxAge], a minute, and
// the others within one more, where the clocks agree. So a peer can be in its table for two minutes
// and the expiry after it is gone. A machine with two interfaces in one network may get each
// datagram twice, and counts the second as repeated.
//
// # When not to use it
//
// Broadcasts stay on their subnet, and multicast with a TTL of 2 gets past one router that forwards
// it. Beacons do not say what services there are, and where (that is mDNS, RFC 6762), and are no
// membership protocol: two beacons may disagree on who is there.
package beacon
