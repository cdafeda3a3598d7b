// Package plot draws what a journal of udpkit tells: for a client the states that
// it saw, its gaps, intervals and latencies; for a server the states that it
// sent, who acknowledged them, and how quickly. It also draws the recordings and
// the comparison of package lesson, the results of package experiment, the
// recordings of package basics, the histories of package hub, and the pictures that
// explain. It is a package of its own so that only the cell which plots pays for the
// drawing code.
//
// The same journal always gives the same picture. Every text that comes from the
// network is made printable, shortened and escaped.
package plot
