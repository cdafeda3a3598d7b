// Package broadcastpanel shows what a udpkit server or client does while it runs: as one live panel
// in a notebook, as text in a terminal, as JSON lines for machines.
//
//	ctx, stop := panel.Interrupt()
//	defer stop()
//	err := broadcastpanel.Client(ctx, udpkit.ClientConfig{}, broadcastpanel.Options{})
//
// Nothing in it talks to the network: [udpkit.Server] and [udpkit.Client] do. Use those when nobody
// looks on.
package broadcastpanel
