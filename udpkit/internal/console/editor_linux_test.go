package console_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// typing is an editor on a terminal, and the lines that were typed into it.
type typing struct {
	*paneltest.Terminal
	t        *testing.T
	editor   *console.Editor
	lines    chan string
	farewell chan error
}

func startTyping(t *testing.T) *typing {
	t.Helper()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	term := paneltest.OpenTerminal(t)
	editor, err := console.NewEditor(term.Program, term.Program)
	require.NoError(t, err)
	ty := &typing{term, t, editor, make(chan string), make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			line, err := editor.Next()
			if err == io.EOF || err == console.ErrInterrupted {
				ty.farewell <- err
				return
			}
			if err != nil {
				line = err.Error()
			}
			ty.lines <- line
		}
	}()
	t.Cleanup(func() {
		ty.Types(t, "\x03")
		<-ended
		require.NoError(t, editor.Restore())
	})
	ty.stands(">", 2)
	return ty
}

// stands waits until a text stands at the end of the screen, and the cursor in that column.
func (ty *typing) stands(text string, column int) {
	ty.t.Helper()
	if !assert.Eventually(ty.t, func() bool {
		lines, x, _ := ty.Screen.Lines()
		return strings.HasSuffix(strings.TrimRight(strings.Join(lines, "\n"), "\n"), text) && x == column
	}, paneltest.Patience, 5*time.Millisecond) {
		lines, x, _ := ty.Screen.Lines()
		require.FailNow(ty.t, "never", "%q and column %d; it is %q and %d", text, column, lines, x)
	}
}

func (ty *typing) types(keys string) { ty.t.Helper(); ty.Types(ty.t, keys) }

// enters presses Enter: what has stood there is what comes.
func (ty *typing) enters(want string) {
	ty.t.Helper()
	ty.types("\r")
	select {
	case line := <-ty.lines:
		require.Equal(ty.t, want, line)
	case <-time.After(paneltest.Patience):
		require.Fail(ty.t, "no line")
	}
}

// TestWideCharacters: what is typed stands there, and lines that come appear above it, however wide
// its characters are and the window is.
func TestWideCharacters(t *testing.T) {
	ty := startTyping(t)
	const wide = "日本語日本語日本語日本語" // 24 columns
	ty.types(wide)
	ty.stands("> "+wide, 26)
	require.NoError(t, ty.editor.Print("a message with 👍"))
	ty.stands("a message with 👍\n> "+wide, 26)
	ty.types("\x1b[D\x1b[D\x7fab") // two steps back, one character away
	ty.stands("\n> 日本語日本語日本語ab本語", 22)
	require.NoError(t, ty.editor.Print("another"))
	ty.stands("another\n> 日本語日本語日本語ab本語", 22)
	ty.types("\x05 and more1234日") // the last has no room in the row
	ty.stands("a message with 👍\nanother\n> 日本語日本語日本語ab本語 and more1234\n日", 2)
	ty.types("\x7f")
	ty.stands("another\n> 日本語日本語日本語ab本語 and more1234", 39)
	ty.types("5")
	ty.stands("another\n> 日本語日本語日本語ab本語 and more12345", 0) // in the next row
	ty.types("日")
	ty.stands("another\n> 日本語日本語日本語ab本語 and more12345\n日", 2)
	// A row may end with a space, which nobody sees.
	squeezed := func() string {
		lines, _, _ := ty.Screen.Lines()
		return strings.ReplaceAll(strings.Join(lines, ""), " ", "")
	}
	const whole = ">日本語日本語日本語ab本語andmore12345日"
	want := "amessagewith👍another"
	for _, columns := range []int{15, 31, 80, 7, 40} {
		ty.Resize(t, columns)
		require.NoError(t, ty.editor.Print("."))
		want += "."
		require.Eventually(t, func() bool { return squeezed() == want+whole }, paneltest.Patience, 5*time.Millisecond, "%d columns", columns)
	}
	ty.enters("日本語日本語日本語ab本語 and more12345日")
	require.Eventually(t, func() bool { return squeezed() == want+whole+">" }, paneltest.Patience, 5*time.Millisecond)
}

