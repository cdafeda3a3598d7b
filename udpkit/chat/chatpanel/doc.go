// Package chatpanel runs a chat's server or client where somebody looks on and types: in a notebook
// as a live panel with Jupyter's input box below it, in a terminal with an editor for the line
// being typed, as plain lines, or as JSON for machines.
//
// Nothing in it talks to the network: [chat.Server] and [chat.Client] do. What comes from the
// network is text that [chat.Clean] has been through, and reaches a page only through
// html/template.
package chatpanel
