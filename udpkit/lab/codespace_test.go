package lab

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCodespace asks JupyterLab what browsers ask, here and by way of a codespace's forwarding,
// which calls it by its own name or localhost, and rewrites the origin or not.
func TestCodespace(t *testing.T) {
	env := realSetup(t)
	port, err := freePort("127.0.0.1", AnyPort)
	require.NoError(t, err)
	public := fmt.Sprintf("octocat-%d.app.github.dev", port)
	local := fmt.Sprintf("localhost:%d", port)
	const open, refused = http.StatusSwitchingProtocols, http.StatusForbidden
	type asked struct {
		host    string
		page    int
		origins map[string]int // of a page that opens a WebSocket with this one's cookie
	}
	for _, test := range []struct {
		name, codespace, start string
		asked                  []asked
	}{
		{"here", "", fmt.Sprintf("http://127.0.0.1:%d", port), []asked{
			{local, http.StatusOK, map[string]int{"http://" + local: open, "https://" + public: refused, "http://" + local + ".example.org": refused}},
			{public, refused, nil}, // a name that some page made point here
		}},
		{"codespace", "octocat", "https://" + public, []asked{
			{public, http.StatusOK, map[string]int{"https://" + public: open, "http://" + local: open, "https://" + local: open, "https://example.org": refused}},
			{local, http.StatusOK, map[string]int{"https://" + public: open, "https://" + public + ".example.org": refused, "https://octocat-1.app.github.dev": refused}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("CODESPACE_NAME", test.codespace)
			t.Setenv("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
			cfg, err := Config{Port: port, Stdout: t.Output()}.withDefaults()
			require.NoError(t, err)
			j, err := startJupyter(t.Context(), env, cfg, port)
			require.NoError(t, err)
			defer j.stop()
			assert.Equal(t, test.start+"/lab?token="+j.token, j.url("/lab"))

			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			get := func(host, path string, header http.Header) *http.Response {
				t.Helper()
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+j.address.String()+path, nil)
				require.NoError(t, err)
				request.Host, request.Header = host, header
				response, err := client.Do(request)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				return response
			}
			for _, asked := range test.asked {
				page := get(asked.host, "/lab?token="+j.token, http.Header{})
				assert.Equal(t, asked.page, page.StatusCode, asked.host)
				var cookies []string
				for _, cookie := range page.Cookies() {
					cookies = append(cookies, cookie.Name+"="+cookie.Value)
				}
				for origin, want := range asked.origins {
					response := get(asked.host, "/api/events/subscribe", http.Header{"Origin": {origin}, "Cookie": {strings.Join(cookies, "; ")},
						"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}})
					assert.Equal(t, want, response.StatusCode, "%s from %s", asked.host, origin)
				}
			}
		})
	}
}
