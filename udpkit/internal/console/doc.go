// Package console is what roles have in common where somebody looks on and types: a terminal whose
// last line is edited while others appear above it, or shows how things are; the notebook's input
// box; lines from anything else; and events as JSON lines.
package console
