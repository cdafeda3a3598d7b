package referee_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/referee"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// The examples judge this binary, as a program that is told by a variable what it is.
const asProgram = "REFEREE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if how := os.Getenv(asProgram); how != "" {
		panic(echoes(how == "in capitals"))
	}
	goleak.VerifyTestMain(m)
}

// echoes is an echo server that a reader could have written.
func echoes(inCapitals bool) error {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:"+os.Getenv("UDPKIT_PORT"))
	for buffer := make([]byte, 65535); err == nil; {
		n, client, failed := conn.ReadFrom(buffer)
		if failed != nil {
			continue // such as that a client is gone, on Windows
		}
		answer := buffer[:n]
		if inCapitals {
			answer = []byte(strings.ToUpper(string(answer)))
		}
		_, err = conn.WriteTo(answer, client)
	}
	return errors.Join(err, conn.Close())
}

func Example() {
	for _, how := range []string{"as it came", "in capitals"} {
		os.Setenv(asProgram, how)
		verdict, err := referee.Run(context.Background(), referee.Config{
			System: "echo", Side: referee.Server, Command: []string{os.Args[0], "{port}"},
			Weather: weather.Settings{Loss: 0.2}, Forge: true, Seed: 7, Patience: referee.DefaultPatience / 15,
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(how, verdict.Passed())
		for _, f := range verdict.Findings[:min(1, len(verdict.Findings))] {
			fmt.Println(f.Rule, strings.Contains(f.Text, "is no answer to what client ann asked"))
		}
	}
	os.Unsetenv(asProgram)
	// Output:
	// as it came true
	// in capitals false
	// same true
}
