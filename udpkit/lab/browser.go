package lab

import (
	"os/exec"
	"runtime"
)

// openBrowser shows the address in the user's browser if it can. It need not: the address is printed too.
func openBrowser(url string) {
	var opener []string
	switch runtime.GOOS {
	case "darwin":
		opener = []string{"open"}
	case "windows":
		opener = []string{"rundll32", "url.dll,FileProtocolHandler"}
	default:
		opener = []string{"xdg-open"}
		if _, err := exec.LookPath("wslview"); err == nil {
			opener = []string{"wslview"}
		}
	}
	cmd := exec.Command(opener[0], append(opener[1:], url)...)
	ownGroup(cmd) // Ctrl-C in this terminal is not meant for the browser
	if cmd.Start() == nil {
		go cmd.Wait() // only to reap it; a browser may stay open longer than the lab
	}
}
