package lab

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPublicURL has the lab behind a proxy with a certificate, which calls it by its own address:
// pages and what they connect to work for who has the token, and for no other site's pages.
func TestPublicURL(t *testing.T) {
	env := realSetup(t)
	var at *url.URL
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }})
	defer proxy.Close()
	start := func(public string) *jupyter {
		cfg, err := Config{Port: AnyPort, PublicURL: public, Stdout: io.Discard}.withDefaults()
		require.NoError(t, err)
		port, err := freePort(cfg.Address, cfg.Port)
		require.NoError(t, err)
		j, err := startJupyter(t.Context(), env, cfg, port)
		require.NoError(t, err)
		t.Cleanup(j.stop)
		return j
	}
	j := start(proxy.URL)
	at = &url.URL{Scheme: "http", Host: j.address.String()}
	assert.True(t, strings.HasPrefix(j.url("/lab"), proxy.URL+"/lab?token="), j.url("/lab"))
	get := func(base, host, path, token string, header ...string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		require.NoError(t, err)
		request.Host = host
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		if token != "" {
			request.Header.Set("Authorization", "token "+token)
		}
		response, err := proxy.Client().Do(request)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode
	}
	assert.Equal(t, http.StatusOK, get(proxy.URL, "", "/api/status", j.token))
	assert.Equal(t, http.StatusForbidden, get(proxy.URL, "", "/api/status", ""))
	// As a browser: from now on with a cookie.
	var err error
	proxy.Client().Jar, err = cookiejar.New(nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, get(proxy.URL, "", "/lab?token="+j.token, ""))
	socket := func(origin string) int {
		return get(proxy.URL, "", "/api/events/subscribe", "", "Origin", origin, "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	}
	assert.Equal(t, http.StatusSwitchingProtocols, socket(proxy.URL))
	assert.Equal(t, http.StatusForbidden, socket("https://example.org"))

	// Without it, the lab answers to this machine's own names only.
	own := start("")
	base := "http://" + own.address.String()
	assert.Equal(t, http.StatusOK, get(base, "", "/api/status", own.token))
	assert.Equal(t, http.StatusForbidden, get(base, "lab.example.org", "/api/status", own.token))
	assert.Equal(t, http.StatusForbidden, get(base, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), own.address.Port()).String(), "/api/status", own.token))
}
