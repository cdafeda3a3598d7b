// Package group starts and ends other programs with all that they have started.
package group
