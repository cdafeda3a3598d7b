// Package udpkit is UDP broadcasting that people can see: a server that broadcasts its state,
// clients that receive and acknowledge it, and five interchangeable ways to receive datagrams
// without blocking.
//
// A [Server] sends a [Message] every five seconds, or at any other interval, to its [Targets]: a
// timestamp, a state, and an id. A [Client] receives on a port that any number of clients on one
// host share, drops duplicates, reports gaps, keeps a history and statistics, and acknowledges.
// Both report what happens as [Event] values, which a [Journal] writes as JSON lines.
//
// Underneath stands the [Receiver]: one contract and five styles, [Blocking], [NonBlocking],
// [SelectorStyle], [Goroutine] and [Channel]. [Selector] is a readiness selector of its own: epoll,
// kqueue, poll or WSAPoll.
//
// # The promise
//
// From the first message that it hears, a client delivers every message of a server run exactly
// once, or reports a gap; never silence. In detail:
//
//   - A message that comes twice, for example over two interfaces, is delivered
//     once: the same id with the same content within the last 1,024 ids.
//   - What was left out shows as soon as a later id comes, however far ahead it is. A server that
//     sends again is asked for it (see below), and what does not come, nor a part of it, within
//     13 to 26 seconds is a [GapEvent]. So is at once what the server does not have any more, and
//     what is missing of a server that does not send again. Ids that have come are in none. If one
//     of them comes after all, it is delivered, marked as late. A server that sends no epoch may
//     begin anew at any id: there a jump of more than 1,024 ids is a gap, or a new beginning, when
//     a second message continues it.
//   - When nothing comes of a run for three intervals, at least a second, that is a
//     [TimeoutEvent] of that run, however much is heard of others: the loss of its newest
//     messages shows. An interval is believed from 1 ms to 1 h; one that is another than
//     before counts when it was announced twice.
//   - A server that ends says so in its last message, which is an [EndEvent]: a loss before it
//     is a gap at once. One that was killed is silent; if it has been started anew by then, the
//     EndEvent of its first run says that what it sent last is lost. An end that somebody forges
//     hides a silence until the server's next message.
//   - A server that starts anew has a new [Epoch] and its ids begin anew. Nothing
//     of it is mistaken for a duplicate, with or without an epoch.
//   - No id that somebody forges makes the client drop a genuine message. With a key
//     nothing forged has any effect, see below. Without one, what is forged can show,
//     and can make gaps be reported that are none: such broadcasts carry no proof of
//     origin. An id far ahead, with the epoch that everybody can
//     read, makes a gap of all up to it. When a genuine message goes on before it,
//     within 1,024 ids, what is left of that gap counts as missing no more, and what
//     is lost from then on is reported as always. Two forged ids ahead that follow one
//     another cannot be told from the server: until two genuine ones follow each other
//     within 1,024 ids, what is lost is in the gap that they made. A forged id close
//     ahead is in no gap itself. A forged id can also take the place of one of the last
//     1,024 in memory: that one is delivered again if it comes twice.
//   - All of this is kept of 1,024 server runs that go on, in 64 MiB at the most, and of 1,024
//     more of which one message has come. One that goes on makes room only once it is silent.
//     What had to be forgotten before is a [ForgottenEvent], at once and then once a minute: what
//     is lost of these runs is not reported, and what comes of them may be delivered again.
//   - What is refused or dropped is counted in [ClientSummary]. A [RefusedEvent] says from whom
//     and why, at once and then once a minute; a flood of it costs no memory.
//
// An acknowledgement with the server's epoch means that a client has decoded the message. One
// without, as the original documents' clients send, can be made up by somebody who has read
// nothing: it is counted apart and never hides a loss, and such clients get half of a server's
// table, 5,000 by default. A host other than the server's own gets an eighth of it at the most, so
// that none keeps others out.
//
// A message whose source is forged beyond doubt, a broadcast, multicast or unspecified address or
// port 0, is delivered like any other and not acknowledged: the answer would go to many hosts. It
// counts in ClientSummary.AckErrors.
//
// What holds it, with what the tests print; the networks and the clocks are simulated, the forgers
// are not bounded by what a socket takes:
//
//	promise                             test                           figure
//	each message once, or a gap         TestPromise                    a day, loss 0 to 50 %, an hour away: 17,280 sent, 0 silent
//	  likewise with a key and forger    TestKeyedDay                   20 clients, 6 runs, a day: 345,000 delivered, 1,200 reported, 0 silent
//	a jump is a gap, however far        TestWindowEpoch                1 to 1500: 4 to 1499 at once, and none that came
//	  whatever ids somebody forges      TestWindowForgedJumps          each genuine one once, what was lost in a gap
//	  and none is dropped for them      TestWindowForgedFlood          0
//	1,024 runs that go on               TestManyServers                1,024 gaps of 1,024 servers, the 1,025th is said
//	  whatever comes beside them        TestRunsAreBounded             5,000 forged runs: 500 of 500 kept, all that was forgotten is said
//	  in 64 MiB                         TestRunsAreSmall               64 MiB
//	a silence of each run is told       TestSilenceOfEachRun           though another goes on
//	  and a run that was followed       TestSuccessor                  by an EndEvent
//	  whatever interval is forged       TestInterval                   once: no change
//	no counter wraps                    TestMissedNeverWraps           at most 2^53-1
//	no epoch: what can be known         TestWindowRestartWithoutEpoch
//	ids that rise over restarts         TestClockID                    the course's client hears both runs
//	what is lost comes back             TestRepair                     20 % loss both ways: 100 %; 50 %: 99.75 %
//	  over real sockets                 TestRepairOnALossyPath         100 of 100
//	  a thousand miss the same          TestManyMissTheSame            sent again once
//	questions cost the asked little     TestForgedServerIsHardlyAsked  one a message that is heard
//	  and are answered within bounds    TestQuestionsAreBounded        100 a second and host, at most three times as long
//	an answer goes to a host only       TestForgedSources              0 to broadcast, multicast, unspecified and port 0
//	latency is right by two clocks      TestLatencyByTwoClocks         3 s apart, 50 us/s, ways of 1 and 20 ms: within its error
//	  and asking costs the asked little TestTimeIsBounded              100 a second and host, 1,000 in all, none longer
//	  and what is forged counts nowhere TestForgedTimes                0 of 100,000 believed
//	no forged answer hides a loss       TestUnprovedAcks               counted apart, half of the table
//	  or keeps others out               TestClientTableIsBounded       an eighth for each host
//	a refusal is told                   TestClientCountsWhatItRefuses  at once, then once a minute
//	with a key forgers have no effect   TestKeyedFlood                 100,000 forged epochs: 100 of 100 messages, 0 others
//	  nor has what was recorded         TestRecordedRun                0 shown after a minute
//	  and the server answers nobody     TestKeyedServer                0 bytes
//	names cannot be mistaken            TestSkeleton                   t3acher, clavid, vvarrn
//	histories are the owner's           TestHistoryIsPrivate           mode 0600
//	the lab's token is in no ps         TestBrowserGetsNoToken         a file of mode 0600
//	nothing is allocated                TestHotPathAllocatesNothing
//	                                    TestRefusingAllocatesNothing
//	                                    TestKeyedHotPathAllocatesNothing
//
// # Repair
//
// A server keeps its newest 1,024 messages as they were sent, at most 1 MiB, and says so in each
// ("repair"). A client that misses some asks for a range of them, 20 to 40 ms later since they may
// only have been overtaken, and again after pauses that grow to 1.3 s, up to 24 times. The
// question is the text
//
//	Client <client id> misses messages <from> to <to> epoch <epoch>
//
// with spaces up to 342 bytes, sent as an acknowledgement is. The server gathers questions for 20
// ms and then sends the messages again: to the client that asked, at most three times as many bytes
// as it sent; or to all, if several miss the same. It answers 100 questions a second of a host, and
// sends 500 messages a second again. A client asks once for each message that it hears of a server,
// and once more for each that came back: forged messages make it send no more than that. While some
// client that has acknowledged messages has not acknowledged the last of ServerConfig.MaxMessages,
// that one is sent again ten times within AckWait. A message that came like this is marked as
// Repaired. NoRepair turns it off, in the server or in a client.
//
// Simulated with 20 clients and 500 messages, ten a second (TestRepair): where 20 % of all
// datagrams are lost, both ways, each client gets all of them; where half are lost, more than
// 99.5 % of them, and the rest is reported. What a thousand clients miss is sent again once
// (TestManyMissTheSame).
//
// # Two clocks
//
// A server that tells the time by its clock says so in each message ("clock"). At most once a
// second for each run, a client's acknowledgement asks for it, with a random number of 16
// hexadecimal digits behind the epoch:
//
//	Client <client id> received message <message id> epoch <epoch> clock <number>
//
// The server answers to where that came from with when it came and when this is sent, in
// nanoseconds of Unix time:
//
//	Time <number> <received> <sent>
//
// These two times and its own two (RFC 5905) tell the client how far the server's clock is
// ahead, to within half of the time under way, whichever way takes longer. It takes the best of
// the last eight answers, and adds 50 us to the error for each second since. One that cannot be
// true beside the best begins anew: a clock was set. [MessageEvent] has the latency corrected by
// it, and the error; until the first answer it has the receipt less the timestamp, and says that
// the clock is not known.
//
// An answer is never longer than what it answers: without a key 61 bytes at the most, to 73 at
// the least. There is one for each message that a client acknowledges and asks with, none to a
// broadcast, multicast or unspecified address or port 0, and in a second 100 for each host and
// 1,000 in all. A client sends no more datagrams than without. It believes an answer once, and
// only to one of its last 256 questions: nobody can forge one who cannot read those. Without a
// key, anybody who hears a server can send a message as if from it, and is asked; so he can make
// the client show a clock that is wrong, by up to 100 years. Nothing is ordered, dropped or
// expired by it.
//
// # A shared key
//
// With ServerConfig.Key and ClientConfig.Key, from a file that "udpkit key new" makes, messages,
// acknowledgements and questions are signed, with Seal encrypted too; package key says how, and
// what a key does not give. What is neither is not believed, shown or answered, and counted by
// reason in Untrusted. So is what is more than a minute old by its clock: it may be a recording.
// The clocks of those that first hear each other may differ by as much. The purposes, as package
// key has them, are "status" for messages, "answer" for what clients send and "time" for what they
// are told of the server's clock.
//
// A signed message is 57 bytes longer, with a last field "mac" that clients without a key ignore:
// the course's show it as before, but their acknowledgements do not count. A signed acknowledgement
// is 53 bytes longer, a question stays as long as it is. What is sealed, 38 bytes longer, is for
// holders of the key only. A message costs the client about 0.3 us more signed, 0.2 us sealed, and
// no allocation.
//
// # A remote hand
//
// A server with a key takes commands at the address that its messages come from, by a [Control] or
// "udpkit control": what its status is, state, interval, clients, stop. Without a key there are no
// commands: one is a datagram like any other that is not an acknowledgement. A command is the text
//
//	Command <nonce> epoch <epoch> <verb> [argument]
//
// with spaces up to 342 bytes, the signature included, and signed or sealed as an acknowledgement
// is. The nonce is 16 random hexadecimal digits. The epoch is the server's, so that a recording is
// nothing to its next run; 0 stands for any, for the verb status only. A server answers each in one
// datagram, at most three times as long, to where it came from: "Reply <nonce> " and an object of
// JSON, signed for the purpose "reply". It answers nothing that is not signed.
//
// Who gets no answer sends the same nonce again, signed anew. What it changes is changed once: the
// server remembers its last 1,024 changes, each for four minutes at least, and does no more than
// that. A datagram that comes twice is refused. The list of clients comes in pages, one a command,
// with three clients at least: for 10,000 clients mostly about 1,000 pages. It is the list of one
// moment. Only the newest list is kept: who goes on with an older one is told so.
//
// A new interval is announced in two messages, 100 ms apart at most, as clients believe it then. A
// server that is stopped sends its last message as one that has sent MaxMessages does, and still
// answers for AckWait. Each change is a [CommandEvent].
//
// What a key does not give: its holders are not told apart, so each that can hear a server can
// stop it; a client of yours is such a holder. A command that somebody records, and keeps from the
// server, can be believed up to two minutes late, by clocks that agree.
//
// # Wire format
//
// A message is one JSON object in one datagram of at most 1,024 bytes:
//
//	{"timestamp":"2026-11-21T12:00:00.000000+00:00","state":"ACTIVE","message_id":1,"epoch":"9f86d081884c7d65","interval_ms":5000}
//
// The first three fields are required. The last two are optional, as any other field is, and are
// ignored by clients that do not know them. A server's own part is one more, "data", which holds
// any value of JSON; "repair" is true if the server sends again what is missing, "clock" if it
// tells the time, "end" in the last message of a run. An acknowledgement is the text
//
//	Client <client id> received message <message id>
//
// sent to the address that the message came from; to a server that has sent an epoch, followed by
// " epoch <epoch>", which proves that the client has read the message.
//
// # What it costs
//
// Datagrams of 120 bytes on one core of a small virtual machine, as "go tool udpkit bench" prints
// it, which also measures yours; bench/README.md has all of it.
//
//	                       at full speed        50,000/s   there and back   idle
//	C recvfrom             1.75 M/s    482 ns   4.7 us     46 / 80 us       0 %
//	ReadFromUDPAddrPort    1.45 M/s    671 ns   8.5 us     50 / 95 us       0 %
//	Blocking               1.47 M/s    541 ns   6.2 us     48 / 96 us       0 %
//	NonBlocking            0.82 M/s    606 ns   5.5 us     not measured     0.4 %
//	SelectorStyle          1.35 M/s    573 ns   6.5 us     44 / 97 us       0 %
//	Goroutine              1.48 M/s    537 ns   6.1 us     47 / 94 us       0 %
//	Channel                1.50 M/s    552 ns   6.4 us     50 / 95 us       0 %
//	with Coalesce          13-15 M/s   58 ns    if the sender uses UDP_SEGMENT; NonBlocking 4.2 M/s
//	Client                 5.0 M/s     198 ns   likewise
//	Client, signed         1.9 M/s     535 ns   with a key
//	Client, sealed         2.7 M/s     363 ns   likewise
//
// The times are the receiver's CPU for each datagram; there and back p50 and p99. Nothing is
// allocated for a datagram.
//
// # When not to use it
//
// A broadcast stays on its subnet, and without a key it is neither encrypted nor authenticated.
// What is lost is sent again for a while, and then reported. For more than a subnet, to tell those
// apart who share a key, or where each message must arrive, use something else.
package udpkit
