package lab

import (
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestClass: no two labs have a token in common, and the page has the link of each student once.
// That it works is for TestComposeClass.
func TestClass(t *testing.T) {
	var file strings.Builder
	page, err := WriteClass(&file, ClassConfig{Students: 3, Address: netip.MustParseAddr("192.0.2.7"), Port: 7000})
	require.NoError(t, err)
	services, html, ok := strings.Cut(file.String(), "<!doctype html>")
	require.True(t, ok)
	given := regexp.MustCompile(`JUPYTER_TOKEN: (\w+)`).FindAllStringSubmatch(services, -1)
	require.Len(t, given, 4)
	tokens := map[string]bool{}
	for i, found := range given {
		assert.Len(t, found[1], 26)
		tokens[found[1]] = true
		if i > 0 {
			link := "http://192.0.2.7:700" + string(rune('0'+i)) + "/lab/workspaces/start?token=" + found[1]
			assert.Equal(t, 1, strings.Count(html, `>`+link+`<`), link)
			assert.Equal(t, 1, strings.Count(services, found[1]), "nobody else's environment has it")
		}
	}
	assert.Len(t, tokens, 4)
	assert.Equal(t, "http://localhost:7000/files/class.html?token="+given[0][1], page)
}

func TestClassRefused(t *testing.T) {
	for name, cfg := range map[string]ClassConfig{
		"nobody":           {},
		"too many":         {Students: maxStudents + 1},
		"port":             {Students: 1, Port: -1},
		"a student's port": {Students: 6, Port: 65530},
		"no address":       {Students: 1, Address: netip.IPv4Unspecified()},
		"with a zone":      {Students: 1, Address: netip.MustParseAddr("fe80::1%eth0")},
	} {
		_, err := WriteClass(io.Discard, cfg)
		assert.ErrorIs(t, err, ErrConfig, name)
	}
}
