package weatherpanel_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather/weatherpanel"
)

// cell is what this program does as a notebook's cell; see notebook_unix_test.go.
var cell func() error

func TestMain(m *testing.M) { paneltest.Main(m, cell) }

var config = weather.Config{
	Listen: netip.MustParseAddrPort("127.0.0.1:0"), To: netip.MustParseAddrPort("127.0.0.1:9"), Seed: 7,
	Settings: weather.Settings{Loss: 0.2},
}

// show runs one until its output has some text, and returns all of it.
func show(t *testing.T, opt weatherpanel.Options, until string) string {
	t.Helper()
	out := new(paneltest.Buffer)
	opt.Out = out
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- weatherpanel.Show(ctx, config, opt) }()
	assert.Eventually(t, func() bool { return strings.Contains(out.String(), until) }, paneltest.Patience, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	return out.String()
}

// TestText: it says what is forwarded, what changes, what is not understood, and what has become of
// all.
func TestText(t *testing.T) {
	text := show(t, weatherpanel.Options{In: strings.NewReader("delay=50ms\n\nrain=1\nfair\n")}, "  fair\n")
	assert.Regexp(t, `^UDP at 127\.0\.0\.1:\d+ goes to 127\.0\.0\.1:9, seed 7: loss=20%\. Type a change`, text)
	assert.Regexp(t, `\n[0-9:.]+  loss=20% delay=50ms\n[0-9:.]+  .*there is no setting "rain"`, text)
	assert.Contains(t, text, "\nEnded: interrupted, ")
	assert.Contains(t, text, "there 0 arrived of 0\nback 0 arrived of 0\n")
}

// TestJSON: each line is a report.
func TestJSON(t *testing.T) {
	text := show(t, weatherpanel.Options{JSON: true, In: strings.NewReader("loss=x\nfair\n")}, `"loss":"0"`)
	var note bool
	for line := range strings.Lines(text) {
		var e struct {
			Event string `json:"event"`
			Text  string `json:"text"`
			Seed  uint64 `json:"seed"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		if e.Event == "report" {
			assert.EqualValues(t, 7, e.Seed)
		}
		note = note || strings.Contains(e.Text, `loss "x" is not a share`)
	}
	assert.True(t, note, text)
}

// TestEnds: by its time, and by a failure to show.
func TestEnds(t *testing.T) {
	out := new(paneltest.Buffer)
	require.NoError(t, weatherpanel.Show(t.Context(), config, weatherpanel.Options{Out: out, MaxRuntime: 10 * time.Millisecond}))
	assert.Contains(t, out.String(), "Ended: time is up")
	failure := errors.New("the disk is full")
	require.ErrorIs(t, weatherpanel.Show(t.Context(), config, weatherpanel.Options{Out: broken{failure}}), failure)
	require.ErrorIs(t, weatherpanel.Show(t.Context(), weather.Config{}, weatherpanel.Options{Out: out}), weather.ErrConfig)
	require.ErrorIs(t, weatherpanel.Show(t.Context(), config, weatherpanel.Options{Out: out, MaxRuntime: -1}), weather.ErrConfig)
}

type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }
