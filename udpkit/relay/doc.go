// Package relay carries messages from writers to readers over UDP, through a server that stores
// them.
//
// A [Writer]'s message counts as sent when the [Server] says that its [Log] has stored it, and not
// before. A [Reader] gets every message of the log, in one order that is the same for all readers,
// each message once, or a [GapEvent] for those that are not kept any more: **never silence**.
// Server, readers and writers come and go in any order; a client whose server is away keeps trying
// and says so.
//
// [NewMemory] keeps the log in memory, for experiments. Package store, below this one, keeps it on
// disk, and lets any number of servers share one.
//
// # Datagrams
//
// Each is at most [MaxDatagram] bytes and has a header of 12: "ur", the version (1), the kind, and
// the client's [ID], which it has chosen itself and which every datagram from and to it carries.
// Numbers are big-endian. What is not precisely as described, or contradicts itself, is counted as
// malformed and has no other effect. A welcome has a checksum of its own, since nothing that comes
// later could tell that the place in it is wrong.
//
//	kind          from    after the header
//	 1 hello      client  try 4, role 1, from 1, at 8, log 8, cookie 20, name 1+n, zeros up to 96 bytes
//	 2 challenge  server  cookie 20
//	 3 welcome    server  try 4, next 8, first 8, last 8, log 8, expire 4 (ms), CRC-32 of all that 4
//	 4 refuse     server  reason 1, expire 4 (ms)
//	 5 reset      server  -
//	 6 ping       client  -
//	 7 pong       server  first 8, last 8
//	 8 leave      client  delivered 8
//	 9 bye        server  -
//	10 write      writer  number 8, count 1, count times: length 2, text
//	11 stored     server  number 8, count 1, count times: number 8, messages 2, sequence number 8
//	12 failed     server  number 8, length 1, text of the error
//	13 data       server  sequence number 8, count 2, count times: time 8 (Unix, ns), name 1+n, text 2+n; zeros
//	14 gap        server  first 8, last 8
//	15 ack        reader  next 8, delivered 8, highest 8, window 4, count 1, count times: offset 4, messages 4
//
// Messages go as many in a datagram as fit; one is never cut in two. A text is at most [MaxText]
// bytes, and a longer one is refused where it is written: parts would have to be put together again
// by everybody, for lines that hardly anybody types.
//
// # Registration
//
// A hello costs its sender nothing, and anybody can put somebody else's address on it. So the
// server answers with a challenge, and keeps nothing: its cookie is a MAC (HMAC-SHA256 cut to 128
// bits, RFC 2104; under a secret of this run and a period of 30 s) of the client's address, ID,
// role and name. Only a hello that brings it back, in this or the next period, is looked at: its
// sender gets what is sent to that address. Until then no answer is longer than what it answers.
//
//	client                          server
//	  | hello (96 bytes) ------------> |
//	  | <---------- challenge (32)     |  keeps nothing
//	  | hello with the cookie -------> |
//	  | <------------ welcome (56)     |  asks the log, registers
//	  | or <----------- refuse (17)    |  name taken, too many, the store fails
//
// With a shared key, see below, each is 36 bytes longer, or sealed 38: a challenge of 70 bytes at
// most answers a hello of 132 at least, and what is not signed is not answered.
//
// A client tries again after 50 ms, doubling to 1 s, for as long as it runs. A name belongs to one
// live client in each role, and names that look alike are one name. While it is refused as taken
// the client goes on for half as long again as a dead owner would keep it. The log arbitrates
// between servers that share it. While it cannot, for a full disk or as it is away, each server
// decides for its own clients, and one of two that have got a name at two servers loses it when the
// log answers again. Nor does it keep anybody out that the log cannot save its place: it is saved
// later, and what can be read is read.
//
//	         hello, every 50 ms to 1 s
//	            .--------.
//	            v        |
//	start -> [connecting]-'  -- welcome of this try --> [registered] -- end of ctx --> leave, until bye, 1 s at most
//	            ^                                          |   ^ |
//	            |   reset, bye, port unreachable,          |   '-' ping every expire/5
//	            '---or no word for 3/5 of expire ----------'
//
// To the server a client is registered from the welcome until it leaves or was not heard for expire
// ([ServerConfig].Expire, 15 s). It answers a reset to what comes from anybody else: after its
// restart, or when a client's address has changed, that makes the client register again at once,
// with its ID and its place in the log, and nothing is lost or comes twice. What a name has read is
// saved in the log every 5 s, when it leaves, and when the server ends: a reader that begins with
// [FromLast] goes on there. A reader that is killed may get again what was delivered in the 20 ms
// before, or since its last Flush; if its server is killed too, what was delivered in the last
// seconds.
//
// # Several servers
//
// A client may know several servers that share a log, and servers by name. It tries them in turn,
// 1 s each, or 5 s if the server says something but does not take it, and stays with the first that
// does until that ends, is not reached, or is silent for 3/5 of expire. Then the others have their
// turn, and that one is the last. A name is looked up again meanwhile, every 2 s at most and never
// while there is a server, and up to 16 of its addresses are tried; one that has none is waited for
// like a server that is away. Since the client keeps its ID, its numbers and its place in the log,
// the next server stores nothing twice, and goes on where the one before was. A client that gave up
// a server which is alive is served by the new one only: its socket takes nothing else.
//
// Servers that do not share a log are no relay. A client that gets from one to the other is told so
// in a [LogEvent], as after a restart with another log: a reader gets the other log from its oldest
// message on, again if it has been there before, and not what it had not read of the first. What a
// writer has written stays where it was stored, and what was on its way may be in both. But nobody
// is told where a reader has found one of them and a writer the other: give all clients the same
// servers, in the same order, only if these share a log.
//
// # Writing
//
// A writer numbers its messages 1, 2, 3 and sends up to 512 ahead of what is stored; the window
// begins at 32 and grows with every answer. The server takes them in order only, appends what has
// come in the meantime to the log in one go, and answers with their sequence numbers when the log
// has them. What is not answered is sent again, from the first on, after the round-trip time and
// four deviations (RFC 6298), 20 ms to 2 s, doubling each time. The log knows a message by the
// writer's ID and number, so that it is stored once however often it comes, also to another server
// and after a restart. If the log cannot store, the writer is told why (failed) and goes on trying.
//
// # Reading
//
// The sequence number of the log is every reader's too. A reader acknowledges every eighth
// datagram, or 5 ms after the first of fewer; and each batch at once for a while after its
// registration and after a loss: the next message that it misses, which ranges are missing before
// the highest that it has, how many it has delivered, and for how many it has room; and again 20
// ms later if more were delivered since. The server has at most 256 datagrams under way to a
// reader. That window begins at 10, grows and shrinks as TCP's does (RFC 5681), so that a slow
// network is not flooded; a datagram is lost when one that was sent well after it has arrived (RFC
// 8985), or after a timeout as above. Each reader has its own window, pace and place: a slow one
// delays nobody. What is no longer in the cache of newest messages is read from the log. If the log
// does not keep it any more the reader gets a gap datagram in its place, which is acknowledged and
// sent again in the same way. What is deleted from the log, or too old for it, is gone for all
// readers about a second later, though a server may have had it in memory.
//
// # Memory
//
// However many readers there are, wherever they are in the log and whether they acknowledge or not,
// what waits for them in memory takes 60 MiB at most ([ServerStats].Waiting), beside the cache of
// newest messages ([ServerConfig].Cache, 16 MiB), up to 8,192 messages that are being read from the
// log, up to 32,768 that are to be stored, and about 1 KiB for each reader and 9 KiB for each
// writer; Go's garbage collector takes up to twice all that. Up to 32 MiB of what waits are older
// messages, read from the log 512 at a time for all readers that are there. The rest is lists of
// what is under way, which hold no messages: what is to be sent again is looked up again. The more
// readers there are the shorter each one's list may be, from 512 datagrams to 32 for 10,000
// readers. One that has not answered after five timeouts in a row has no list: it gets two
// datagrams, every 2 s, until it answers.
//
// Seen with one writer that writes all it can, texts of 120 bytes and a log in memory, on two
// shared cores that ran the readers, too; cores and memory are the server's:
//
//	readers  deliveries/s  cores  waiting  resident
//	    100     2,000,000    0.7    1 MiB   170 MiB, of which most is the log
//	  1,000     2,500,000    0.7    8 MiB    56 MiB
//	 10,000     1,500,000    0.5   13 MiB    66 MiB
//
// # Trust
//
// The cookie keeps a server from being used against others, as does that nothing is ever sent to a
// broadcast, multicast or unspecified address or to port 0, whatever comes from there: that counts
// as malformed or, where only the system knows that an address is a broadcast one, as an error of
// sending. A client's ID, 64 random bits, keeps those who cannot read the traffic from sending in
// its name. Who can read it can do that, and reads all messages: without a shared key there is no
// encryption and no password, everybody who reaches the port can read and write. Use it then on a
// network that you trust, or inside a VPN. Names are ASCII; texts are valid UTF-8 and otherwise
// what somebody wrote: a program that shows them decides what is safe to show. All tables and
// queues are bounded, and one address gets half of the places for clients
// ([ServerConfig].MaxPerAddress); what is dropped or refused is counted in [ServerStats],
// [ReaderStats] and [WriterStats].
//
// # A shared key
//
// With [ServerConfig].Key, and the same Key in the configuration of readers and writers, every
// datagram in both directions is signed, or sealed if its sender has Seal, as package key
// describes. That is done when it is sent, and anew when it is sent again. It is 36 bytes longer
// for that, sealed 38, and still at most [MaxDatagram]: its content has at most 1,162 bytes, so
// fewer messages go in a datagram, and at most 63 items in a stored. The purposes are "relay
// server" and "relay client", for what they send.
//
// A datagram that was not made with the key, is more than a minute old or comes a second time is
// dropped before anything else is done with it: it registers nobody, proves no address, moves and
// removes no client, stores, acknowledges and delivers nothing, and no byte answers it. It is
// counted by reason ([ServerStats].Untrusted) and told in a [RefusedEvent]. So nobody without the
// key can write, take a name, or speak for the server or a client, not even with an ID that was
// read on the way; nor, if all seal, read messages or names.
//
// A recording is no use: where it was sent it comes a second time, for another run of a client it
// has the wrong ID, and after a minute it is too old. But whoever keeps a datagram from its
// receiver, or plays it to a server that has started since, can have it believed once, up to a
// minute late, and two if the first of its run came as late. If it comes from another address then,
// that address gets the answer, a challenge or a reset, which is no longer than the datagram; and
// the client that a reset names registers again, if it is passed on.
//
// The server knows 2 [ServerConfig].MaxClients runs of clients apart; if there were more in a
// minute, what was recorded of the one that has been silent for longest is believed once more. All
// who have the key trust each other: each can write as anybody, and answer as a server. The log is
// not sealed: a server stores what was written as it is.
//
// For each client the key takes about 2 KiB in the server, and what is to be signed 10 MiB at most
// for all together. To send a full datagram within the machine took the server 0.5 µs of a core
// without a key, 1.3 signed and 0.8 sealed, on a processor with instructions for SHA-256 and AES.
package relay
