// Package broadcast is what the notebook broadcast.ipynb runs beside package udpkit: a path that
// loses datagrams between a server and a client, with a picture of what became of each message, and
// a look into a datagram that is signed with a shared key.
//
// Everything stays on the loopback interface of this machine, is bounded in count and time, and
// ends early when its context does. It is made for teaching.
package broadcast
