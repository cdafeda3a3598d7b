// Package sqlite keeps a relay's log in one SQLite file on this machine: messages, and who is
// known. Nothing has to be installed, and any program that reads SQLite files can read it while the
// relay runs.
package sqlite
