// Package store is the place of the logs that a relay can keep its messages in. It has no code of
// its own.
//
//	sqlite      one file on this machine, which any program that speaks SQL can read
//	jetstream   an existing NATS server or cluster, which any number of relay servers share
//
// Both pass the same tests (package logtest) and keep the promise of package relay: a message
// counts as stored when it is, each is stored once, none takes another's number, and what is lost
// or deleted is a gap.
//
// Messages of 120 bytes stored a second, each process on one core of a small virtual machine whose
// disk syncs in 0.1 to 0.2 ms ("go tool udpkit bench", which measures yours, too), by how many
// messages are under way. The last line is NATS JetStream without a relay, one server, with
// sync_interval always and an acknowledgement for each message.
//
//	under way                      1        8        64       256
//	package sqlite alone       3,700   36,000   164,000   247,000
//	a relay with it            3,100   19,000   120,000   209,000
//	JetStream, each synced     4,200    4,900     5,100     5,600
package store
