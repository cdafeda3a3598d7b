// Package plot draws the pictures of package chart in a notebook. It knows no system, and is a
// package of its own so that only a cell that plots pays for the drawing code.
//
// The same picture is always drawn the same way. Every name is made printable and shortened.
package plot
