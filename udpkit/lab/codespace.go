package lab

import (
	"fmt"
	"net/url"
	"os"
)

// codespace returns where browsers reach a port of the GitHub codespace that this is, or nil where
// it is none.
func codespace(port int) *url.URL {
	name, domain := os.Getenv("CODESPACE_NAME"), os.Getenv("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
	if name == "" || domain == "" {
		return nil
	}
	return &url.URL{Scheme: "https", Host: fmt.Sprintf("%s-%d.%s", name, port, domain)}
}
