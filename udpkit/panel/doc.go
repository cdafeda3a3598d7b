// Package panel shows what a udpkit server or client does while it runs: as one
// live panel in a notebook, as text in a terminal, as JSON lines for machines.
//
//	ctx, stop := panel.Interrupt()
//	defer stop()
//	err := panel.Client(ctx, udpkit.ClientConfig{}, panel.Options{})
//
// Nothing in it talks to the network: [udpkit.Server] and [udpkit.Client] do. Use
// those when nobody looks on.
//
// What comes from the network (states, ids, timestamps) is shown, never
// interpreted: [Printable] quotes control and invisible characters, and HTML is
// made by html/template only. A panel needs no JavaScript and no connection back
// from the browser; interrupting the cell is what ends it, and the last panel,
// with the summary, stays in the notebook.
package panel