// TestFarewell: Ctrl-C and Ctrl-D are two ways to leave, and nothing of a half-typed line is left.
func TestFarewell(t *testing.T) {
	for key, want := range map[string]error{"half\x03": console.ErrInterrupted, "\x04": io.EOF} {
		ty := startTyping(t)
		ty.types(key)
		require.Equal(t, want, <-ty.farewell)
		require.NoError(t, ty.editor.Print("over"))
		ty.stands("over", 0)
		lines, _, _ := ty.Screen.Lines()
		require.Equal(t, "over", strings.Join(lines, ""))
	}
}

// TestJoinedCharacters: signs that terminals disagree about stand there in their parts, and are
// sent and taken away as one.
func TestJoinedCharacters(t *testing.T) {
	ty := startTyping(t)
	ty.types("👨\u200d👩\u200d👧❤\ufe0fe\u0301x")
	ty.stands("> 👨👩👧❤e\u0301x", 11)
	ty.types("\x7f\x7f\x7f")
	ty.stands("> 👨👩👧", 8)
	ty.enters("👨\u200d👩\u200d👧")
	ty.types("👨\u200d👩\u200d👧\x7fgone")
	ty.stands("> gone", 6)
	ty.types("\x1b[A") // the line before
	ty.stands("> 👨👩👧", 8)
	ty.enters("👨\u200d👩\u200d👧")
}

func TestKeys(t *testing.T) {
	ty := startTyping(t)
	for keys, want := range map[string]string{
		"abc\x01x\x05y":                "xabcy",
		"abc\x1bOHx\x1b[Fy":            "xabcy",
		"one two  three\x1bb\x1b[1;5D": "one two  three",
		"one two\x17x":                 "one x",
		"one two\x1bb\x1bb\x1bfx":      "onex two",
		"one two\x1b[D\x1b[D\x0b":      "one t",
		"one two\x1b[D\x1b[D\x15":      "wo",
		"abc\x02\x02\x04\x1b[3~":       "a",
		"tab\tand\u3000space":          "tab and space",
		"steer\x1b[5~\u009b\u202e\x07": "steer",
	} {
		ty.types(keys)
		ty.enters(want)
	}
	ty.types("one\rtwo\rthr")
	require.Equal(t, "one", <-ty.lines)
	require.Equal(t, "two", <-ty.lines)
	ty.stands("> thr", 5)
	ty.types("\x10\x10\x0e") // up, up, down
	ty.stands("> two", 5)
	ty.types("\x0e")
	ty.stands("\n>", 2)
	ty.types("\xe6\x97") // a character in two pieces
	ty.types("\xa5")
	ty.stands("> 日", 4)
	ty.enters("日")
}

// TestHighLine: a line that is higher than the window shows what is around the cursor.
func TestHighLine(t *testing.T) {
	ty := startTyping(t)
	require.NoError(t, ty.editor.Print("first"))
	line := "<" + strings.Repeat("日x", 500) + ">"
	ty.types(line)
	require.Eventually(t, func() bool {
		lines, _, _ := ty.Screen.Lines()
		return strings.HasSuffix(strings.Join(lines, ""), "日x日x>") && len(lines) <= 25
	}, paneltest.Patience, 5*time.Millisecond)
	ty.types("\x01")
	require.Eventually(t, func() bool {
		lines, x, y := ty.Screen.Lines()
		return len(lines) > y && strings.HasPrefix(lines[y], "> <日x日x") && x == 2 && len(lines) <= 25
	}, paneltest.Patience, 5*time.Millisecond)
	ty.types("\x05")
	ty.enters(line)
	long := strings.Repeat("x", console.MaxLine)
	ty.types(long + "y")
	ty.enters("line too long: 65537 bytes")
}

// TestProgressOnTerminal: one line changes in place, and is gone at the end.
func TestProgressOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	term := paneltest.OpenTerminal(t)
	p := console.NewProgress(term.Program)
	p.Step("first", 0, time.Hour)
	term.Screen.Until(t, "0 %, about 1h0m0s left: first")
	p.Step("second", 30*time.Minute, time.Hour)
	term.Screen.Until(t, "50 %, about 5m")
	p.Done(nil)
	term.Screen.Until(t, "second: done after")
	p.End()
	require.NoError(t, p.Print("over"))
	term.Screen.Until(t, "over")
	lines, _, _ := term.Screen.Lines()
	require.Len(t, lines, 3, lines)
	require.True(t, strings.HasPrefix(lines[0], "second: done after "), lines)
	require.Equal(t, []string{"over", ""}, lines[1:])
}
