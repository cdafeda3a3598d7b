// Package store is the place of the logs that a relay can keep its messages in. It has no code of
// its own.
//
//	sqlite      one file on this machine, which any program that speaks SQL can read
//	jetstream   an existing NATS server or cluster, which any number of relay servers share
//
// Both pass the same tests (package logtest) and keep the promise of package relay: a message
// counts as stored when it is, each is stored once, none takes another's number, and what is lost
// or deleted is a gap.
package store
