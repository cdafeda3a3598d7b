// Package relaypanel runs a relay's server, reader or writer, or a reader and a writer under one
// name, where somebody looks on and types: in a notebook as a live panel with Jupyter's input box
// below it, in a terminal with an editor for the line being typed, as plain lines, or as JSON for
// machines.
//
//	panel.Main(func(ctx context.Context) error {
//		return relaypanel.Join(ctx, relaypanel.JoinConfig{Username: "ann"}, relaypanel.Options{})
//	})
//
// Nothing in it talks to the network: package relay does. Nothing in it knows where a server keeps
// its log: the caller opens that. What was written by others is shown, never interpreted; see
// package panel.
package relaypanel
