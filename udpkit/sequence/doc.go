// Package sequence draws who sent what to whom, out of recordings: a line down the page for each
// address, an arrow across for each datagram, with its bytes, field by field, below the arrow when
// it is opened. A picture is HTML and SVG without scripts, and stays in a notebook as it is.
package sequence
