// Edit edits the source of the GoNB kernel in a directory, for an image that is built without the
// lab. Without a directory it prints what tells one state of the edits from another.
package main

import (
	"fmt"
	"os"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/gonb"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Print(gonb.Sum())
		return
	}
	if err := gonb.Edit(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
