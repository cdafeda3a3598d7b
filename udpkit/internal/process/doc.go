// Package process starts and ends other programs with all that they have started.
package process
