package room_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/janpfeifer/gonb/gonbui"
	"go.uber.org/goleak"
)

// cell is what this program does as a notebook's cell; see notebook_unix_test.go.
var cell func() error

func TestMain(m *testing.M) {
	if gonbui.IsNotebook && cell != nil {
		if err := cell(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
