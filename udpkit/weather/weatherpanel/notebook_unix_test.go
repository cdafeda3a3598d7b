//go:build unix

package weatherpanel_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather/weatherpanel"
)

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	ctx, stop := panel.Interrupt()
	defer stop()
	headless := flag.Bool("headless", false, "ask for no input")
	flag.Parse()
	if err := panel.FlagsFromEnv(); err != nil {
		return err
	}
	return weatherpanel.Show(ctx, config, weatherpanel.Options{Headless: *headless})
}

// TestPanel: the panel takes changes from the box below it.
func TestPanel(t *testing.T) {
	c := paneltest.StartCell(t)
	require.Contains(t, c.Until(t, "loss=20%", "goes to 127.0.0.1:9, seed 7"), "no news since ", "what a page shows when the program is gone")
	c.Types(t, "partition=1h")
	c.Until(t, "nothing arrives", "loss=20% partition=1h0m0s</div>")
	c.Types(t, "<b>=1")
	c.Until(t, "⚠ ", "there is no setting", "&lt;b&gt;")
	require.NoError(t, c.Process.Signal(os.Interrupt))
	require.NotContains(t, c.Until(t, "ended: interrupted"), "no news since ")
	require.NoError(t, c.Wait())
}

// TestHeadless: nobody is asked where nobody can answer.
func TestHeadless(t *testing.T) {
	c := paneltest.StartCell(t, "UDPKIT_HEADLESS=true")
	c.Until(t, "loss=20%")
	require.NoError(t, c.Process.Signal(os.Interrupt))
	c.Until(t, "ended: interrupted")
	require.NoError(t, c.Wait())
	require.Empty(t, c.Asked)
}
