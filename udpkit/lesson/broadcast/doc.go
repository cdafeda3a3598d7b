// Package broadcast is what the notebook broadcast.ipynb runs beside packages net and udpkit: a
// port that two sockets share ([Listen]), a path that loses datagrams ([Try]) and a picture of what
// came of them, an observer that prints what happens ([Tell]), and checks of the reader's
// exercises.
//
// What it opens is on this machine, bounded in count and time, and ends early when its context
// does.
//
// It is made for teaching. To broadcast, use package udpkit.
package broadcast
