package console

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsEscapes asks the console to take escapes for what they are. Those of before Windows 10
// cannot.
func understandsEscapes(out *os.File) bool {
	var mode uint32
	console := windows.Handle(out.Fd())
	return windows.GetConsoleMode(console, &mode) == nil &&
		windows.SetConsoleMode(console, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
