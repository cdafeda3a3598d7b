// Package concurrency is what the notebook concurrency.ipynb runs: the same load on a sequential
// and on a concurrent server, and TCP beside UDP, on the same network, with the same messages,
// measured by the same procedure.
//
//	err := concurrency.Weather(ctx, file)
//
// Each experiment shows what it does, adds its results to a file for the plots and for [Table], is
// bounded in count and time, and ends early when its context does. Outside of a notebook the same
// facts are printed as text. Nothing leaves this machine.
//
// To see what TCP does on a bad network takes a bad network beneath the system's own TCP. The
// experiments make one: a program in a network namespace of its own, whose only network card is a
// TUN device; another goroutine of that program is the wire, which takes each packet out, loses it,
// delays it or damages it, and puts it back. That takes Linux and no privilege, if user namespaces
// and /dev/net/tun are open to all; elsewhere the results say why TCP is missing, and UDP is shown
// through a relay on the loopback interface.
//
// It is made for teaching. To compare machines use a benchmark.
//
// A program that calls [Conversation] or [Weather] starts itself again as the one in the namespace,
// with an environment variable that nothing else sets. It has to call [Wire] first.
package concurrency
