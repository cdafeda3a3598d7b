// Package store keeps a relay's log in NATS JetStream: messages, who is known, and which names are
// taken.
//
// With [Config.Dir] a NATS server runs inside this process. It opens no port, there is nothing to
// install, and the directory belongs to one process at a time. With [Config.URLs] the log is in an
// existing NATS server or cluster, version 2.12 or newer, and any number of relay servers on any
// number of machines share it: what a writer writes at one of them, readers read at all.
//
// # What "stored" means
//
// [Store.Append] returns when the records are on the disk: synced, once for all records of a call.
// [SyncPeriodic] leaves that to the next second. A process that is killed loses nothing either way,
// a machine that loses its power loses what was stored in that second. Measured on two cores of a
// virtual machine whose disk syncs in 0.22 ms, records of 80 bytes, messages a second by
// [SyncAlways] and [SyncPeriodic] (BenchmarkAppend):
//
//	records a call     always    periodic
//	             1      2,700      30,000
//	            16     26,000      90,000
//	           256     90,000     150,000
//
// A disk that takes 5 ms makes that at most 200 calls a second with SyncAlways. A server calls with
// all that has come in during the call before, so that many writers together get the rate of the
// last line.
//
// A cluster acknowledges when most of the servers that have a replica have got the message. Whether
// it is on their disks then is a setting of theirs: "sync_interval: always" in the section
// "jetstream". Their default syncs every two minutes, which can lose what was stored if most of
// them lose power at the same time. Measured in the same way, with sync_interval always: one server
// 2,000, 900 and 14,000 messages a second with 1, 16 and 256 records a call, three on the same
// machine 1,000, 7,000 and 25,000.
//
// A record has its place in the log, the message's sequence number, for good. It is stored once
// however often it is appended, at whichever server and after any time, for as long as the last
// record of its run is kept: the condition that a record is stored under is that nothing of its run
// came after what is known. Within a call and a run a record is never stored without those before
// it.
//
// # When the disk fails
//
// A full disk makes Append and SaveClient fail at once, with an error that is syscall.ENOSPC.
// Nothing is acknowledged that is not stored. Reading, following and names go on. Twice a second
// the store tries whether there is room again, at least 1 MiB, starts its server again if so, and
// goes on. An error in syncing is final: nothing is stored any more until a person has seen to the
// disk and has started the process again.
//
// All that is stored has a checksum. When files are damaged, what is intact is served, and what is
// lost is a gap, never something else; after a crash that can be as much as the rest of a file of 8
// MiB. No sequence number is given twice, even if the end of the log is lost. If the file with the
// log's settings is damaged Open returns [ErrDamaged] and touches nothing.
//
// # What is in NATS
//
// The log NAME is the stream NAME, with a subject NAME.m.RUN for each run of a writer, and its
// number (see [Store.ID]) in the metadata. NAME-clients has what is known of clients, the last
// 100,000; NAME-names the names that are taken, in memory, each for its time. A server tells the
// others on the subject NAME.stored what it has stored, so that they look at once, and not only
// every second. The NATS user of the relay needs these subjects, _INBOX.>, and of $JS.API: INFO,
// STREAM.NAMES, and STREAM.INFO, STREAM.CREATE, STREAM.UPDATE, STREAM.MSG.GET, STREAM.MSG.DELETE
// and DIRECT.GET of the three streams.
//
// All three streams have "udpkit-relay-format" in their metadata, which says how to read them.
// [Open] changes and makes nothing before it has looked at all three: if one of them has no format
// or another one, or if a stream of another name stores what is sent to one of the subjects, then
// the error wraps [ErrForeign], and everything in NATS is left as it was. Streams from before all
// three had a format are refused like that too, as there was no release with them: choose another
// name or directory, or delete them.
package store
