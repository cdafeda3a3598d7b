// Package panel is the kit that every panel of this module is made of: what a notebook's cell or a
// command needs to run something and show it. It knows no system; the panels stand beside theirs:
// broadcastpanel, echo/echopanel, beacon/beaconpanel, chat/chatpanel and relay/relaypanel.
//
// What comes from the network (states, ids, timestamps) is shown, never interpreted: [Printable]
// quotes control and invisible characters, and HTML is made by html/template only, see [Templates].
// A panel needs no JavaScript and no connection back from the browser: [Live] replaces it at most
// ten times a second. [Main] and [Interrupt] end it when the cell is interrupted, and the last
// panel, with the summary, stays in the notebook.
package panel
