// Package nonblocking is what the walkthrough notebook, nonblocking.ipynb, runs: it lets every
// receiver style of udpkit do the same, shows and records all of them in the same way, and measures
// them by the same procedure, so that only the styles differ.
//
//	err := nonblocking.Watch(ctx, udpkit.Blocking, file)
//
// Everything stays on the loopback interface of this machine, is bounded in count and time, and
// ends early when its context does. Outside of a notebook the same facts are printed as text.
//
// It is made for teaching. To receive datagrams use [udpkit.NewReceiver], and to compare machines
// go test -bench.
package nonblocking
