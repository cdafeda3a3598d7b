package panel_test

import (
	"fmt"
	"testing"
	"unicode"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/stretchr/testify/require"
)

func ExamplePrintable() {
	fmt.Println(panel.Printable("ACTIVE \x1b[2J"))
	fmt.Println(panel.Printable("grün, 稼働中, <b>"))
	fmt.Println(panel.Printable("\u202egnp.exe"))
	// Output:
	// ACTIVE \x1b[2J
	// grün, 稼働中, <b>
	// \u202egnp.exe
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "",
		"a b":                            "a b",
		"a\x00\a\b\t\n\v\f\r\x7f":        `a\x00\a\b\t\n\v\f\r\x7f`,
		"\u0085\u009b31m":                `\u0085\u009b31m`,
		"\u2028\u2029":                   `\u2028\u2029`,
		"\u200b\u200d\u2060\ufeff\u00ad": `\u200b\u200d\u2060\ufeff\u00ad`,
		"\u061c\u200e\u200f\u202a\u202e\u2066\u2069": `\u061c\u200e\u200f\u202a\u202e\u2066\u2069`,
		"\u3164\u115f\uffa0\ufe0f":                   `\u3164\u115f\uffa0\ufe0f`,
		"\U000e0041":                                 `\U000e0041`,
		"\u00a0\u3000":                               `\u00a0\u3000`,
		"\xff\xc0a":                                  `\xff\xc0a`,
		"\ufffd":                                     "\ufffd",
	} {
		require.Equal(t, want, panel.Printable(in))
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("ACTIVE")
	f.Add("\x1b]0;title\a\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		out := panel.Printable(in)
		for _, r := range out {
			require.True(t, unicode.IsPrint(r), "%q of %q", r, in)
			require.False(t, unicode.Is(unicode.Cf, r), "%q of %q", r, in)
		}
		require.Equal(t, out, panel.Printable(out), "what is printable stays as it is")
	})
}
