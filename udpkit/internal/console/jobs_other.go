//go:build !unix

package console

import (
	"io"
	"os"
)

// InForeground reports true: there are no jobs here.
func InForeground(*os.File) bool { return true }

func awaitForeground(*os.File) {}

func leftForeground(*os.File, error) bool { return false }

// Keys returns in.
func Keys(in io.Reader) io.Reader { return in }

func suspend() {}

// StopInBackground does nothing.
func StopInBackground(io.Reader) {}
