package panel_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func ExampleFlag() {
	targets := panel.Flag("example-target", "127.255.255.255", "where to send", udpkit.ParseTargets)
	if err := flag.Set("example-target", "10.0.0.255:37020"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(*targets)
	fmt.Println(flag.Lookup("example-target").DefValue)
	fmt.Println(flag.Set("example-target", "nowhere") != nil, *targets)
	// Output:
	// 10.0.0.255:37020
	// 127.255.255.255
	// true 10.0.0.255:37020
}

func ExampleFlagsFromEnv() {
	limit := flag.Uint64("example-limit", 0, "end after so many messages")
	os.Setenv("UDPKIT_EXAMPLE_LIMIT", "8")
	fmt.Println(panel.FlagsFromEnv(), *limit)
	os.Setenv("UDPKIT_EXAMPLE_LIMIT", "many")
	fmt.Println(panel.FlagsFromEnv())
	os.Unsetenv("UDPKIT_EXAMPLE_LIMIT")
	// Output:
	// <nil> 8
	// the environment variable UDPKIT_EXAMPLE_LIMIT has the value "many", which is no --example-limit (end after so many messages): parse error
}

func ExampleParsePort() {
	for _, s := range []string{"37020", "0", "70000", "x"} {
		fmt.Println(panel.ParsePort(s))
	}
	// Output:
	// 37020 <nil>
	// 0 port "0" is not a number from 1 to 65535
	// 0 port "70000" is not a number from 1 to 65535
	// 0 port "x" is not a number from 1 to 65535
}

func TestServerAddress(t *testing.T) {
	t.Setenv("UDPKIT_SERVER_ADDRESS", "")
	require.Equal(t, "127.0.0.1", panel.ServerAddress())
	t.Setenv("UDPKIT_SERVER_ADDRESS", "192.0.2.7")
	require.Equal(t, "192.0.2.7", panel.ServerAddress())
}

func TestSessionFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GONB_TMP_DIR", dir)
	require.Equal(t, filepath.Join(dir, "a.jsonl"), panel.SessionFile("a.jsonl"))
	t.Setenv("GONB_TMP_DIR", "")
	require.Equal(t, filepath.Join(os.TempDir(), "a.jsonl"), panel.SessionFile("a.jsonl"))
}
