// Package relaying is what the notebook relay.ipynb runs beside packages net and relay: lines and a
// log by hand ([Line], [Log]), a socket that loses what it is told to lose ([Lose]), a relay in bad
// weather whose server is killed ([Try], [RunServer]), its source ([Source]), and checks of the
// reader's exercises ([CheckOnce], [CheckServe]).
//
// What it opens is on this machine, bounded in count and time, and ends early when its context
// does.
//
// It is made for teaching. To relay, use package relay.
package relaying
