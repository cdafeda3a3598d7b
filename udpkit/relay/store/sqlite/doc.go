// Package sqlite keeps a relay's log in one SQLite file on this machine. Nothing has to be
// installed, and other programs can read the file while the relay runs.
//
// # What "stored" means
//
// [Store.Append] returns when the records are on the disk: one transaction for all records of a
// call, synced once. [SyncPeriodic] leaves the sync to the next second. A process that is killed
// loses nothing either way. A machine that loses its power loses nothing that was acknowledged with
// [SyncAlways], and with SyncPeriodic at most what was stored in the last second, as far as its
// disk keeps what it has said to have written. Messages a second, with texts of 120 bytes, by how
// many records a call has (go test -bench Append, on two cores of a virtual machine whose disk
// syncs in 0.1 ms, in November 2026):
//
//	records a call     always    periodic
//	             1       8,000      45,000
//	             8      50,000     190,000
//	            64     220,000     370,000
//	           256     360,000     450,000
//	          1000     430,000     470,000
//
// A disk that takes 5 ms to sync makes that at most 200 calls a second with SyncAlways. A server
// calls with all that has come in during the call before, so that many writers together get the
// rates of the last lines.
//
// A record has its place in the log, the message's sequence number, for good, and no number is
// given twice. A record is stored once however often it is appended: how far a run has got is
// known although its messages are not kept any more, for the 100,000 runs that were heard last.
//
// # What is in the directory
//
// The file relay.db has the log. SQLite keeps what it has not moved there yet in relay.db-wal, and
// relay.db-shm is its memory: copy the three together, or better make a [Backup]. The file
// relay.lock says which process has the log, and how far it has got. These are the tables:
//
//   - message: the messages. seq is the sequence number, writer who has written it, run and number
//     what its writer has called it, text the text, and at the time in nanoseconds since 1970.
//   - run: how far those runs have got of which messages were discarded.
//   - client: what is known of readers and writers.
//   - log: one row, with the number that names the log (see [Store.ID]), and what counts deletions.
//
// In SQL numbers have a sign: printf('%016x', run) is a run as the relay shows it, and
// datetime(at / 1000000000, 'unixepoch') a time. Which names are taken is in memory only, as they
// are free when the process ends. The file's application_id is 0x7564706b, "udpk", and its
// user_version the version of the tables, 1. A file of a later version is not opened, one of an
// earlier version is brought up to date.
//
// Each row has a checksum of its other columns, in their order: CRC-32 as in zlib, of integers as 8
// bytes, most significant first, and of texts as their length in bytes, in the same way, and their
// UTF-8.
//
// Another program may also delete messages, which readers are told as a gap at most a second later:
//
//	DELETE FROM message WHERE seq = 7
//
// A message whose text it changes has a wrong checksum, and is a gap too. While it keeps the file
// locked nothing is stored.
//
// # When the disk fails
//
// A full disk makes Append and SaveClient fail at once, with an error that is syscall.ENOSPC.
// Nothing is acknowledged that is not stored. Reading, following and names go on. Twice a second
// the store tries whether there is room again, at least 1 MiB, and goes on then. It does so after
// any error of the disk: what could not be synced was not acknowledged, and is written again. Only
// with SyncPeriodic an error in syncing is final, and in any case that the files were removed:
// nothing is stored any more until a person has seen to it and has started the process again.
//
// When the file is damaged, what is intact is served, and what is lost is a gap, never something
// else. SQLite looks at the whole file when it is opened, if it is not longer than 256 MiB. If that
// finds something, or something was found while it was used last, what is intact is copied into a
// new file; the old one stays beside it under another name, which [Store.Repaired] says. If the
// tables themselves cannot be read, or a column has another name, Open returns [ErrDamaged] and
// changes nothing.
//
// A directory with a log of NATS, as earlier versions made them, is refused.
package sqlite
