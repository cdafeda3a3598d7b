package lab

import (
	"bytes"
	"html/template"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/group"
)

// redirect is the page that leads the browser to JupyterLab.
var redirect = template.Must(template.New("redirect").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={{.}}">
<title>JupyterLab opens</title>
</head>
<body>
<p>JupyterLab opens. If it does not, <a href="{{.}}">open it</a>.</p>
</body>
</html>
`))

// openBrowser shows the address in the user's browser if it can, and returns what to call at the
// end. It need not: the address is printed too. Every user of the machine can read a program's
// arguments, and whoever knows the token can run programs here; so the browser is given a file,
// which only this user can read and which leads to the address.
//
// The file is in a directory of its own in dir. The checkout is a good place: a browser that is
// confined, as Ubuntu's are, reads neither the system's temporary directory nor what is hidden in
// the user's home, as the cache is.
func openBrowser(dir, address string) (remove func()) {
	dir, err := os.MkdirTemp(dir, ".udpkit-open-") // mode 0700
	if err != nil {
		return func() {}
	}
	remove = func() { os.RemoveAll(dir) }
	var page bytes.Buffer
	file := filepath.Join(dir, "lab.html")
	if redirect.Execute(&page, address) != nil || os.WriteFile(file, page.Bytes(), 0o600) != nil {
		return remove
	}
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
	cmd := exec.Command(opener[0], append(opener[1:], (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String())...)
	group.Own(cmd) // Ctrl-C in this terminal is not meant for the browser
	if cmd.Start() == nil {
		go cmd.Wait() // only to reap it; a browser may stay open longer than the lab
	}
	return remove
}
