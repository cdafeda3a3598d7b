// Package jetstream keeps a relay's log in an existing NATS server or cluster with JetStream,
// version 2.12 or newer: messages, what is known of clients, and which names are taken. Any number
// of relay servers on any number of machines share it: what a writer writes at one of them,
// readers read at all. Nothing but NATS' public client API is used.
//
// # What "stored" means
//
// [Log.Append] returns when most of the NATS servers that have a replica have got the messages.
// Whether they are on their disks then is a setting of theirs: "sync_interval: always" in the
// section "jetstream". Their default syncs every two minutes, which can lose what was stored if
// most of them lose power at the same time. Measured with sync_interval always, records of 80
// bytes, on two cores of a virtual machine that others use too (BenchmarkAppendCluster), messages a
// second:
//
//	records a call   one server   three on the same machine
//	             1        2,000                       1,000
//	            16        1,000                       8,000
//	           256       10,000                      50,000
//
// A relay server calls with all that has come in during the call before, so that many writers
// together get the rate of the last line.
//
// A record has its place in the log, the message's sequence number, for good. It is stored once
// however often it is appended, at whichever server and after any time, for as long as the last
// record of its run is kept: the condition that a record is stored under is that nothing of its
// run came after what is known. Within a call and a run a record is never stored without those
// before it. NATS' own duplicate detection (Nats-Msg-Id) is not used: it remembers for a time
// only, in memory, for each message.
//
// # What is in NATS
//
// A log named NAME, "relay" if nothing else was said, has three streams:
//
//	stream        subjects            what                                 limits when it is made
//	NAME          NAME.m.WRITER.RUN   the messages                         Config's, or 1,000,000 messages
//	NAME-clients  NAME.c.ROLE.NAME    what is known of a client, as JSON   the last 100,000 clients
//	NAME-names    NAME.n.ROLE.NAME    the RUN that has the name            in memory, each for its time
//
// WRITER is the writer's name, as it is: names are ASCII letters, digits, - and _. RUN are the 16
// hexadecimal digits of the ID that each start of a writer chooses. So "nats sub 'relay.m.>'"
// shows all that is said, and a consumer with the filter subject "relay.m.ann.*" is what ann says.
// The text is the message's body, UTF-8 of at most 1000 bytes; the rest is in headers:
//
//	Udpkit-Writer   the writer's name
//	Udpkit-Run      RUN
//	Udpkit-Number   the message's number within the run: 1, 2, 3 ...
//	Udpkit-Time     when the relay got it, by that server's clock: RFC 3339, UTC, to the nanosecond
//
// Headers that begin with Nats- are NATS' own. A server tells the others on the subject
// NAME.stored, which no stream stores, up to which number messages are stored, so that they look
// at once, and not only twice a second.
//
// All three streams have udpkit-relay-format in their metadata, "2" for what is described here,
// and the first has udpkit-relay-id, the log's number (see [Log.ID]). [Open] changes and makes
// nothing before it has looked at all three: if one of them has no format or another one, or if a
// stream of another name stores what is sent to one of the subjects, then the error wraps
// [ErrForeign], and everything in NATS is left as it was. Of the streams of a log that was there
// before, it changes only the limits that the [Config] has; Config.Notice is told.
//
// # Permissions
//
// The NATS user of a relay publishes to
//
//	NAME.m.*.*  NAME.c.*.*  NAME.n.>  NAME.stored
//	$JS.API.STREAM.NAMES
//	$JS.API.STREAM.INFO.S  $JS.API.STREAM.CREATE.S  $JS.API.STREAM.UPDATE.S  for each stream S
//	$JS.API.STREAM.MSG.GET.S  for each stream S
//	$JS.API.STREAM.MSG.DELETE.NAME-names
//	$JS.API.DIRECT.GET.NAME
//
// and subscribes to NAME.stored and _INBOX.>. Who may publish to NAME.m.> otherwise can write into
// the log in anybody's name.
//
// # What others do to the log
//
// A message that is not a relay's, since something else has published it, is a gap of one to
// readers; [Log.Follow] tells the operator which it is and what is wrong with it. Messages that a
// person deletes or purges are gone from [Log.Bounds] and change [Log.Deletions] within a second.
// A stream that is deleted and made anew is another log: whoever has the old one open gets
// [ErrReplaced] until it is opened again.
package jetstream
