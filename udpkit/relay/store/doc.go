// Package store keeps a relay's log in NATS JetStream: with [Config.Dir] in a NATS
// server inside this process, which has no port and needs no installation, or with
// [Config.URLs] in an existing NATS server or cluster, where any number of relay
// servers on any number of machines share one log.
package store
